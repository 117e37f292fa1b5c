"""RIFF/WAVE, RF64, BW64 and Wave64: where the samples are.

Sources: Microsoft multimedia standards 1991, RF64 (EBU Tech 3306), BW64 (ITU-R BS.2088), Sony's Wave64 specification,
RFC 2361 for the format tags. Read as programs write it, not only as it should be: a pad byte that was forgotten, a
chunk whose size is wrong, `fmt ` behind the data, two data chunks, a size that is a placeholder or ran over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from daw_bridge.audio.layout import MOST_CHUNKS, DataPiece, SampleFormat
from daw_bridge.audio.lengths import is_placeholder

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_RESYNC_BYTES = (1 << 12, 1 << 20)
"""Near by first: a damaged file may ask some hundreds of times."""
_MOST_FILES = 200
"""Each one is a file that is open: systems allow some hundreds."""
_UNKNOWN_32 = 0xFFFFFFFF
_EXTENSIBLE = 0xFFFE
MPEG_TAGS = (0x50, 0x55)
BIT_STREAM_TAGS = {0x92: "AC-3 in S/PDIF frames", 0x2000: "AC-3", 0x2001: "DTS"}
_COMMON = frozenset(
    (b"data", b"fmt ", b"LIST", b"bext", b"JUNK", b"junk", b"fact", b"iXML", b"cue ", b"smpl", b"id3 ", b"ID3 ")
)
_FILES = (b"RIFF", b"RIFX", b"RF64")
"""What a chunk of samples is never followed by, unless somebody joined two files."""
_CODED_BLOCKS = {0x02: "MS ADPCM", 0x11: "IMA ADPCM", 0x31: "GSM 6.10"}


def is_wave(head: bytes) -> bool:
    return (head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE") or head[:16] == W64_RIFF


def read_wave(handle: BinaryIO, base: int, size_bytes: int) -> tuple[SampleFormat | None, list[DataPiece]]:
    """The format and the data of a WAVE file that begins at `base`; None and [] for what is missing."""
    handle.seek(base)
    head = handle.read(16)
    if head == W64_RIFF:
        return _from_chunks(handle, _w64_chunks(handle, base, size_bytes), size_bytes, big_endian=False, name="W64")
    big = head[:4] == b"RIFX"
    name = "RF64" if head[:4] in (b"RF64", b"BW64") else "WAV"
    return _from_chunks(handle, _chunks(handle, base + 12, size_bytes, big), size_bytes, big_endian=big, name=name)


def wave_starts(handle: BinaryIO, base: int, size_bytes: int) -> list[int]:
    """Where WAVE files begin in this one, the first at `base`: more than one if they were joined byte by byte."""
    starts = [base]
    while len(starts) < _MOST_FILES:
        _form, pieces = read_wave(handle, starts[-1], size_bytes)
        last = pieces[-1] if pieces else None
        if last is None or last.goes_on or last.claimed_bytes >= last.there_bytes or is_placeholder(last.claimed_bytes):
            break
        following = _next_file(handle, last.start + last.claimed_bytes)
        if following is None or None in (found := read_wave(handle, following, size_bytes)) or not found[1]:
            break
        starts.append(following)
    return starts


def _next_file(handle: BinaryIO, end: int) -> int | None:
    """Where the next WAVE file begins, behind this one's samples and the chunks that may follow them."""
    for position in (end, end + end % 2):
        at = position
        for _ in range(MOST_CHUNKS):
            handle.seek(at)
            if is_wave(handle.read(16)):
                return at
            chunk, size = _chunk_at(handle, at, big=False)
            if not _is_name(chunk):
                break
            at += 8 + size + size % 2
    return None


def _from_chunks(
    handle: BinaryIO, chunks: Iterator[tuple[bytes, int, int]], size_bytes: int, *, big_endian: bool, name: str
) -> tuple[SampleFormat | None, list[DataPiece]]:
    form: SampleFormat | None = None
    pieces: list[DataPiece] = []
    long_bytes = None
    for chunk, start, length in chunks:
        if chunk == b"ds64":
            handle.seek(start)
            long_bytes = struct.unpack("<QQ", handle.read(16).ljust(16, b"\0"))[1]
        elif chunk == b"fmt " and form is None:
            handle.seek(start)
            form = _sample_format(handle.read(min(length, 64)), big_endian, name)
        elif chunk == b"data":
            claimed = long_bytes if long_bytes is not None and length == _UNKNOWN_32 else length
            there = size_bytes - start
            if form is not None and form.ends_before_pad(claimed) and claimed < there:
                handle.seek(start + claimed)
                claimed += handle.read(1) != b"\0"  # no pad byte: it ends the last frame
            goes_on = claimed <= there and _goes_on(handle, start + claimed, claimed, size_bytes, big_endian, name)
            if not pieces or goes_on or (form is not None and claimed >= form.unit_bytes):
                pieces.append(
                    DataPiece(start=start, claimed_bytes=claimed, there_bytes=there, goes_on=goes_on, size_at=start - 4)
                )
            if not goes_on:
                break
    return form, pieces


