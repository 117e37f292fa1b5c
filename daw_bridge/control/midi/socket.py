"""MIDI over TCP as mido's socket ports speak it: raw MIDI bytes, both ways. For machines without a MIDI system.

A server of our own, because `mido.sockets.PortServer` (1.3.3) waits for a client even when it is asked not to.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from typing import Any

MAX_CLIENTS = 8


class SocketPort:
    """Listens, and merges what its clients send; `send` goes to all of them."""

    def __init__(self, host: str, port: int) -> None:
        self._parser_type: Any = importlib.import_module("mido").Parser
        self._clients: dict[socket.socket, Any] = {}
        self._server = socket.create_server((host, port))
        self._server.setblocking(False)

    def iter_pending(self) -> Iterator[Any]:
        """The messages that have come; never waits."""
        self._accept()
        for client, parser in list(self._clients.items()):
            try:
                data = client.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._drop(client)
                continue
            parser.feed(data)
            yield from parser

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if len(self._clients) >= MAX_CLIENTS:
                client.close()
                continue
            client.setblocking(False)
            self._clients[client] = self._parser_type()

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
