"""Is the file whole? Decoders play a cut-off file to its cut without a word; its own header tells better.

Sources: RIFF/WAVE (Microsoft multimedia standards 1991), RF64 (EBU Tech 3306), Sony Wave64 specification, AIFF 1.3
(Apple 1989), Ogg (RFC 3533), the boxes of MP4 and QuickTime (ISO/IEC 14496-12, section 4.2), the Xing/Info header of
MP3 as LAME writes it ("MP3 Info Tag rev 1").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from daw_bridge.errors import InputError

_UNKNOWN_32 = 0xFFFFFFFF
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_OGG_END_OF_STREAM = 0x04
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_GET_A_WHOLE_ONE = "copy or download it again"


def check_whole(path: Path) -> tuple[str, ...]:
    """Remarks about a file that is whole as far as its header tells.

    Raises InputError when the header announces more sound than the file holds.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(16)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            _check_wave(path, handle, size_bytes, ">" if head[:4] == b"RIFX" else "<")
        elif head == _W64_RIFF:
            _check_w64(path, handle, size_bytes)
        elif head[:4] == b"FORM" and head[8:11] == b"AIF":
            _check_aiff(path, handle, size_bytes)
        elif head[:4] == b"OggS":
            return _check_ogg(path, handle, size_bytes)
        elif head[4:8] in _MP4_FIRST_BOXES:
            _check_mp4(path, handle, size_bytes)
        else:
            tag = read_xing(handle, size_bytes)
            if tag is not None:
                _check_xing(path, tag, size_bytes)
    return ()


def cut_off(path: Path, there: float, announced: float) -> InputError:
    """The error for a file that holds `there` of `announced` (bytes, samples: only the ratio matters)."""
    percent = min(99.9, 100.0 * there / announced) if announced else 0.0
    return InputError(f"{path}: cut off, holds {percent:.1f} % of what its header announces; {_GET_A_WHOLE_ONE}")


