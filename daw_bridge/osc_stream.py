"""OSC packets on a byte stream (TCP): SLIP as OSC 1.1 wants it, or a length before each packet as OSC 1.0 does.

liblo and older programs use the length; TouchOSC, QLab and newer ones use SLIP (RFC 1055, with END on both sides).
"""

from __future__ import annotations

import re
from typing import Literal, Protocol

from daw_bridge.osc import MAX_PACKET_BYTES, OscError

Framing = Literal["slip", "length"]

_END, _ESC = b"\xc0", b"\xdb"
_ENDS = re.compile(b"\xc0+")
_ESCAPED = {b"\xdc": _END, b"\xdd": _ESC}


def frame(packet: bytes, framing: Framing) -> bytes:
    """`packet` as it goes onto the stream."""
    if framing == "length":
        return len(packet).to_bytes(4, "big") + packet
    escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + escaped + b"\xc0"


class Deframer(Protocol):
    """Bytes in, whole packets out; never holds more than one packet."""

    framing: Framing

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that `data` completes. OscError when the stream cannot be followed any more."""
        ...


class SlipDeframer:
    framing: Framing = "slip"

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held_bytes = self._held_marks = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that `data` completes; empty frames (the double END) are skipped. A byte costs what a byte costs."""
        first, *others = _ENDS.split(data)
        self._hold(first)
        if not others:
            return []
        frames = [b"".join(self._rest), *others[:-1]]
        self._rest, self._held_bytes, self._held_marks = [], 0, 0
        self._hold(others[-1])
        if any(len(each) - each.count(_ESC) > MAX_PACKET_BYTES for each in frames):
            raise OscError(f"SLIP: a packet of more than {MAX_PACKET_BYTES} bytes")
        return [_unescaped(escaped) for escaped in frames if escaped]

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._rest.append(piece)
        self._held_bytes += len(piece)
        self._held_marks += piece.count(_ESC)  # each escape mark makes one byte of two
        if self._held_bytes - self._held_marks > MAX_PACKET_BYTES or self._held_bytes > 2 * MAX_PACKET_BYTES:
            raise OscError(f"SLIP: a packet of more than {MAX_PACKET_BYTES} bytes")


def _unescaped(escaped: bytes) -> bytes:
    first, *others = escaped.split(_ESC)
    parts = [first]
    for part in others:
        if part[:1] not in _ESCAPED:
            raise OscError(f"SLIP: 0x{part[:1].hex() or 'c0'} behind an escape")
        parts.append(_ESCAPED[part[:1]] + part[1:])
    return b"".join(parts)


class LengthDeframer:
    framing: Framing = "length"

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that `data` completes."""
        self._buffer += data
        packets: list[bytes] = []
        at = 0
        while len(self._buffer) - at >= 4:
            size = int.from_bytes(self._buffer[at : at + 4], "big")
            if not 0 < size <= MAX_PACKET_BYTES:
                raise OscError(f"a packet of {size} bytes is announced; at most {MAX_PACKET_BYTES} are taken")
            if len(self._buffer) - at - 4 < size:
                break
            packets.append(bytes(self._buffer[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._buffer[:at]
        return packets


def deframer_for(first_byte: int) -> Deframer:
    """The framing that a client speaks, by its first byte: a length begins with 0, anything else is SLIP.

    (A packet that needs the first byte of its length is past `MAX_PACKET_BYTES`.)
    """
    return LengthDeframer() if first_byte == 0 else SlipDeframer()
