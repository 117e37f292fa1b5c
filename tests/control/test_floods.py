"""Floods, full tables, slow and vanished clients: bounded, and nobody else notices."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from daw_bridge.control.net.clients import LEASE_S, MAX_SUBSCRIBERS, Subscribers
from daw_bridge.control.net.security import BURST, RATE_PER_S, RateLimiter
from daw_bridge.control.net.server import MAX_CONNECTIONS
from daw_bridge.osc import Message, encode
from daw_bridge.osc_stream import frame
from tests.control.conftest import connected, rss_bytes, stats_of

Make = Callable[..., Any]


def test_a_flood_of_messages_is_bounded_and_a_job_ends_meanwhile(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    make_mix(steps=20, pause=0.05)
    daemon = make_daemon()
    peer, flooder = make_peer(daemon.port), make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    before, packet = rss_bytes(), encode(Message("/dawbridge/stem/vocals/gain_db", (-6.0,)))
    started = time.monotonic()
    for _ in range(20_000):
        flooder.socket.sendto(packet, flooder.address)
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 200)
    stats = stats_of(peer)
    # The rest was dropped: by the bucket, or by the kernel while the loop was busy. True however long all this took.
    assert stats["messages_in"] <= RATE_PER_S * (time.monotonic() - started) + BURST
    assert stats["errors_not_sent"] > 0  # "no DAW is bound", at a bounded rate
    assert rss_bytes() - before < 40_000_000


@pytest.mark.parametrize("junk", [b"\xc0" * 65_536, b"\xc0" + b"\xdb\xdc" * 60_000, b"\0\0\xff\xe0" + b"x" * 60_000])
def test_a_tcp_client_that_only_pumps_bytes_neither_blocks_nor_grows_the_daemon(
    make_daemon: Make, make_peer: Make, junk: bytes
) -> None:
    peer = make_peer(make_daemon().port)
    before, pumping = rss_bytes(), threading.Event()

    def pump() -> None:
        with socket.create_connection(peer.address, timeout=20) as connection:
            connection.sendall(junk[:4])
            while not pumping.is_set():
                try:
                    connection.sendall(junk)
                except OSError:
                    return

    threads = [threading.Thread(target=pump) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"
        assert rss_bytes() - before < 40_000_000
    finally:
        pumping.set()
        for thread in threads:
            thread.join()


def test_more_connections_than_allowed_are_refused_and_the_others_work(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    held = [connected(daemon.port) for _ in range(MAX_CONNECTIONS)]
    try:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=240) as one_more:
            try:
                assert one_more.recv(10) == b""
            except ConnectionResetError:
                pass
        held[0].sendall(frame(encode(Message("/dawbridge/ping")), "length"))
        assert b"/dawbridge/reply" in held[0].recv(200)
        assert stats_of(make_peer(daemon.port))["connections_refused"] == 1
    finally:
        for connection in held:
            connection.close()


def test_slow_and_vanished_subscribers_do_not_slow_a_job(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    """A TCP subscriber that never reads, one that breaks off, and UDP ones that are gone; the job ends and is told."""
    make_mix(steps=200)
    daemon = make_daemon()
    subscribe = frame(encode(Message("/dawbridge/subscribe")), "length")
    deaf, broken = connected(daemon.port), connected(daemon.port)
    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset instead of a goodbye
    for connection in (deaf, broken):
        connection.sendall(subscribe)
    broken.close()
    for _ in range(20):
        gone = make_peer(daemon.port)
        gone.send("/dawbridge/subscribe")
        gone.socket.close()
    peer = make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 30)
    deaf.close()


def test_a_client_that_reads_nothing_is_closed_and_slows_nobody(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    with connected(daemon.port) as slow:
        request = frame(encode(Message("/dawbridge/template/list", ("#" + "x" * 100,))), "length")
        while "slow_clients_closed" not in stats_of(peer):
            try:
                slow.sendall(request * 100)
            except OSError:
                break
        assert peer.ask_until_answered("/dawbridge/ping").address == "/dawbridge/reply"
        assert stats_of(peer)["slow_clients_closed"] == 1


def test_a_vanished_udp_subscriber_costs_nothing(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    make_mix(steps=30)
    daemon = make_daemon()
    gone, peer = make_peer(daemon.port), make_peer(daemon.port)
    gone.ask("/dawbridge/subscribe")
    gone.socket.close()
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 20)


def test_a_token_bucket_gives_its_rate_and_forgets_old_hosts() -> None:
    now = [0.0]
    limiter = RateLimiter(10, 5, clock=lambda: now[0])
    assert [limiter.allows("a") for _ in range(6)] == [True] * 5 + [False]
    now[0] = 0.3
    assert [limiter.allows("a") for _ in range(4)] == [True] * 3 + [False]
    for number in range(1000):
        limiter.allows(f"host {number}")
    assert len(limiter._buckets) <= 256


class _Sink:
    lasting = False

    def __init__(self, number: int) -> None:
        self.host, self.key, self.packets = f"h{number}", f"k{number}", 0

    def send(self, message: Message) -> None:
        self.packets += 1


def test_subscribers_are_bounded_and_expire() -> None:
    now = [0.0]
    table = Subscribers(clock=lambda: now[0])
    sinks = [_Sink(number) for number in range(MAX_SUBSCRIBERS + 3)]
    for sink in sinks[:-3]:
        table.add(sink)
    table.renew("h0")
    for sink in sinks[-3:]:
        table.add(sink)
    assert len(table) == MAX_SUBSCRIBERS
    table.broadcast(Message("/x"))
    assert [sink.packets for sink in sinks[:5]] == [1, 0, 0, 0, 1]  # h0 was heard of again, h1..h3 made place
    now[0] = LEASE_S + 1
    table.broadcast(Message("/x"))
    assert len(table) == 0
