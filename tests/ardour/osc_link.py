"""One UDP socket to Ardour's OSC server: messages out, answers from that server only.

Ardour in "auto port" mode answers to the socket that asked, so one socket does both. Feedback bit 16384 makes it answer
under `/reply`; without it the address is `#reply`, which is no OSC address.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from daw_bridge.errors import AdapterMissing, DawUnreachable

Argument = int | float | str
_LARGEST_DATAGRAM = 65_535


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message."""

    address: str
    arguments: tuple[Argument, ...]


class OscLink:
    """A connected socket; `wait_for` collects what comes until a message fits."""

    def __init__(self, host: str, port: int) -> None:
        try:
            import pythonosc  # noqa: F401 - asked early, so that the error names the extra
        except ImportError as exc:
            raise AdapterMissing(
                "live control needs the package 'pythonosc'; install it with: pip install 'daw-bridge[osc]'"
            ) from exc
        self.name = f"{host}:{port}"
        self._inbox: deque[Message] = deque()
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            # A connected UDP socket hears this peer only, and a closed port answers with an error.
            self._socket.connect(address)
        except OSError as exc:
            raise DawUnreachable(
                f"{self.name}: cannot be reached ({exc.strerror or exc}); check the host name"
            ) from exc

    def close(self) -> None:
        self._socket.close()

    def send(self, address: str, *arguments: Argument) -> None:
        """One message; ints go as int32, floats as float32, text as string."""
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address=address)
        for argument in arguments:
            builder.add_arg(argument)
        try:
            self._socket.send(builder.build().dgram)
        except OSError as exc:
            raise DawUnreachable(f"nothing listens at {self.name} ({exc.strerror or exc})") from exc

    def forget(self) -> None:
        """Drop what has arrived so far."""
        while self._receive(0.0):
            pass
        self._inbox.clear()

    def wait_for(self, fits: Callable[[Message], bool], timeout_s: float) -> Message | None:
        """The first message that fits, or None; messages that do not fit are dropped."""
        end = time.monotonic() + timeout_s
        while True:
            while self._inbox:
                message = self._inbox.popleft()
                if fits(message):
                    return message
            left = end - time.monotonic()
            if left <= 0.0 or not self._receive(left):
                return None

    def _receive(self, timeout_s: float) -> bool:
        """Take one datagram into the inbox; False when none came in time. Damaged ones are skipped."""
        from pythonosc.osc_packet import OscPacket, ParseError

        # A timeout of 0 would make the socket non-blocking, which raises another error.
        self._socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self._socket.recv(_LARGEST_DATAGRAM)
        except TimeoutError:
            return False
        except OSError as exc:
            raise DawUnreachable(f"nothing listens at {self.name} ({exc.strerror or exc})") from exc
        try:
            packet = OscPacket(data)
        except ParseError:
            return True
        for timed in packet.messages:
            self._inbox.append(Message(timed.message.address, tuple(timed.message.params)))
        return True
