"""MP4 and QuickTime: is its index there, and what does it say of the sound? (ISO/IEC 14496-12.)"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_KNOWN_BOXES = frozenset((*_FIRST_BOXES, b"moof", b"mfra", b"sidx", b"styp", b"uuid", b"meta", b"pnot", b"udta"))
_MOST_BOXES = 1 << 16
"""Fragmented files have some for each second."""
_LOOK_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Mp4Sound:
    """What the index says of the first track of sound."""

    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float


def is_mp4(head: bytes) -> bool:
    return head[4:8] in _FIRST_BOXES


def mp4_end(handle: BinaryIO, start: int, size_bytes: int) -> int:
    """Where the MP4 that begins at `start` ends: before another one's first box, or before what is no box."""
    found = False
    for name, position, length in _boxes(handle, start, size_bytes):
        if length < 8 or (name not in _KNOWN_BOXES and (position + length > size_bytes or not _is_name(name))):
            return position
        if name == b"ftyp" and found:
            return position
        found = found or name == b"moov"
    return size_bytes


def _is_name(name: bytes) -> bool:
    return all(0x20 <= mark < 0x7F for mark in name)


def index_missing(handle: BinaryIO, start: int, size_bytes: int) -> str:
    """What is wrong where the index, `moov`, is not there: nobody can tell then what is sound in the data.

    Most programs write it last, so that it is what a cut-off file lacks.
    """
    boxes, found, count = set(), False, 0
    data_start, data_bytes = start, 0
    for name, position, length in _boxes(handle, start, size_bytes):
        if length < 8:
            return ""  # no box: FFmpeg may make something of it
        found = found or (name == b"moov" and position + length <= size_bytes)
        if name == b"mdat":
            data_start, data_bytes = position, length
        boxes.add(name)
        count += 1
    there = size_bytes - data_start
    if found:
        return ""
    if count == _MOST_BOXES and boxes.isdisjoint((b"moov", b"moof", b"mdat")):
        return f"{count} boxes of an MP4 and no sound in them: it is damaged, or made to do harm"
    if b"moov" in boxes or data_start + data_bytes > size_bytes or (b"mdat" in boxes and b"meta" not in boxes):
        # `meta` is a photo's index
        how = f"holds {min(99.9, 100 * there / data_bytes):.1f} % of its data and " if data_bytes > there else ""
        return (
            f"cut off, {how}its index (moov) is missing, without which nothing can be decoded; copy or download it "
            "again, or let a program such as untrunc rebuild the index by a whole file of the same recorder"
        )
    return ""


def _boxes(handle: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, length) of each box; the last one has a length below 8 where no box is."""
    position = start
    for _ in range(_MOST_BOXES):
        if position + 8 > end:
            return
        handle.seek(position)
        length, name = struct.unpack(">I4s", handle.read(8))
        if length == 1:  # a 64-bit length follows
            (length,) = struct.unpack(">Q", handle.read(8).ljust(8, b"\0"))
        length = length or end - position  # 0: up to the end
        yield name, position, length
        if length < 8:
            return
        position += length


def glance_mp4(handle: BinaryIO, size_bytes: int) -> Mp4Sound | None:
    """The first track of sound by the index alone; None where that does not say (fragments), or is not in order."""
    index = _inside(handle, 0, size_bytes, b"moov")
    if index is None:
        return None
    for name, position, length in _boxes(handle, *index):
        if name == b"trak" and length >= 8 and position + length <= index[1]:
            media = _inside(handle, position + 8, position + length, b"mdia")
            if media is not None and _body(handle, *media, b"hdlr")[8:12] == b"soun":
                return _sound(handle, media)
    return None


def _sound(handle: BinaryIO, media: tuple[int, int]) -> Mp4Sound | None:
    head = _body(handle, *media, b"mdhd")
    table = _inside(handle, *media, b"minf")
    table = _inside(handle, *table, b"stbl") if table is not None else None
    entry = _body(handle, *table, b"stsd")[8:] if table is not None else b""
    if len(head) < 20 or len(entry) < 36:
        return None
    if head[0]:  # version 1 counts in 64 bits
        ticks_per_s, ticks = struct.unpack(">IQ", head[20:32].ljust(12, b"\0"))
    else:
        ticks_per_s, ticks = struct.unpack(">II", head[12:20])
    channels, rate_hz = struct.unpack(">H", entry[24:26])[0], struct.unpack(">H", entry[32:34])[0]
    if not (ticks and ticks_per_s and channels and rate_hz):
        return None
    return Mp4Sound(
        codec=entry[4:8].decode("latin-1").strip(),
        sample_rate_hz=rate_hz,
        channels=channels,
        duration_s=ticks / ticks_per_s,
    )


def _inside(handle: BinaryIO, start: int, end: int, wanted: bytes) -> tuple[int, int] | None:
    """The first byte and the end of the body of a box."""
    for name, position, length in _boxes(handle, start, end):
        if name == wanted and length >= 8 and position + length <= end:
            return position + 8, position + length
    return None


def _body(handle: BinaryIO, start: int, end: int, wanted: bytes) -> bytes:
    """The first bytes of the body of a box; none where it is missing."""
    found = _inside(handle, start, end, wanted)
    if found is None:
        return b""
    handle.seek(found[0])
    return handle.read(min(found[1] - found[0], _LOOK_BYTES))
