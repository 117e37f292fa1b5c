"""OSC packets on a byte stream (TCP): SLIP as OSC 1.1 wants it, or a length before each packet as OSC 1.0 does.

liblo and older programs use the length; TouchOSC, QLab and newer ones use SLIP (RFC 1055, with END on both sides).
"""

from __future__ import annotations

from typing import Literal, Protocol

from daw_bridge.osc import MAX_PACKET_BYTES, OscError

Framing = Literal["slip", "length"]

_END, _ESC, _ESC_END, _ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD


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
        self._packet = bytearray()
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that `data` completes; empty frames (the double END) are skipped."""
        packets: list[bytes] = []
        for byte in data:
            if byte == _END:
                if self._escaped:
                    raise OscError("SLIP: a packet ends inside an escape")
                if self._packet:
                    packets.append(bytes(self._packet))
                    self._packet.clear()
                continue
            if self._escaped:
                self._escaped = False
                if byte not in (_ESC_END, _ESC_ESC):
                    raise OscError(f"SLIP: 0x{byte:02x} behind an escape")
                byte = _END if byte == _ESC_END else _ESC  # noqa: PLW2901  # that is what unescaping is
            elif byte == _ESC:
                self._escaped = True
                continue
            self._packet.append(byte)
            if len(self._packet) > MAX_PACKET_BYTES:
                raise OscError(f"SLIP: a packet of more than {MAX_PACKET_BYTES} bytes")
        return packets


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
