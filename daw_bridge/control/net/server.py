"""OSC over UDP and TCP on one port: bytes in, messages to the bridge; nothing a peer sends can stop or grow it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

from daw_bridge.control.bridge import Bridge
from daw_bridge.control.net.clients import Client
from daw_bridge.control.net.peer import UdpOwners
from daw_bridge.control.net.security import SHARE_PER_S, RateLimiter, both_loopbacks, is_loopback, sender_of
from daw_bridge.errors import Busy, DawBridgeError, OutputError
from daw_bridge.osc import IMMEDIATELY, Message, OscError, decode, encode, time_tag_to_unix_s
from daw_bridge.osc_stream import Deframer, Framing, deframer_for, frame

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
HELLO_S = 10.0
"""How long a connection may be silent before it has said anything that counts; then it makes room for others."""
MAX_BACKLOG_BYTES = 262_144
"""What a slow client may leave unread before its connection is closed (TCP) or its packets are dropped (UDP)."""
TIME_TAG_PAST_S = 10.0
TIME_TAG_FUTURE_S = 1.0
"""Bundles are carried out at once. Time tags farther off than this are dropped: they are not meant for now."""
READ_BYTES = 16_384
OVER_RATE_REST_S = 0.1
"""A TCP connection over its rate is not read for so long; what it sends meanwhile waits in its own buffers."""
RECEIVE_BUFFER_BYTES = 1_048_576
SEND_BUFFER_BYTES = 131_072
FREE_PORT_TRIES = 8
MAX_DATAGRAM_BYTES = 65_536
DATAGRAMS_A_TURN = 256
TOTAL_PER_S = 3000.0
"""Messages a second from all senders together; beyond that they are dropped before they are read."""


class Packets:
    """Messages as OSC bytes. The last one is kept: what is told to all subscribers is encoded once."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._last: tuple[Message, bytes | None] | None = None

    def of(self, message: Message) -> bytes | None:
        """None, and counted, for values that OSC cannot hold."""
        if self._last is None or self._last[0] is not message:
            try:
                packet = encode(message)
            except OscError as exc:
                _log.warning("a message cannot be sent: %s", exc)
                self._bridge.counters.add("messages_not_sent")
                packet = None
            self._last = (message, packet)
        return self._last[1]


class UdpClient:
    """A peer behind a UDP address."""

    lasting = False

    def __init__(
        self, transport: asyncio.DatagramTransport, address: tuple[str, int], bridge: Bridge, packets: Packets
    ) -> None:
        self._transport, self._address, self._bridge, self._packets = transport, address, bridge, packets

    @property
    def host(self) -> str:
        return self._address[0]

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def key(self) -> str:
        return f"udp:{self._address[0]}:{self._address[1]}"

    def send(self, message: Message) -> None:
        packet = self._packets.of(message)
        if packet is None:
            return
        # asyncio's datagram transports have this method; typeshed does not know it.
        backlog: int = getattr(self._transport, "get_write_buffer_size", int)()
        if self._transport.is_closing() or backlog > MAX_BACKLOG_BYTES:
            self._bridge.counters.add("packets_not_sent")
            return
        self._transport.sendto(packet, self._address)

    def at_port(self, port: int) -> UdpClient:
        """The same host at another port: where its replies and feedback should go."""
        return UdpClient(self._transport, (self._address[0], port), self._bridge, self._packets) if port else self


class TcpClient:
    """A peer behind a TCP connection."""

    lasting = True

    def __init__(
        self, transport: asyncio.Transport, host: str, framing: Framing, bridge: Bridge, packets: Packets
    ) -> None:
        self._transport, self.host, self._framing, self._bridge = transport, host, framing, bridge
        self._packets = packets
        self.key = f"tcp:{id(transport)}"

    def send(self, message: Message) -> None:
        packet = self._packets.of(message)
        if packet is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            self._bridge.counters.add("slow_clients_closed")
            self._transport.abort()
            return
        self._transport.write(frame(packet, self._framing))


