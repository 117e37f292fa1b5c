"""Whoever connects to the MIDI socket: a client without end, a web page, a crowd that says nothing."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from daw_bridge.control.midi.socket import MAX_CLIENTS, MAX_SYSEX_BYTES, SocketPort
from tests.waiting import ended


def test_a_midi_client_that_never_ends_its_message_is_let_go() -> None:
    pytest.importorskip("mido")
    port = SocketPort("127.0.0.1", 0)
    try:
        for endless in (b"\xf0" + b"\x01" * 4_000, b"\xf0" + b"\x01\xf8" * 2_000):
            with socket.create_connection(port._server.getsockname(), timeout=240) as client:
                client.setblocking(False)
                sent, gone = 0, False
                while sent < 4_000_000 and not gone:
                    try:
                        sent += client.send(endless if sent == 0 else endless[1:])
                    except BlockingIOError:
                        pass
                    except OSError:
                        gone = True
                    list(port.iter_pending())
                    gone = gone or (sent > 0 and not port._clients)
                assert gone and sent < 20 * MAX_SYSEX_BYTES + 1_000_000
    finally:
        port.close()


def test_a_midi_socket_hears_midi_and_no_web_page() -> None:
    pytest.importorskip("mido")
    port = SocketPort("127.0.0.1", 0)
    try:
        with (
            socket.create_connection(port._server.getsockname(), timeout=240) as page,
            socket.create_connection(port._server.getsockname(), timeout=240) as pad,
        ):
            page.sendall(b"POST / HTTP/1.1\r\n\r\n\x90\x40\x40")
            pad.sendall(b"\x90\x41\x41")
            heard: list[Any] = []
            while not heard or len(port._clients) > 1:
                heard += port.iter_pending()
            assert [message.note for message in heard] == [0x41]
    finally:
        port.close()


def test_silent_midi_connections_make_room_and_players_stay() -> None:
    pytest.importorskip("mido")
    port = SocketPort("127.0.0.1", 0)
    with contextlib.ExitStack() as stack:
        stack.callback(port.close)

        def connected() -> socket.socket:
            return stack.enter_context(socket.create_connection(port._server.getsockname(), timeout=240))

        def plays(client: socket.socket, note: int) -> None:
            client.sendall(bytes((0x90, note, 0x40)))
            for _ in range(20_000):  # loopback is there by then, or the connection was closed
                if heard := list(port.iter_pending()):
                    break
            assert [message.note for message in heard] == [note]

        player = connected()
        plays(player, 0x41)
        silent = [connected() for _ in range(MAX_CLIENTS - 1)]
        while len(port._clients) < MAX_CLIENTS:
            assert list(port.iter_pending()) == []
        plays(connected(), 0x42)
        assert ended(silent[0]) and len(port._clients) == MAX_CLIENTS
        plays(player, 0x43)