def _chunks(handle: BinaryIO, position: int, size_bytes: int, big: bool) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, announced size) of each chunk; after a broken size the next `fmt ` or `data` is looked for."""
    previous_start = position
    for _ in range(MOST_CHUNKS):
        name, length = _chunk_at(handle, position, big)
        if name not in _COMMON and position > previous_start:
            if _chunk_at(handle, position - 1, big)[0] in _COMMON:  # a program that forgets the pad byte
                position -= 1
            elif not _is_name(name):
                position = _resync(handle, previous_start, size_bytes)
            name, length = _chunk_at(handle, position, big)
        if not _is_name(name) or position + 8 > size_bytes:
            return
        start = position + 8
        yield name, start, length
        previous_start = start
        if name not in (b"data", b"fmt ") and start + length > size_bytes:  # it announces more than the file
            position = _resync(handle, start, size_bytes)
        else:
            position = start + length + length % 2


def _chunk_at(handle: BinaryIO, position: int, big: bool) -> tuple[bytes, int]:
    handle.seek(max(0, position))
    head = handle.read(8)
    if len(head) < 8:
        return b"", 0
    name, length = struct.unpack(">4sI" if big else "<4sI", head)
    return name, length


def _resync(handle: BinaryIO, position: int, size_bytes: int) -> int:
    """Where the next `fmt ` or `data` chunk begins after a chunk whose size cannot be right; else the file's end."""
    for count in _RESYNC_BYTES:
        handle.seek(position)
        window = handle.read(count)
        found = [at for at in (window.find(b"fmt "), window.find(b"data")) if at >= 0]
        if found:
            return position + min(found)
    return size_bytes


def _goes_on(handle: BinaryIO, end: int, length: int, size_bytes: int, big: bool, name: str) -> bool:
    """Whether the container goes on as it should behind `end`: with chunks up to the end of the file, or with it."""
    if name == "W64":
        end = (end + 7) // 8 * 8
        if end >= size_bytes:
            return True
        handle.seek(end)
        return handle.read(16)[4:] == _W64_TAIL
    if size_bytes - end <= length % 2:
        return True
    for position in (end + length % 2, end):
        at = position
        for count in range(MOST_CHUNKS):
            chunk, size = _chunk_at(handle, at, big)
            if not _is_name(chunk) or chunk in _FILES or at + 8 + size > size_bytes + 1:
                # Whole chunks, and then only a scrap: programs leave such behind.
                if count and size_bytes - at < 16:
                    return True
                break
            at += 8 + size + size % 2
            if at >= size_bytes:
                return True
    return False


def _w64_chunks(handle: BinaryIO, base: int, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    position = base + 40
    for _ in range(MOST_CHUNKS):
        if position >= size_bytes:
            return
        handle.seek(position)
        head = handle.read(24)
        if len(head) < 24 or head[4:16] != _W64_TAIL:
            return
        length = struct.unpack("<Q", head[16:])[0]
        yield head[:4], position + 24, max(0, length - 24)
        position += max(24, (length + 7) // 8 * 8)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= mark < 0x7F for mark in name) and name != b"    "


def _sample_format(body: bytes, big: bool, container: str) -> SampleFormat | None:
    if len(body) < 14:
        return None
    body = body.ljust(40, b"\0")
    order = ">" if big else "<"
    tag, channels, rate_hz, _bytes_per_s, block, bits = struct.unpack(f"{order}HHIIHH", body[:16])
    block_samples = struct.unpack(f"{order}H", body[18:20])[0]
    if tag == _EXTENSIBLE:
        tag = struct.unpack(f"{order}H", body[24:26])[0]
    if not channels or not rate_hz:
        return None
    subtype = _subtype(tag, bits, block // channels)
    return SampleFormat(
        container=container,
        subtype=subtype,
        big_endian=big,
        channels=channels,
        sample_rate_hz=rate_hz,
        unit_bytes=max(1, block),
        tag=tag,
        block_samples=1 if subtype or tag not in _CODED_BLOCKS else max(1, block_samples),
    )


def _subtype(tag: int, bits: int, sample_bytes: int) -> str:
    """libsndfile's name for what can be read raw; "" for everything that needs a decoder."""
    if tag == 1:
        return {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}.get(sample_bytes, "")
    if tag == 3:
        return {4: "FLOAT", 8: "DOUBLE"}.get(sample_bytes, "")
    return {6: "ALAW", 7: "ULAW"}.get(tag, "") if bits == 8 else ""