def _chunks(handle: BinaryIO, size_bytes: int, endian: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, announced size) of each RIFF or AIFF chunk, as far as the file goes."""
    position = 12
    while position + 8 <= size_bytes:
        handle.seek(position)
        name, length = struct.unpack(f"{endian}4sI", handle.read(8))
        yield name, position + 8, length
        position += 8 + length + length % 2


def _check_wave(path: Path, handle: BinaryIO, size_bytes: int, endian: str) -> None:
    long_data_bytes: int | None = None
    for name, start, announced in _chunks(handle, size_bytes, endian):
        length = announced
        if name == b"ds64" and start + 16 <= size_bytes:
            handle.seek(start)
            long_data_bytes = struct.unpack("<QQ", handle.read(16))[1]
        if name == b"data":
            if length == _UNKNOWN_32:
                if long_data_bytes is None:
                    return  # written to a pipe: nobody knew the length, the end of the file is the end
                length = long_data_bytes
            if start + length > size_bytes:
                raise cut_off(path, size_bytes - start, length)
            return
    if size_bytes > 12:
        raise InputError(f"{path}: a WAV file without a data chunk, cut off in its header; {_GET_A_WHOLE_ONE}")


def _check_w64(path: Path, handle: BinaryIO, size_bytes: int) -> None:
    position = 40
    while position + 24 <= size_bytes:
        handle.seek(position)
        name = handle.read(16)
        (length,) = struct.unpack("<Q", handle.read(8))
        if name == _W64_DATA:
            if position + length > size_bytes:
                raise cut_off(path, size_bytes - position, length)
            return
        position += max(24, (length + 7) // 8 * 8)


def _check_aiff(path: Path, handle: BinaryIO, size_bytes: int) -> None:
    for name, start, length in _chunks(handle, size_bytes, ">"):
        if name == b"SSND":
            if start + length > size_bytes:
                raise cut_off(path, size_bytes - start, length)
            return


def _check_ogg(path: Path, handle: BinaryIO, size_bytes: int) -> tuple[str, ...]:
    tail_start = max(0, size_bytes - (1 << 17))  # a page is 65307 bytes at most
    handle.seek(tail_start)
    tail = handle.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    segments = page[26] if len(page) > 26 else 255
    announced = 27 + segments + sum(page[27 : 27 + segments])
    if at < 0 or len(page) < 27 + segments or len(page) < announced:
        raise InputError(f"{path}: cut off in the middle of an Ogg page; {_GET_A_WHOLE_ONE}")
    if not page[5] & _OGG_END_OF_STREAM:
        return ("the Ogg stream has no end mark; it may have been cut off",)
    return ()


def _check_mp4(path: Path, handle: BinaryIO, size_bytes: int) -> None:
    """Without its index, `moov`, nobody can tell what is sound in the data; most programs write it last."""
    position, boxes = 0, set()
    data_start, data_bytes = 0, 0
    while position + 8 <= size_bytes:
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
    if data_start + data_bytes > size_bytes:
        raise cut_off(path, size_bytes - data_start, data_bytes)
    if b"moov" in boxes or (b"mdat" in boxes and b"meta" not in boxes):  # `meta` is a photo's index
        raise InputError(f"{path}: cut off, its index (moov) is missing; {_GET_A_WHOLE_ONE}")


class XingTag:
    """What the first frame of an MP3 says about the whole: `audio_bytes` from `start` on, in `frames` frames."""

    __slots__ = ("audio_bytes", "frames", "start")

    def __init__(self, *, start: int, frames: int | None, audio_bytes: int | None) -> None:
        self.start, self.frames, self.audio_bytes = start, frames, audio_bytes


def read_xing(handle: BinaryIO, size_bytes: int) -> XingTag | None:
    """The Xing/Info header of an MP3 file, or None where there is none (or no MP3)."""
    start = _after_id3(handle, size_bytes)
    handle.seek(start)
    window = handle.read(8192)
    for at in range(max(0, len(window) - 4)):
        if window[at] == 0xFF and _is_layer_3(window[at : at + 4]):
            frame = window[at : at + 200]
            offset = 4 + _side_info_bytes(frame)
            if len(frame) < offset + 16:
                return None
            if frame[offset : offset + 4] not in (b"Xing", b"Info"):
                return None
            (flags,) = struct.unpack(">I", frame[offset + 4 : offset + 8])
            fields = struct.unpack(">II", frame[offset + 8 : offset + 16])
            frames = fields[0] if flags & 1 else None
            audio_bytes = fields[1 if flags & 1 else 0] if flags & 2 else None
            return XingTag(start=start + at, frames=frames, audio_bytes=audio_bytes)
    return None


def _check_xing(path: Path, tag: XingTag, size_bytes: int) -> None:
    # Some programs count tags in, so a little less is no proof; the count of decoded samples decides at the end.
    if tag.audio_bytes and tag.start + tag.audio_bytes * 0.99 > size_bytes:
        raise cut_off(path, size_bytes - tag.start, tag.audio_bytes)


def _after_id3(handle: BinaryIO, size_bytes: int) -> int:
    """The first byte after any ID3v2 tags (id3.org, ID3v2.4.0 section 3.1)."""
    position = 0
    while position + 10 <= size_bytes:
        handle.seek(position)
        head = handle.read(10)
        if head[:3] != b"ID3":
            break
        length = (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | head[9] & 127
        position += 10 + length + (10 if head[5] & 0x10 else 0)
    return position


def _is_layer_3(head: bytes) -> bool:
    """Whether four bytes can be an MPEG-1/2/2.5 layer III frame header (ISO 11172-3, 2.4.1.3)."""
    word = struct.unpack(">I", head)[0]
    return (
        word >> 21 == 0x7FF  # sync
        and word >> 19 & 3 != 1  # version
        and word >> 17 & 3 == 1  # layer III
        and word >> 12 & 15 not in (0, 15)  # bit rate
        and word >> 10 & 3 != 3  # sample rate
    )


def _side_info_bytes(frame: bytes) -> int:
    mono = frame[3] >> 6 == 3
    mpeg_1 = frame[1] >> 3 & 3 == 3
    return (17 if mono else 32) if mpeg_1 else (9 if mono else 17)
