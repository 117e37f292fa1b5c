"""A simulator of DAWs that cannot run here: it keeps a mixer and speaks the dialects as their documentation says.

A test instrument, written from the address lists in `addresses/`, not from our profiles; no proof of a real DAW.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from daw_bridge.osc import Message, OscValue, decode, encode, encode_bundle
from daw_bridge.osc_stream import Framing, LengthDeframer, SlipDeframer, frame

Dialect = Callable[["SimulatedDaw", Message], list[Message]]


class SimulatedDaw:
    """`lose` packets are ignored first; `deaf` ignores all settings; `stubborn` reports another value than asked."""

    def __init__(
        self,
        dialect: Dialect,
        names: list[str],
        *,
        port: int = 0,
        reply_port: int | None = None,
        framing: Framing | None = None,
    ) -> None:
        self.dialect, self.names, self.framing = dialect, names, framing
        self.values: dict[tuple[int, str], OscValue] = {}
        self.lose, self.deaf, self.stubborn = 0, False, False
        self.page = 0
        self.received: list[Message] = []
        self.reply_port = reply_port
        kind = socket.SOCK_DGRAM if framing is None else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind(("127.0.0.1", port))
        self.port = int(self.socket.getsockname()[1])
        self.peer: tuple[str, int] | None = None
        self.connection: socket.socket | None = None
        self._closing = False
        if framing is not None:
            self.socket.listen(1)
        self.thread = threading.Thread(target=self._udp if framing is None else self._tcp, daemon=True)
        self.thread.start()

    def _udp(self) -> None:
        self.socket.settimeout(0.2)
        while not self._closing:
            try:
                data, sender = self.socket.recvfrom(65_536)
            except TimeoutError:
                continue
            except OSError:
                return
            self.peer = (sender[0], self.reply_port or sender[1])
            self._take(data)

    def _tcp(self) -> None:
        self.socket.settimeout(5)
        try:
            self.connection, _ = self.socket.accept()
        except OSError:
            return
        deframer = SlipDeframer() if self.framing == "slip" else LengthDeframer()
        self.connection.settimeout(0.2)
        while not self._closing:
            try:
                data = self.connection.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            for packet in deframer.feed(data):
                self._take(packet)

    def _take(self, packet: bytes) -> None:
        if self.lose > 0:
            self.lose -= 1
            return
        for message in decode(packet):
            self.received.append(message)
            answers = self.dialect(self, message)
            if answers:
                self.push(*answers)

    def push(self, *messages: Message) -> None:
        """Report, as REAPER does it: several messages as one bundle."""
        packet = encode(messages[0]) if len(messages) == 1 else encode_bundle(messages)
        if self.connection is not None and self.framing is not None:
            self.connection.sendall(frame(packet, self.framing))
        elif self.peer is not None:
            self.socket.sendto(packet, self.peer)

    def set(self, number: int, parameter: str, value: OscValue) -> bool:
        """Whether that changed anything. A silent DAW changes nothing and says nothing."""
        if self.deaf:
            return False
        if self.stubborn:
            value = 0.123
        changed = self.values.get((number, parameter)) != value
        self.values[number, parameter] = value
        return changed

    def close(self) -> None:
        self._closing = True
        self.socket.close()
        if self.connection is not None:
            self.connection.close()
        self.thread.join(5)


def slashes(daw: SimulatedDaw, message: Message) -> list[Message]:
    """REAPER's default patterns and our custom profile: `/track/N/parameter value`, reported when it changed.

    A new count of tracks makes REAPER tell everything that it knows.
    """
    parts = message.address.split("/")[1:]
    if parts[0] == "device" and parts[1:] == ["track", "count"]:
        names = [Message(f"/track/{number}/name", (name,)) for number, name in enumerate(daw.names, 1)]
        values = {key: value for key, value in daw.values.items() if key[0] > 0}
        strips = [Message(f"/track/{number}/{name}", (value,)) for (number, name), value in values.items()]
        return [*names, *strips, Message("/tempo/raw", (daw.values.get((0, "tempo"), 120.0),))]
    if message.address == "/tempo/raw":
        return [message] if daw.set(0, "tempo", message.arguments[0]) else []
    if parts[0] == "track" and len(parts) >= 3 and message.arguments:
        number, parameter = int(parts[1]), "/".join(parts[2:])
        if daw.set(number, parameter, message.arguments[0]):
            return [Message(message.address, (daw.values[number, parameter],))]
    return []


def banked(daw: SimulatedDaw, message: Message) -> list[Message]:
    """DrivenByMoss: eight tracks at once, pages, everything anew on /refresh and on a page change."""
    parts = message.address.split("/")[1:]
    last_page = (len(daw.names) - 1) // 8
    if message.address in ("/track/bank/page/+", "/track/bank/page/-"):
        page = min(last_page, max(0, daw.page + (1 if message.address.endswith("+") else -1)))
        if page == daw.page:
            return []
        daw.page = page
    if message.address == "/refresh" or parts[:2] == ["track", "bank"]:
        shown = daw.names[8 * daw.page : 8 * daw.page + 8]
        return [
            Message(f"/track/{number}/name", (shown[number - 1] if number <= len(shown) else "",))
            for number in range(1, 9)
        ]
    if parts[0] == "track" and message.arguments:
        number = 8 * daw.page + int(parts[1])
        if daw.set(number, parts[2], message.arguments[0]):
            return [Message(message.address, (daw.values[number, parts[2]],))]
    return []


def live(daw: SimulatedDaw, message: Message) -> list[Message]:
    """AbletonOSC: setters say nothing, getters answer with the track first, listeners push."""
    parts = message.address.split("/")[1:]
    if message.address == "/live/test":
        return [Message("/live/test", ("ok",))]
    if message.address == "/live/song/get/track_names":
        return [Message(message.address, tuple(daw.names))]
    if message.address == "/live/song/set/tempo":
        daw.set(0, "tempo", message.arguments[0])
    if message.address == "/live/song/get/tempo":
        return [Message(message.address, (daw.values.get((0, "tempo"), 120.0),))]
    return _live_track(daw, message, parts) if parts[:2] == ["live", "track"] else []


def _live_track(daw: SimulatedDaw, message: Message, parts: list[str]) -> list[Message]:
    number = message.arguments[0]
    if not isinstance(number, int) or not 0 <= number < len(daw.names):
        return [Message("/live/error", (f"Index out of range: {number!r}",))]
    if parts[2] == "set":
        daw.set(number, parts[3], message.arguments[1])
        return []
    if parts[2] in ("get", "start_listen"):
        value = daw.values.get((number, parts[-1]), 0.85 if parts[-1] == "volume" else 0)
        return [Message(f"/live/track/get/{parts[-1]}", (number, value))]
    return []
