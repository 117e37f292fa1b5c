"""Where another file begins behind the sound of one: recordings that somebody joined byte by byte (`cat a b > c`).

Each format is known by bytes that are no accident. Looked at is only what lies behind the end of the first one.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from typing import BinaryIO

from daw_bridge.audio import container_wave
from daw_bridge.audio.mpeg_frames import after_tags, frames_begin_at

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_LOOK_BYTES = 64
_HIGHEST_RATE_HZ = 768_000
_Fits = Callable[[bytes, int], bool]
"""Whether the bytes at a place begin a file."""


def next_file(handle: BinaryIO, begin: int, size_bytes: int, *, mark: bytes = b"") -> int | None:
    """The first byte of the next file of sound at or behind `begin`; None where none begins.

    With `mark` only of one that begins with it: gigabytes are searched for one mark in a second, for all in many.
    """
    if begin + _LOOK_BYTES > size_bytes:
        return None
    if not mark and frames_begin_at(handle, after_tags(handle, begin, size_bytes), size_bytes):
        return begin

    def is_tagged_mp3(head: bytes, at: int) -> bool:
        return head[3] in (2, 3, 4) and frames_begin_at(handle, after_tags(handle, at, size_bytes), size_bytes)

    try:
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            looked_for = [each for each in (*_BEGINNINGS, (b"ID3", 0, is_tagged_mp3)) if each[0].startswith(mark)]
            found = [_first(data, begin, size_bytes, *beginning) for beginning in looked_for]
    except (OSError, ValueError):  # a disk that cannot be mapped
        return None
    return min((at for at in found if at is not None), default=None)


def _first(data: mmap.mmap, begin: int, end: int, mark: bytes, before: int, fits: _Fits) -> int | None:
    """The first place of a mark, which stands `before` bytes behind the beginning, whose surroundings fit."""
    at = data.find(mark, begin + before, end)
    while at >= 0:
        head = data[at - before : at - before + _LOOK_BYTES]
        if len(head) == _LOOK_BYTES and fits(head, at - before):
            return at - before
        at = data.find(mark, at + 1, end)
    return None


def _is_riff(head: bytes, _at: int) -> bool:
    return bool(container_wave.is_wave(head)) or head[8:12] == b"AVI "


def _is_aiff(head: bytes, _at: int) -> bool:
    return head[8:12] in (b"AIFF", b"AIFC")


def _is_au(head: bytes, _at: int) -> bool:
    start, _size, encoding, rate_hz, channels = struct.unpack(">5I", head[4:24])
    plausible = 24 <= start < 1 << 16 and 0 < encoding < 64 and 0 < rate_hz <= _HIGHEST_RATE_HZ
    return bool(plausible and 0 < channels < 256)


def _is_flac(head: bytes, _at: int) -> bool:
    return head[4] & 0x7F == 0 and head[5:8] == b"\0\0\x22"


def _is_mp4(head: bytes, _at: int) -> bool:
    return 16 <= int.from_bytes(head[:4], "big") < 512


def _is_wavpack(head: bytes, _at: int) -> bool:
    return head[16:20] == bytes(4) and head[9] == 4  # the block that begins at sample 0


def _is_matroska(head: bytes, _at: int) -> bool:
    return b"matroska" in head or b"webm" in head


def _always(_head: bytes, _at: int) -> bool:
    return True


_BEGINNINGS: tuple[tuple[bytes, int, _Fits], ...] = (
    *((mark, 0, _is_riff) for mark in (b"RIFF", b"RIFX", b"RF64", b"BW64", container_wave.W64_RIFF)),
    (b"FORM", 0, _is_aiff),
    (b".snd\0\0", 0, _is_au),
    (b"caff\0\1\0\0", 0, _always),
    (b"fLaC", 0, _is_flac),
    (b"OggS\0\2", 0, _always),
    (b"ftyp", 4, _is_mp4),
    (_ASF, 0, _always),
    (b"TTA1\1\0", 0, _always),
    (b"wvpk", 0, _is_wavpack),
    (b"\x1a\x45\xdf\xa3", 0, _is_matroska),
    (b"FLV\1", 0, _always),
)
