"""The checksum of all frames in LAME's header: CRC-16 with polynomial 0x8005, reflected (LAME, `VbrTag.c`).

Byte by byte it would take longer than decoding. A CRC is linear, so the bytes are cut into lanes that numpy carries
through the table side by side, and the lanes are put together with the table of "this many zero bytes more".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LANE_BYTES = 512
_LANES = 128

Words = NDArray[np.uint16]


def _byte_table() -> Words:
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0xA001, table >> 1).astype(np.uint16)
    return table


_TABLE = _byte_table()


def _after_zeros(count_bytes: int) -> Words:
    """For each of the 65,536 states, the state after so many zero bytes."""
    states = np.arange(1 << 16, dtype=np.uint16)
    for _ in range(count_bytes):
        states = states >> 8 ^ _TABLE[states & 0xFF]
    return states


_SHIFT: list[Words] = []


class MusicCrc:
    """Fed with frames, in any pieces; `value` is the checksum so far."""

    def __init__(self) -> None:
        self._state = 0
        self._held = bytearray()

    def update(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= _LANES * _LANE_BYTES:
            count = len(self._held) // _LANE_BYTES * _LANE_BYTES
            self._take_lanes(bytes(self._held[:count]))
            del self._held[:count]

    @property
    def value(self) -> int:
        state = self._state
        for byte in self._held:
            state = state >> 8 ^ int(_TABLE[(state ^ byte) & 0xFF])
        return state

    def _take_lanes(self, data: bytes) -> None:
        if not _SHIFT:
            _SHIFT.append(_after_zeros(_LANE_BYTES))
        lanes = np.frombuffer(data, dtype=np.uint8).reshape(-1, _LANE_BYTES)
        states = np.zeros(len(lanes), dtype=np.uint16)
        for column in range(_LANE_BYTES):
            states = states >> 8 ^ _TABLE[(states ^ lanes[:, column]) & 0xFF]
        state = self._state
        for lane in states.tolist():
            state = int(_SHIFT[0][state]) ^ lane
        self._state = state
