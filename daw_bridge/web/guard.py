"""What every request passes before a handler sees it: address, Host, Origin, and the headers of every answer.

Host: a name that an attacker's DNS points at this machine (rebinding) is none of ours, an IP literal cannot be rebound.
Origin: a page of another origin, another port of this host included, may neither read nor send. `Sec-Fetch-Site` is
absent on plain HTTP in a LAN, so it is never the only check. Nothing here knows CORS: no other origin is ever let in.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daw_bridge.control.net.security import AccessPolicy

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_HOST = re.compile(r"(\[[0-9a-f:.%]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)

Refusal = Literal["address", "host", "cross-site", "origin"]
_STATUS: dict[Refusal, int] = {"address": 403, "host": 421, "cross-site": 403, "origin": 403}
_REASON: dict[Refusal, bytes] = {
    "address": b"this address may not use the page (see --allow)",
    "host": b"this name is none of the page's; use the address that daw-bridge printed (or --web-host NAME)",
    "cross-site": b"requests from other sites are not answered",
    "origin": b"requests from other origins are not answered",
}


def own_names(extra: Iterable[str] = ()) -> frozenset[str]:
    """The names under which this machine is asked for: itself, `NAME`, `NAME.local`, and those that the user adds."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({"localhost", name, short, f"{short}.local", *(each.lower() for each in extra)})


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, names: frozenset[str]) -> None:
        self._app, self._policy, self._names = app, policy, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        why = self._refusal(scope)
        if why is not None:
            await _refuse(scope, send, why)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Refusal | None:
        peer = scope.get("client")
        if not peer or not self._policy.admits(str(peer[0])):
            return "address"
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return "host"
        if any(site not in ("same-origin", "none") for site in _values(scope, b"sec-fetch-site")):
            return "cross-site"
        origins = _values(scope, b"origin")
        needs_one = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if any(origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins):
            return "origin"
        return "origin" if needs_one and not origins else None

    def _is_own(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]")
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return name.rstrip(".") in self._names
        return True


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for name, value in scope["headers"] if name == wanted]


async def _refuse(scope: Scope, send: Send, why: Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": _STATUS[why], "headers": headers})
    await send({"type": "http.response.body", "body": _REASON[why] + b"\n"})
