"""AIFF, AIFF-C, AU and CAF: where the samples are.

Sources: AIFF 1.3 and AIFF-C (Apple 1989, 1991), the .au header (Sun, `audio_filehdr`), Apple Core Audio Format 1.0.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

from daw_bridge.audio.layout import MOST_CHUNKS, DataPiece, SampleFormat
from daw_bridge.audio.lengths import is_placeholder

_INTEGERS = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_AIFC = {b"fl32": "FLOAT", b"FL32": "FLOAT", b"fl64": "DOUBLE", b"FL64": "DOUBLE", b"ulaw": "ULAW", b"alaw": "ALAW"}
_AU = {1: "ULAW", 2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32", 6: "FLOAT", 7: "DOUBLE", 27: "ALAW"}
_BYTES = {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
_AIFF_CHUNKS = frozenset((b"COMM", b"SSND", b"MARK", b"INST", b"NAME", b"AUTH", b"ANNO", b"FVER", b"ID3 ", b"APPL"))
_CAF_FLOAT, _CAF_LITTLE = 1, 2
_LARGEST_SCRAP_BYTES = 16

Found = tuple[SampleFormat | None, list[DataPiece]]


def is_aiff(head: bytes) -> bool:
    return head[:4] == b"FORM" and head[8:11] == b"AIF"


def is_au(head: bytes) -> bool:
    return head[:4] in (b".snd", b"dns.")


def is_caf(head: bytes) -> bool:
    return head[:4] == b"caff"


def read_aiff(handle: BinaryIO, size_bytes: int) -> Found:
    """The claim is the count of frames in COMM where the file holds them, else the size of SSND."""
    form: SampleFormat | None = None
    frames, data = 0, None
    for name, start, length in _aiff_chunks(handle, size_bytes):
        handle.seek(start)
        if name == b"COMM":
            form, frames = _aiff_format(handle.read(min(length, 64)))
        elif name == b"SSND":
            offset = struct.unpack(">I", handle.read(8)[:4].ljust(4, b"\0"))[0]
            data = (start + 8 + offset, max(0, length - 8 - offset), start - 4)
            if form is not None and start + length >= size_bytes:
                break
    if form is None or data is None:
        return form, []
    start, by_size, size_at = data
    there, by_frames = max(0, size_bytes - start), frames * form.unit_bytes
    claimed = by_size
    if is_placeholder(by_size) or by_size > there:
        # Two claims: the one that the file bears out wins.
        claimed = by_frames if not form.subtype or 0 < by_frames <= there else by_size
    goes_on = claimed <= there and claimed == by_size and not is_placeholder(by_size)
    end = start + claimed
    goes_on = goes_on and any(_chunks_fill(handle, at, size_bytes, ">4sI", 2) for at in (end + end % 2, end))
    piece = DataPiece(start=start, claimed_bytes=claimed, there_bytes=there, goes_on=goes_on, size_at=size_at)
    return form, [piece]


def _chunks_fill(handle: BinaryIO, position: int, size_bytes: int, header: str, padded_to: int) -> bool:
    """Whether the file ends at `position`, or goes on with whole chunks up to its end, but for a scrap."""
    header_bytes = struct.calcsize(header)
    for count in range(MOST_CHUNKS):
        if size_bytes - position < (_LARGEST_SCRAP_BYTES if count else 2):
            return position <= size_bytes + 1
        handle.seek(position)
        name, length = struct.unpack(header, handle.read(header_bytes).ljust(header_bytes, b"\0"))
        if not all(0x20 <= mark < 0x7F for mark in name) or name in (b"FORM", b"caff"):
            return False
        position += header_bytes + length + length % padded_to
    return False


def _aiff_chunks(handle: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    for _ in range(MOST_CHUNKS):
        handle.seek(position)
        head = handle.read(8)
        if len(head) < 8 or position >= size_bytes:
            return
        name, length = struct.unpack(">4sI", head)
        yield name, position + 8, length
        position += 8 + length
        if length % 2:
            handle.seek(position)
            position += 0 if handle.read(4) in _AIFF_CHUNKS else 1  # some programs forget the pad byte


def _aiff_format(body: bytes) -> tuple[SampleFormat | None, int]:
    if len(body) < 18:
        return None, 0
    channels, frames, bits = struct.unpack(">HIH", body[:8])
    rate_hz = _extended(body[8:18])
    kind = body[18:22] if len(body) >= 22 else b"NONE"
    sample_bytes = (bits + 7) // 8
    if kind in (b"NONE", b"twos", b"sowt", b"in24", b"in32"):
        subtype = _INTEGERS.get(sample_bytes, "")
    else:
        subtype = _AIFC.get(kind, "")
    if not channels or not rate_hz:
        return None, 0
    unit = _BYTES[subtype] * channels if subtype else 1
    form = SampleFormat(
        container="AIFF",
        subtype=subtype,
        big_endian=kind != b"sowt",
        channels=channels,
        sample_rate_hz=rate_hz,
        unit_bytes=unit,
    )
    return form, frames


def _extended(ten: bytes) -> int:
    """An 80-bit IEEE 754 number, rounded."""
    exponent, mantissa = struct.unpack(">HQ", ten)
    try:
        return round(math.ldexp(mantissa, (exponent & 0x7FFF) - 16383 - 63))
    except OverflowError:
        return 0


def read_au(handle: BinaryIO, size_bytes: int) -> Found:
    handle.seek(0)
    head = handle.read(24)
    if len(head) < 24:
        return None, []
    big = head[:4] == b".snd"
    start, claimed, encoding, rate_hz, channels = struct.unpack(">5I" if big else "<5I", head[4:])
    subtype = _AU.get(encoding, "")
    if not channels or not rate_hz or start > size_bytes:
        return None, []
    form = SampleFormat(
        container="AU",
        subtype=subtype,
        big_endian=big,
        channels=channels,
        sample_rate_hz=rate_hz,
        unit_bytes=_BYTES[subtype] * channels if subtype else 1,
    )
    return form, [
        DataPiece(start=start, claimed_bytes=claimed, there_bytes=size_bytes - start, goes_on=False, size_at=8)
    ]


def read_caf(handle: BinaryIO, size_bytes: int) -> Found:
    form: SampleFormat | None = None
    position = 8
    for _ in range(MOST_CHUNKS):
        handle.seek(position)
        head = handle.read(12)
        if len(head) < 12:
            break
        name, length = struct.unpack(">4sQ", head)
        start = position + 12
        if name == b"desc":
            form = _caf_format(handle.read(32))
        if name == b"data":
            there = max(0, size_bytes - start - 4)  # four bytes count the edits
            claimed = max(0, length - 4)
            goes_on = claimed <= there and _chunks_fill(handle, start + length, size_bytes, ">4sQ", 1)
            piece = DataPiece(
                start=start + 4, claimed_bytes=claimed, there_bytes=there, goes_on=goes_on, size_at=start - 8
            )
            return form, [piece]
        position = start + length
        if position >= size_bytes:
            break
    return form, []


def _caf_format(body: bytes) -> SampleFormat | None:
    if len(body) < 32:
        return None
    rate, kind, flags, packet_bytes, packet_frames, channels, bits = struct.unpack(">d4s5I", body)
    if not channels or not 1 <= rate < 1e7:
        return None
    subtype = ""
    if kind == b"lpcm" and packet_frames == 1:
        sample_bytes = packet_bytes // channels
        subtype = (
            {4: "FLOAT", 8: "DOUBLE"}.get(sample_bytes, "") if flags & _CAF_FLOAT else _INTEGERS.get(sample_bytes, "")
        )
    elif kind in (b"ulaw", b"alaw") and bits in (8, 0):
        subtype = kind.decode().upper()
    return SampleFormat(
        container="CAF",
        subtype=subtype,
        big_endian=not flags & _CAF_LITTLE,
        channels=channels,
        sample_rate_hz=round(rate),
        unit_bytes=_BYTES[subtype] * channels if subtype else 1,
    )
