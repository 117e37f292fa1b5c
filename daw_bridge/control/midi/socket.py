"""MIDI over TCP as mido's socket ports speak it: raw MIDI bytes, both ways. For machines without a MIDI system.

A server of our own, because `mido.sockets.PortServer` (1.3.3) waits for a client even when it is asked not to.
"""

from __future__ import annotations

import importlib
import re
import socket
from collections.abc import Iterator
from typing import Any

from daw_bridge.control.net.peer import may_be_ours

MAX_CLIENTS = 8
MAX_SYSEX_BYTES = 65_536
"""How long a system-exclusive message may be: a client that never ends one is let go."""


_STATUS = re.compile(rb"[\x80-\xf7]")
"""What begins or ends a message; 0xF8 and above are clock ticks, which may stand inside any other one."""


class _Stream:
    """The bytes of one client: its parser, and how much of a message that has not ended is held."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser
        self.begun = False
        self._held_bytes = 0

    def takes(self, data: bytes) -> bool:
        """False for what is no MIDI from its first byte (a page in a browser sends text), and for endless messages."""
        if not self.begun and data[0] < 0x80:
            return False
        self.begun = True
        marks = [match.start() for match in _STATUS.finditer(data)]
        self._held_bytes = len(data) - marks[-1] if marks else self._held_bytes + len(data)
        return self._held_bytes <= MAX_SYSEX_BYTES


class SocketPort:
    """Listens, and merges what its clients send; `send` goes to all of them."""

    def __init__(self, host: str, port: int) -> None:
        self._parser_type: Any = importlib.import_module("mido").Parser
        self._clients: dict[socket.socket, _Stream] = {}
        self._server = socket.create_server((host, port))
        self._server.setblocking(False)

    def iter_pending(self) -> Iterator[Any]:
        """The messages that have come; never waits."""
        self._accept()
        for client, stream in list(self._clients.items()):
            try:
                data = client.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data or not stream.takes(data):
                self._drop(client)
                continue
            stream.parser.feed(data)
            yield from stream.parser

    def _accept(self) -> None:
        while True:
            try:
                client, peer = self._server.accept()
            except OSError:
                return
            if not may_be_ours(client, peer) or not self._has_room():
                client.close()
                continue
            client.setblocking(False)
            self._clients[client] = _Stream(self._parser_type())

    def _has_room(self) -> bool:
        """Whether there is room, or the oldest one that has never said anything makes it."""
        if len(self._clients) < MAX_CLIENTS:
            return True
        silent = next((client for client, stream in self._clients.items() if not stream.begun), None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def send(self, message: Any) -> None:
        """To all clients; one that does not read is let go."""
        data = bytes(message.bin())
        for client in list(self._clients):
            try:
                client.sendall(data)
            except OSError:
                self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        client.close()

    def close(self) -> None:
        for client in list(self._clients):
            self._drop(client)
        self._server.close()
