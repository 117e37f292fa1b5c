"""Malformed, confused and fuzzed messages: the daemon answers or drops with a counter, and goes on."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.control.commands import COMMANDS, parse
from daw_bridge.errors import UsageError
from daw_bridge.osc import Message, encode, encode_bundle
from daw_bridge.osc_stream import frame
from tests.control.conftest import rss_bytes, stats_of
from tests.osc.time_tags import unix_s_to_time_tag

Make = Callable[..., Any]


@given(st.text(max_size=60), st.lists(st.integers() | st.floats() | st.text(max_size=9) | st.none(), max_size=9))
def test_any_message_is_a_command_or_a_usage_error(address: str, arguments: list[Any]) -> None:
    for command in COMMANDS[::4]:
        for target in (address, command.address, f"{command.address}/{address}"):
            try:
                parse(target, tuple(arguments))
            except UsageError:
                pass


@pytest.mark.parametrize(
    ("address", "arguments", "reason"),
    [
        ("/dawbridge/stem/*/mute", (1,), "address patterns are not taken"),
        ("/dawbridge/{build,separate}", ("x",), "address patterns are not taken"),
        ("/dawbridge/biuld", ("x",), "did you mean /dawbridge/build"),
        ("/dawbridge/build", (), "mix is missing"),
        ("/dawbridge/build", (1.5,), "mix is a path, not 1.5"),
        ("/dawbridge/build", (b"x" * 60_000,), "mix is a path"),
        ("/dawbridge/build", ("x",) * 9, "9 arguments; it takes 6"),
        ("/dawbridge/build", ("x" * 2000,), "mix is a path"),
        ("/dawbridge/stem/vocals/gain_db", ("loud",), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (True,), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (float("nan"),), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (99.0,), "out of range"),
        ("/dawbridge/stem/vocals/mute", (7,), "mute is a switch"),
        (f"/dawbridge/stem/{'v' * 200}/mute", (1,), "a name has 1 to 100 characters"),
        ("/dawbridge/stem//mute", (1,), "a name has 1 to 100 characters"),
        ("/dawbridge/cancel", (1.5,), "job is a whole"),
        ("/dawbridge/subscribe", (99_999,), "out of range"),
    ],
)
def test_type_confusion_is_answered_with_an_error(
    shared_daemon_port: int, make_peer: Make, address: str, arguments: tuple[Any, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(address, arguments)
    peer = make_peer(shared_daemon_port)
    error = peer.ask(address, *arguments)
    assert error.address == "/dawbridge/error" and reason in error.arguments[2] and error.arguments[3] == 2


def test_garbage_of_every_kind_is_counted_and_survived(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    bundle = b"#bundle\0" + bytes(7) + b"\1"
    nested = encode(Message("/dawbridge/ping"))
    for _ in range(50):
        nested = bundle + struct.pack(">i", len(nested)) + nested
    ping = [Message("/dawbridge/ping")]
    far = [encode_bundle(ping, unix_s_to_time_tag(time.time() + shift_s)) for shift_s in (5.0, 1e8, -60.0, -1e9)]
    packets = [b"", b"\0", b"junk", bundle + struct.pack(">i", -4) + b"/a\0\0", nested, b"/a\0\0,b\0\0\x7f\xff\xff\xff"]
    blob = b"/dawbridge/build\0\0\0\0,b\0\0" + struct.pack(">i", 60_000) + bytes(60_000)
    for packet in [*packets, *far, blob]:
        peer.socket.sendto(packet, peer.address)
    peer.socket.sendto(encode_bundle([Message("/dawbridge/ping")], 1), peer.address)
    refused = peer.wait(lambda each: each.address == "/dawbridge/error" and each.arguments[1] == "/dawbridge/build")
    assert "mix is a path, not b'" in refused.arguments[2] and len(refused.arguments[2]) < 200
    stats = stats_of(peer)
    assert stats["packets_malformed"] == len(packets)
    assert stats["messages_untimely"] == 4
    assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"


def test_a_bundle_in_a_bundle_is_carried_out_at_its_own_time(make_daemon: Make, make_peer: Make) -> None:
    peer = make_peer(make_daemon().port)

    def wrapped(packet: bytes, time_tag: int = 1) -> bytes:
        return b"#bundle\0" + struct.pack(">Qi", time_tag, len(packet)) + packet

    peer.socket.sendto(wrapped(wrapped(encode(Message("/dawbridge/ping", ("#in",))))), peer.address)
    assert peer.wait(lambda each: each.address == "/dawbridge/reply").arguments[0] == "in"
    late = unix_s_to_time_tag(time.time() + 3600)
    peer.socket.sendto(wrapped(wrapped(encode(Message("/dawbridge/ping")), late), late), peer.address)
    assert "time tag is not now" in peer.wait(lambda each: each.address == "/dawbridge/error").arguments[2]


def test_six_thousand_fuzzed_datagrams_leave_it_alive(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    rng = random.Random(11)
    good = [encode(Message(command.address, ("x", 1, 2.0))) for command in COMMANDS]
    before = rss_bytes()
    for count in range(6_000):
        packet = bytearray(rng.choice(good))
        for _ in range(rng.randint(0, 4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        peer.socket.sendto(bytes(packet[: rng.randint(0, len(packet))]), peer.address)
        if count % 500 == 0:
            time.sleep(0.01)  # the kernel's queue would drop most of them
    assert peer.ask_until_answered("/dawbridge/ping").address == "/dawbridge/reply"
    assert rss_bytes() - before < 60_000_000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_on_a_tcp_connection_end_only_that_connection(shared_daemon_port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared_daemon_port), timeout=240) as connection:
        connection.sendall(data)
    with socket.create_connection(("127.0.0.1", shared_daemon_port), timeout=240) as connection:
        connection.sendall(frame(encode(Message("/dawbridge/ping")), "length"))
        assert connection.recv(100)[4:].startswith(b"/dawbridge/reply")


@pytest.fixture(scope="module")
def shared_daemon_port(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from daw_bridge.control.daemon import ServeOptions
    from tests.control.conftest import DaemonThread

    folder = tmp_path_factory.mktemp("shared")
    daemon = DaemonThread(ServeOptions(music=[folder], queue=folder / "q.sqlite", port=0))
    yield daemon.port
    daemon.stop()
