"""A blocking client of the daemon over TCP, for the command line and for scripts."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from daw_bridge.control import DEFAULT_PORT
from daw_bridge.control.net.secret import known_secret
from daw_bridge.control.net.security import is_loopback
from daw_bridge.errors import DawBridgeError, DawUnreachable
from daw_bridge.osc import Message, OscError, OscValue, decode, encode
from daw_bridge.osc_stream import LengthDeframer, frame


class DaemonClient:
    """One connection. Raises DawUnreachable when no daemon listens, DawBridgeError for what the daemon refuses."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, timeout_s: float = 10.0, token: str = ""
    ) -> None:
        self._where, self._timeout_s = f"{host}:{port}", timeout_s
        self._deframer, self._ready = LengthDeframer(), list[Message]()
        self._requests = 0
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout_s)
        except OSError as exc:
            raise DawUnreachable(f"no daw-bridge daemon at {self._where}; start one with: daw-bridge serve") from exc
        said = token or (known_secret(port) if is_loopback(host) else "")
        if said:
            self.call("/dawbridge/hello", said)

    def __enter__(self) -> DaemonClient:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, address: str, *arguments: OscValue) -> None:
        """One message."""
        try:
            self._socket.sendall(frame(encode(Message(address, arguments)), "length"))
        except OSError as exc:
            raise DawUnreachable(f"the daemon at {self._where} went away") from exc

    def call(self, address: str, *arguments: OscValue) -> tuple[list[Message], tuple[OscValue, ...]]:
        """Send a command and wait for its reply: the states that came before it, and the values of the reply."""
        self._requests += 1
        request_id = f"cli-{self._requests}"
        self.send(address, *arguments, f"#{request_id}")
        before: list[Message] = []
        for message in self.messages(self._timeout_s):
            if message.address == "/dawbridge/reply" and message.arguments[0] == request_id:
                return before, message.arguments[2:]
            if message.address == "/dawbridge/error" and message.arguments[0] == request_id:
                raise _refusal(message)
            before.append(message)
        raise DawUnreachable(f"the daemon at {self._where} did not answer in {self._timeout_s:g} s")

    def messages(self, timeout_s: float | None = None) -> Iterator[Message]:
        """Messages as they come; ends after `timeout_s` (None: never). Raises DawUnreachable when the daemon ends."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            while self._ready:
                yield self._ready.pop(0)
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                return
            except OSError as exc:
                raise DawUnreachable(f"the daemon at {self._where} went away ({exc})") from exc
            if not data:
                raise DawUnreachable(f"the daemon at {self._where} ended the connection")
            try:
                for packet in self._deframer.feed(data):
                    self._ready += decode(packet)
            except OscError as exc:
                raise DawUnreachable(f"what answers at {self._where} is no daw-bridge daemon ({exc})") from exc


def _refusal(message: Message) -> DawBridgeError:
    """The daemon's `/dawbridge/error` as an error with the same exit code."""
    error = DawBridgeError(str(message.arguments[2]))
    code = message.arguments[3] if len(message.arguments) > 3 else None
    error.exit_code = code if isinstance(code, int) and 0 < code < 256 else error.exit_code
    return error