class Gate:
    """What every packet passes: sender, rate, syntax, time tags."""

    def __init__(
        self, bridge: Bridge, limiter: RateLimiter | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bridge, self._limiter = bridge, limiter or RateLimiter(clock=clock)
        self.packets = Packets(bridge)
        self._owners = UdpOwners(clock)
        self._total = RateLimiter(TOTAL_PER_S, TOTAL_PER_S, clock)
        self._shares = RateLimiter(SHARE_PER_S, SHARE_PER_S, clock)

    def packet(self, data: bytes, client: Client) -> bool:
        """Take one packet; False when the sender is over its rate. OscError for what is no OSC on a stream."""
        counters = self._bridge.counters
        if not self._bridge.policy.admits(client.host) or self._is_another_users(client):
            counters.add("packets_from_strangers")
            return True
        if not self._allows(client):
            counters.add("packets_over_rate")
            return False
        try:
            messages = decode(data)
        except OscError as exc:
            counters.add("packets_malformed")
            _log.debug("malformed packet from %s: %s", client.host, exc)
            if client.lasting:
                raise
            return True
        now = time.time()
        for position, message in enumerate(messages):
            if position and not self._allows(client):
                counters.add("packets_over_rate")
                break
            if self._timely(message, now):
                self._bridge.receive(message, client)
            else:
                counters.add("messages_untimely")
                late = DawBridgeError("the bundle's time tag is not now; commands are carried out at once")
                self._bridge.error(client, message.address, "", late)
        return True

    def _is_another_users(self, client: Client) -> bool:
        """A surface has no place for a secret, but the system knows whose program sends; connections say the secret."""
        return isinstance(client, UdpClient) and not self._owners.may_be_ours(client.host, client.port)

    def _allows(self, client: Client) -> bool:
        """A sender has a small share for itself, whatever others do; what is beyond it comes out of what all share.

        A sender is a host (`sender_of`); on this machine, where many programs are one host, it is a port.
        """
        sender = client.key if is_loopback(client.host) else sender_of(client.host)
        if not self._limiter.allows(sender):
            return False
        return self._shares.allows(sender) or self._total.allows("")

    @staticmethod
    def _timely(message: Message, now: float) -> bool:
        if message.time_tag == IMMEDIATELY:
            return True
        return -TIME_TAG_PAST_S <= time_tag_to_unix_s(message.time_tag) - now <= TIME_TAG_FUTURE_S


class _UdpProtocol(asyncio.DatagramProtocol):
    """Takes many datagrams a turn of the loop, which by itself takes one: what a flood is over its rate has to be
    dropped faster than it comes, or the system drops what others send."""

    def __init__(self, bridge: Bridge, gate: Gate) -> None:
        self._bridge, self._gate = bridge, gate
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: asyncio's own datagram transport is no DatagramTransport in Python 3.11.
        self._transport = cast("asyncio.DatagramTransport", transport)
        udp_socket = transport.get_extra_info("socket")
        udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if sys.platform != "win32":  # where the loop has a read of its own under way
            self._socket = socket.socket(fileno=os.dup(udp_socket.fileno()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self._take(data, addr)
        for _ in range(DATAGRAMS_A_TURN):
            if self._socket is None:
                return
            try:
                data, addr = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
            except OSError:  # nothing more has come; what is wrong with the socket the loop will say
                return
            self._take(data, addr)

    def _take(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if self._transport is not None and int(addr[1]) != 0:
            client = UdpClient(self._transport, (str(addr[0]), int(addr[1])), self._bridge, self._gate.packets)
            self._gate.packet(data, client)

    def error_received(self, exc: Exception) -> None:
        self._bridge.counters.add("packets_not_delivered")
        _log.debug("UDP: %s", exc)


class _TcpProtocol(asyncio.BufferedProtocol):
    """Reads a bounded piece at a time and rests when the peer is over its rate: nobody has the loop to himself."""

    def __init__(self, bridge: Bridge, gate: Gate, open_connections: dict[_TcpProtocol, None]) -> None:
        self._bridge, self._gate, self._open = bridge, gate, open_connections
        self._transport: asyncio.Transport | None = None
        self._host = ""
        self._deframer: Deframer | None = None
        self._client: TcpClient | None = None
        self._buffer = bytearray(READ_BYTES)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername") or ("", 0)
        self._transport, self._host = cast("asyncio.Transport", transport), str(peer[0])
        if not self._bridge.policy.admits(self._host) or not self._has_room():
            self._bridge.counters.add("connections_refused")
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(HELLO_S, self._too_silent)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._open[self] = None

    def _has_room(self) -> bool:
        """Whether there is room, or one that has not said the secret makes it: the oldest of the host with the most."""
        if len(self._open) < MAX_CONNECTIONS:
            return True
        silent = [other for other in self._open if not other.is_known]
        if not silent:
            return False
        crowd = Counter(sender_of(other._host) for other in silent)
        oldest = next(other for other in silent if crowd[sender_of(other._host)] == max(crowd.values()))
        oldest._too_silent()
        return True

    @property
    def is_known(self) -> bool:
        """Whether this peer has said what it has to say before its commands count."""
        return self._client is not None and not self._bridge.is_stranger(self._client)

    def _too_silent(self) -> None:
        if self._transport is not None and not self.is_known:
            self._bridge.counters.add("connections_silent")
            self._open.pop(self, None)
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        data = bytes(self._buffer[:nbytes])
        try:
            self._take(data, self._transport)
        except OscError as exc:
            self._bridge.counters.add("streams_malformed")
            _log.debug("stream of %s: %s", self._host, exc)
            self._transport.abort()

    def _take(self, data: bytes, transport: asyncio.Transport) -> None:
        """OscError when the stream is none of OSC frames: a page in a browser can send anything behind its headers."""
        if self._deframer is None:
            if data[:1] not in (b"\0", b"\xc0"):
                raise OscError("begins with neither a length nor an END")
            self._deframer = deframer_for(data[0])
        if self._client is None:
            self._client = TcpClient(transport, self._host, self._deframer.framing, self._bridge, self._gate.packets)
            self._bridge.arrived(self._client)
        packets = self._deframer.feed(data)
        for position, packet in enumerate(packets, start=1):
            if transport.is_closing():
                return
            if not self._gate.packet(packet, self._client):
                self._bridge.counters.add("packets_over_rate", len(packets) - position)
                self._rest(transport)
                return

    @staticmethod
    def _rest(transport: asyncio.Transport) -> None:
        transport.pause_reading()
        asyncio.get_running_loop().call_later(OVER_RATE_REST_S, transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._open.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._client is not None:
            self._bridge.gone(self._client)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class OscServer:
    """A UDP and a TCP socket of one port; on loopback of both families, since `localhost` may mean either.

    `port` 0 takes a port that is free for all of them; Busy when one is taken.
    """

    def __init__(self, bridge: Bridge, host: str, port: int, limiter: RateLimiter | None = None) -> None:
        self._bridge, self._host, self.port = bridge, host, port
        self._gate = Gate(bridge, limiter)
        self._connections: dict[_TcpProtocol, None] = {}
        self._udp: list[asyncio.DatagramTransport] = []
        self._tcp: list[asyncio.Server] = []
        bridge.reply_client = lambda client, port: client.at_port(port) if isinstance(client, UdpClient) else client

    async def start(self) -> None:
        wanted = self.port
        first, *others = both_loopbacks(self._host)
        for left in reversed(range(1 if wanted else FREE_PORT_TRIES)):
            try:
                await self._listen(first)
                for other in others:
                    await self._listen_if_there(other)
                return
            except OSError as exc:
                await self.stop()
                self.port = wanted
                if exc.errno != errno.EADDRINUSE or not left:
                    raise self._named(exc) from exc

    async def _listen(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        tcp = await loop.create_server(
            lambda: _TcpProtocol(self._bridge, self._gate, self._connections), host, self.port
        )
        self._tcp.append(tcp)
        self.port = int(tcp.sockets[0].getsockname()[1])
        udp, _ = await loop.create_datagram_endpoint(
            lambda: _UdpProtocol(self._bridge, self._gate), local_addr=(host, self.port)
        )
        self._udp.append(udp)

    async def _listen_if_there(self, host: str) -> None:
        """The other family's loopback; a machine need not have it."""
        try:
            await self._listen(host)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise
            _log.debug("no loopback at %s (%s)", host, exc)

    def _named(self, exc: OSError) -> DawBridgeError:
        where = f"{self._host}:{self.port}"
        if exc.errno == errno.EADDRINUSE:
            return Busy(
                f"{where}: the port is taken, perhaps by another daw-bridge daemon; stop it or choose another `port`"
            )
        return OutputError(f"{where}: cannot listen here ({exc.strerror or exc}); check `bind` and `port`")

    async def stop(self) -> None:
        for udp in self._udp:
            udp.close()
        for tcp in self._tcp:
            tcp.close()
        for connection in list(self._connections):
            connection.close()
        for tcp in self._tcp:
            await tcp.wait_closed()
        self._udp, self._tcp = [], []
