"""The daemon answers on this machine's own addresses of both families: `localhost` may mean either."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daw_bridge.control.net.secret import known_secret
from daw_bridge.control.net.security import both_loopbacks
from daw_bridge.errors import Busy
from daw_bridge.osc import Message, decode, encode
from daw_bridge.osc_stream import deframer_for, frame


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
FAMILIES = [
    ("127.0.0.1", socket.AF_INET),
    pytest.param("::1", socket.AF_INET6, marks=needs_ipv6),
]


@pytest.fixture(params=["127.0.0.1", "localhost", pytest.param("::1", marks=needs_ipv6)])
def port(request: pytest.FixtureRequest, make_daemon: Callable[..., Any]) -> Iterator[int]:
    yield make_daemon(host=request.param).port


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_a_datagram_is_answered_where_it_came_from(port: int, host: str, family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        peer.sendto(encode(Message("/dawbridge/ping")), (host, port))
        data, sender = peer.recvfrom(9999)
    assert sender[:2] == (host, port)
    assert [message.arguments[2] for message in decode(data)] == ["daw-bridge"]


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_a_subscriber_at_another_port_hears_of_both(port: int, host: str, family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as peer, socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.bind((host, 0))
        listener.settimeout(20)
        peer.sendto(encode(Message("/dawbridge/subscribe", (listener.getsockname()[1],))), (host, port))
        heard = decode(listener.recv(9999))
    assert heard[0].address.startswith("/dawbridge/")


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_a_connection_is_answered(port: int, host: str, family: socket.AddressFamily) -> None:
    del family
    with socket.create_connection((host, port), timeout=240) as connection:
        for message in (Message("/dawbridge/hello", (known_secret(port),)), Message("/dawbridge/ping")):
            connection.sendall(frame(encode(message), "length"))
        deframer = deframer_for(0)
        heard: list[Message] = []
        while len(heard) < 2:
            for packet in deframer.feed(connection.recv(999)):
                heard += decode(packet)
    assert [message.arguments[1] for message in heard] == ["/dawbridge/hello", "/dawbridge/ping"]


@needs_ipv6
def test_a_port_that_is_taken_in_one_family_is_taken(make_daemon: Callable[..., Any]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::1", 0))
        with pytest.raises(Busy, match="the port is taken"):
            make_daemon(port=other.getsockname()[1])


def test_an_address_of_the_network_stays_the_only_one() -> None:
    assert both_loopbacks("192.168.1.5") == ("192.168.1.5",)
    assert both_loopbacks("0.0.0.0") == ("0.0.0.0",)  # noqa: S104  nothing is bound here
