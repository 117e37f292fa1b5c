"""The socket to a DAW: UDP, or TCP with either framing; paced sending, and a thread that reads."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Sequence

from daw_bridge.errors import Busy, DawUnreachable, UsageError
from daw_bridge.mixer import MixerAddress
from daw_bridge.osc import Message, OscError, decode, encode, encode_bundle
from daw_bridge.osc_stream import LengthDeframer, SlipDeframer, frame
from daw_bridge_osc.profile import Transport

RECEIVE_BUFFER_BYTES = 4_194_304
CONNECT_TIMEOUT_S = 3.0


class Link:
    """An open socket. `on_messages` is called from the reading thread with what each packet held."""

    def __init__(
        self, transport: Transport, address: MixerAddress, on_messages: Callable[[list[Message]], None]
    ) -> None:
        self._transport = transport
        self._target = (address.host or transport.host, transport.port if address.port is None else address.port)
        self._on_messages = on_messages
        self._next_s = 0.0
        self._closing = False
        self.refused = False
        reply_port = transport.reply_port if address.reply_port is None else address.reply_port
        if not 0 < self._target[1] < 65536 or not 0 <= reply_port < 65536:
            raise UsageError(f"ports {self._target[1]} and {reply_port}: a port is a number from 1 to 65535")
        self._socket = self._open_udp(reply_port) if transport.framing is None else self._open_tcp()
        self._thread = threading.Thread(target=self._read, name="osc", daemon=True)
        self._thread.start()

    @property
    def where(self) -> str:
        return f"{self._target[0]}:{self._target[1]}"

    def _open_udp(self, reply_port: int) -> socket.socket:
        try:
            info = socket.getaddrinfo(*self._target, type=socket.SOCK_DGRAM)[0]
        except OSError as exc:
            raise DawUnreachable(f"{self.where}: no such host ({exc.strerror or exc})") from exc
        opened = socket.socket(info[0], socket.SOCK_DGRAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            # Only a DAW on another machine may answer from outside.
            local = "127.0.0.1" if info[4][0] == "127.0.0.1" else "::1" if info[4][0] == "::1" else ""
            opened.bind((local, reply_port))
            opened.connect(info[4]) if reply_port == 0 else None
        except OSError as exc:
            opened.close()
            if exc.errno == errno.EADDRINUSE:
                raise Busy(
                    f"port {reply_port}, where the DAW's feedback comes in, is taken by another program"
                ) from exc
            raise DawUnreachable(f"{self.where}: {exc.strerror or exc}") from exc
        self._remote = info[4]
        self._connected = reply_port == 0
        return opened

    def _open_tcp(self) -> socket.socket:
        try:
            opened = socket.create_connection(self._target, timeout=CONNECT_TIMEOUT_S)
        except OSError as exc:
            raise DawUnreachable(f"nothing listens at {self.where} (TCP); is the DAW's OSC on?") from exc
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a fader move must not wait for the next one
        return opened

    def send(self, messages: Sequence[Message], *, pause_ms: float = 0.0) -> None:
        """Send, paced; as one bundle where the profile wants it. Raises DawUnreachable."""
        if self._transport.bundle and len(messages) > 1 and not pause_ms:
            packets = [encode_bundle(messages)]
        else:
            packets = [encode(message) for message in messages]
        for position, packet in enumerate(packets):
            if position and pause_ms:
                time.sleep(pause_ms / 1000.0)
            self._pace()
            self._send(packet)

    def _pace(self) -> None:
        wait_s = self._next_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        self._next_s = max(time.monotonic(), self._next_s) + 1.0 / self._transport.messages_per_s

    def _send(self, packet: bytes) -> None:
        framing = self._transport.framing
        for last_try in (False, True):
            try:
                if framing is not None:
                    self._socket.sendall(frame(packet, framing))
                elif self._connected:
                    self._socket.send(packet)
                else:
                    self._socket.sendto(packet, self._remote)
                return
            except ConnectionRefusedError as exc:
                # A UDP socket hears of the previous packet's refusal here; only the second one in a row is about now.
                if last_try or framing is not None:
                    raise DawUnreachable(f"nothing listens at {self.where}; is the DAW's OSC on?") from exc
            except OSError as exc:
                raise DawUnreachable(f"{self.where}: the connection broke ({exc.strerror or exc})") from exc

    def _read(self) -> None:
        framing = self._transport.framing
        deframer = SlipDeframer() if framing == "slip" else LengthDeframer()
        self._socket.settimeout(0.5)
        while not self._closing:
            try:
                data, sender = self._socket.recvfrom(65_536)
                if framing is None and not self._connected and sender[0] != self._remote[0]:
                    continue
                if framing is not None and not data:
                    return
                packets = [data] if framing is None else deframer.feed(data)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                self.refused = True
                time.sleep(0.01)
                continue
            except (OSError, OscError):
                return
            for packet in packets:
                try:
                    messages = decode(packet, text_errors="replace")
                except OscError:
                    continue
                self._on_messages(messages)

    def close(self) -> None:
        self._closing = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)
        self._socket.close()
