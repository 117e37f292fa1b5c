"""The WebSocket: the daemon's command table as JSON, one more client beside OSC and MIDI.

In `{"id", "address", "arguments"}`, out `{"address", "arguments"}`. The first message says the secret
(`/dawbridge/hello SECRET`); whoever does not say it in time makes room for others.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from daw_bridge import __version__
from daw_bridge.control.bridge import Bridge
from daw_bridge.control.net.security import RateLimiter
from daw_bridge.osc import Message, OscError, OscValue, encode
from daw_bridge.web.access import WebAccess

MAX_SOCKETS = 64
MAX_SOCKETS_PER_HOST = 32
MAX_WAITING = 1000
HELLO_S = 10.0
OVER_RATE_REST_S = 0.1
TRY_LATER, POLICY, TOO_SLOW, GOING_AWAY = 1013, 1008, 1013, 1001
"""Close codes of RFC 6455."""


class WebClient:
    """A page behind a WebSocket. What it does not read in time ends its connection; it comes back and asks anew."""

    lasting = True

    def __init__(self, host: str, key: str) -> None:
        self.host, self.key = host, key
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)
        self.overflowed = False

    def send(self, message: Message) -> None:
        if self.overflowed:
            return
        text = json.dumps({"address": message.address, "arguments": [_plain(value) for value in message.arguments]})
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.overflowed = True


def _plain(value: OscValue) -> str | float | int | bool | None:
    return value if isinstance(value, (str, int, float, bool)) else None


class Sockets:
    """All pages that are connected, within bounds."""

    def __init__(self, bridge: Bridge, access: WebAccess, hello_s: float = HELLO_S) -> None:
        self._bridge, self._access, self._hello_s = bridge, access, hello_s
        self._hosts: Counter[str] = Counter()
        self._limiter = RateLimiter()
        self._open: set[WebSocket] = set()

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from its handshake to its end."""
        host = websocket.client.host if websocket.client else ""
        if self._hosts.total() >= MAX_SOCKETS or self._hosts[host] >= MAX_SOCKETS_PER_HOST:
            self._bridge.counters.add("sockets_refused")
            await websocket.close(TRY_LATER)
            return
        self._hosts[host] += 1
        client = WebClient(host, f"ws:{id(websocket)}")
        try:
            await websocket.accept()
            self._open.add(websocket)
            if await self._greeted(websocket, client):
                await self._talk(websocket, client)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # gone, perhaps in the middle of a message
        finally:
            self._open.discard(websocket)
            self._hosts[host] -= 1
            self._bridge.gone(client)

    async def close(self) -> None:
        """Say goodbye to all pages; they come back by themselves when the daemon does."""
        await asyncio.gather(*(_close(each, GOING_AWAY) for each in list(self._open)), return_exceptions=True)

    async def _greeted(self, websocket: WebSocket, client: WebClient) -> bool:
        """Whether the first message says the secret; the connection is closed when it does not."""
        try:
            first = _message(await asyncio.wait_for(websocket.receive(), self._hello_s))
        except TimeoutError:
            first = None
        said = first is not None and first.address == "/dawbridge/hello" and len(first.arguments) >= 1
        if first is None or not said or not self._access.says_secret(str(first.arguments[0])):
            self._bridge.counters.add("sockets_without_secret")
            await _close(websocket, POLICY)
            return False
        if self._bridge.policy.needs_token(client.host):
            self._bridge.receive(first, client)
        else:
            client.send(Message("/dawbridge/reply", ("", first.address, "daw-bridge", __version__)))
        return True

    async def _talk(self, websocket: WebSocket, client: WebClient) -> None:
        sender = asyncio.create_task(self._send_all(websocket, client))
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                if not self._limiter.allows(client.host):
                    self._bridge.counters.add("packets_over_rate")
                    await asyncio.sleep(OVER_RATE_REST_S)
                message = _message(event)
                if message is None:
                    self._bridge.counters.add("packets_malformed")
                    await _close(websocket, POLICY)
                    return
                self._bridge.receive(message, client)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send_all(self, websocket: WebSocket, client: WebClient) -> None:
        while not client.overflowed:
            text = await client.waiting.get()
            if text is not None:
                await websocket.send_text(text)
        self._bridge.counters.add("slow_clients_closed")
        await _close(websocket, TOO_SLOW)


async def _close(websocket: WebSocket, code: int) -> None:
    if websocket.application_state is not WebSocketState.DISCONNECTED:
        await websocket.close(code)


def _message(event: Any) -> Message | None:
    """The command in a WebSocket event; None for whatever is none: binary, no JSON, other types, values OSC has not."""
    text = event.get("text")
    if not isinstance(text, str):
        return None
    try:
        data = json.loads(text)
        address, arguments = data["address"], data.get("arguments", [])
        plain = isinstance(arguments, list) and all(isinstance(value, (str, int, float)) for value in arguments)
        if not isinstance(address, str) or not plain:
            return None
        message = Message(address, (*arguments, f"#{str(data.get('id', ''))[:60]}"))
        encode(message)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, OscError):
        return None
    return message
