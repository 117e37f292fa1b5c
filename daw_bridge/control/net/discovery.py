"""So that surfaces find the bridge: zeroconf (`_osc._udp`, `_osc._tcp`) and an OSCQuery page. Off by default.

OSCQuery is JSON over HTTP (github.com/Vidvox/OSCQueryProposal): the tree of addresses with types, ranges and access; it
is served on the port after the OSC port, on the same address, to the same networks, and takes no commands.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import json
import socket
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from daw_bridge import __version__
from daw_bridge.control.commands import COMMANDS, Argument
from daw_bridge.control.net.security import AccessPolicy, is_loopback
from daw_bridge.errors import AdapterMissing, Busy

MAX_REQUEST_BYTES = 8192
REQUEST_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 16
_TYPES = {"text": "s", "path": "s", "number": "f", "whole": "i", "switch": "i"}


def query_tree() -> dict[str, Any]:
    """The whole OSCQuery namespace. A placeholder in an address is a node of that name, `{name}`."""
    root: dict[str, Any] = {"FULL_PATH": "/", "ACCESS": 0, "DESCRIPTION": "daw-bridge", "CONTENTS": {}}
    for command in COMMANDS:
        node, path = root, ""
        for segment in command.segments:
            path += f"/{segment}"
            node = node.setdefault("CONTENTS", {}).setdefault(segment, {"FULL_PATH": path, "ACCESS": 0})
        node |= {
            "ACCESS": 2 if command.strip is None else 3,
            "DESCRIPTION": command.doc,
            "TYPE": "".join(_TYPES[argument.kind] for argument in command.arguments),
        }
        if command.arguments:
            node["RANGE"] = [_range(argument) for argument in command.arguments]
    return root


def _range(argument: Argument) -> dict[str, float]:
    if argument.kind == "switch":
        return {"MIN": 0, "MAX": 1}
    limits = {"MIN": argument.minimum, "MAX": argument.maximum}
    return {name: value for name, value in limits.items() if abs(value) != float("inf")}


def answer(target: str, port: int) -> tuple[int, dict[str, Any] | None]:
    """Status and body for a request of `target`: a path of the tree, with an attribute behind `?` or not."""
    parts = urlsplit(target)
    if parts.query == "HOST_INFO":
        return 200, {
            "NAME": "daw-bridge",
            "DESCRIPTION": f"daw-bridge {__version__}",
            "OSC_PORT": port,
            "OSC_TRANSPORT": "UDP",
            "EXTENSIONS": {"ACCESS": True, "RANGE": True, "DESCRIPTION": True, "TYPE": True},
        }
    node = query_tree()
    for segment in [unquote(part) for part in parts.path.split("/") if part]:
        contents = node.get("CONTENTS", {})
        if segment not in contents:
            return 404, None
        node = contents[segment]
    if not parts.query:
        return 200, node
    return (200, {parts.query: node[parts.query]}) if parts.query in node else (204, None)


class Discovery:
    """Both services, for as long as the block runs."""

    def __init__(self, host: str, port: int, policy: AccessPolicy | None = None) -> None:
        self._host, self._port, self._policy = host, port, policy or AccessPolicy(bind_host="127.0.0.1")
        self._server: asyncio.Server | None = None
        self._zeroconf: Any = None
        self._open = 0

    @property
    def query_port(self) -> int:
        return self._port + 1

    async def __aenter__(self) -> Discovery:
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self.query_port, limit=MAX_REQUEST_BYTES)
        except OSError as exc:
            raise Busy(f"{self._host}:{self.query_port}: OSCQuery's port is taken; choose another `port`") from exc
        try:
            await self._announce()
        except BaseException:
            self._server.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _announce(self) -> None:
        try:
            aio: Any = importlib.import_module("zeroconf.asyncio")
            zeroconf: Any = importlib.import_module("zeroconf")
        except ImportError as exc:
            raise AdapterMissing("`discovery` needs zeroconf; install it: pip install 'daw-bridge[discovery]'") from exc
        address = "127.0.0.1" if is_loopback(self._host) else _address_of(self._host)
        self._zeroconf = aio.AsyncZeroconf(interfaces=[address])
        services = (("_osc._udp", self._port), ("_osc._tcp", self._port), ("_oscjson._tcp", self.query_port))
        for service, port in services:
            info = zeroconf.ServiceInfo(
                f"{service}.local.",
                f"daw-bridge.{service}.local.",
                addresses=[ipaddress.ip_address(address).packed],
                port=port,
                properties={"txtvers": "1", "version": __version__},
                server="daw-bridge.local.",
            )
            await self._zeroconf.async_register_service(info, allow_name_change=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            await self._answer(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = writer.get_extra_info("peername") or ("",)
            if not self._policy.admits(str(peer[0])):
                return
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT_S)
            if not _names_this_machine(head, self._host):
                return
            words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
            status, body = answer(words[1], self._port) if len(words) == 3 and words[0] == "GET" else (400, None)
            data = b"" if body is None else json.dumps(body).encode()
            lines = (
                f"HTTP/1.1 {status} {'OK' if status == 200 else 'No'}",
                "Content-Type: application/json",
                f"Content-Length: {len(data)}",
                "Connection: close",
            )
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT_S)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass  # a peer that does not speak HTTP gets nothing


def _names_this_machine(head: bytes, bound: str) -> bool:
    """Whether the request asks for us by address, or by a name of loopback: a page whose own name was made to lead here
    (DNS rebinding) asks for that name. What is bound to a network is asked for by whatever name that network has."""
    if not is_loopback(bound):
        return True
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"host":
            host = value.strip().decode("latin-1").rsplit(":", 1)[0].strip("[]")
            return is_loopback(host)
    return True


def _address_of(host: str) -> str:
    """The address to announce: the bound one, or the one that leads out when all are bound."""
    if host not in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; the system only chooses its own address
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
