"""MP4 and QuickTime: is its index there, and the data it points to? (ISO/IEC 14496-12, section 4.2.)"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from daw_bridge.errors import InputError

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MOST_BOXES = 1 << 16
"""Fragmented files have some for each second."""


def is_mp4(head: bytes) -> bool:
    return head[4:8] in _FIRST_BOXES


def check_mp4(path: Path, handle: BinaryIO, size_bytes: int) -> None:
    """Raises InputError without an index, `moov`: nobody can tell then what is sound in the data.

    Most programs write it last, so that it is what a cut-off file lacks.
    """
    position, boxes = 0, set()
    data_start, data_bytes = 0, 0
    for _ in range(_MOST_BOXES):
        if position + 8 > size_bytes:
            break
        handle.seek(position)
        length, name = struct.unpack(">I4s", handle.read(8))
        if length == 1:  # a 64-bit length follows
            (length,) = struct.unpack(">Q", handle.read(8).ljust(8, b"\0"))
        length = length or size_bytes - position  # 0: up to the end of the file
        if length < 8:
            return  # no box: FFmpeg may make something of it
        if name == b"moov" and position + length <= size_bytes:
            return
        if name == b"mdat":
            data_start, data_bytes = position, length
        boxes.add(name)
        position += length
    there = size_bytes - data_start
    if b"moov" in boxes or data_start + data_bytes > size_bytes or (b"mdat" in boxes and b"meta" not in boxes):
        # `meta` is a photo's index
        how = f"holds {min(99.9, 100 * there / data_bytes):.1f} % of its data and " if data_bytes > there else ""
        raise InputError(
            f"{path}: cut off, {how}its index (moov) is missing, without which nothing can be decoded; "
            "copy or download it again, or let a program such as untrunc rebuild the index by a whole file of the same "
            "recorder"
        )
