"""MPEG audio (MP3, MP2) frame by frame: what is really in the file, whatever a header in its first frame says.

Sources: ISO/IEC 11172-3 and 13818-3 (frame header, 2.4.1.3), id3.org (ID3v2.4.0 section 3.1), the Xing/Info header as
LAME writes it ("MP3 Info Tag rev 1"), VBRI (Fraunhofer), APEv2, Lyrics3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import BinaryIO

_WINDOW_BYTES = 1 << 20
_KEY_BITS = 0xFFFEFEC0  # everything of a header but its CRC, private, extension and emphasis bits
_MOST_TAGS = 64
_FARTHEST_SYNC_BYTES = 1 << 22
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS_V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBPS_V2_I = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_KBPS_V2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_DECODER_DELAY = 529
_TAGS_BEHIND = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
_ENCODERS_WITH_CRC = (b"LAME", b"Lavf", b"Lavc")


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """What must be the same for two frames to belong together."""

    layer: int
    sample_rate_hz: int
    channels: int
    frame_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoTag:
    """The Xing, Info or VBRI header of a first frame, which holds no sound. None where it does not say."""

    frames: int | None = None
    audio_bytes: int | None = None
    delay_samples: int | None = None
    padding_samples: int = 0
    music_crc: int | None = None


@dataclass(slots=True, kw_only=True)
class Part:
    """Frames of one encoding. `frames` are (first byte, bytes); where a frame is lost its bytes are 0."""

    format: FrameFormat
    start: int
    tag: InfoTag | None = None
    frames: list[tuple[int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    short_bytes: int = 0
    """What the last frame lacks."""

    @property
    def end(self) -> int:
        return self.frames[-1][0] + self.frames[-1][1] if self.frames else self.start


@dataclass(slots=True, kw_only=True)
class Scan:
    """All of a file: its parts, the bytes in front and between that are no sound."""

    parts: list[Part] = field(default_factory=list)
    free_format: bool = False
    front_bytes: int = 0
    ape_in_front: bool = False
    foreign_bytes: int = 0
    tail_bytes: int = 0


@lru_cache(maxsize=4096)
def _parsed(word: int) -> tuple[FrameFormat, int] | None:
    """The format and the size in bytes of a frame with this header; size 0 for free format; None for no header."""
    version, layer, rate_index = word >> 19 & 3, 4 - (word >> 17 & 3), word >> 10 & 3
    bit_rate = word >> 12 & 15
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate_index == 3 or bit_rate == 15:
        return None
    rate_hz = _RATES_HZ[version][rate_index]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    form = FrameFormat(layer, rate_hz, 1 if word >> 6 & 3 == 3 else 2, samples)
    if bit_rate == 0:
        return form, 0
    table = _KBPS_V1[layer] if version == 3 else _KBPS_V2_I if layer == 1 else _KBPS_V2
    bits_per_s, pad = table[bit_rate - 1] * 1000, word >> 9 & 1
    if layer == 1:
        return form, (12 * bits_per_s // rate_hz + pad) * 4
    return form, samples // 8 * bits_per_s // rate_hz + pad


class _Bytes:
    """The bytes of a file from `start` to `end`, read in windows."""

    def __init__(self, handle: BinaryIO, end: int) -> None:
        self._handle, self.end = handle, end
        self._start, self._window = 0, b""

    def at(self, position: int, count: int) -> bytes:
        inside = position - self._start
        if inside < 0 or inside + count > len(self._window):
            self._handle.seek(position)
            self._window = self._handle.read(min(max(count, _WINDOW_BYTES), max(0, self.end - position)))
            self._start, inside = position, 0
        return self._window[inside : inside + count]

    def header(self, position: int) -> tuple[FrameFormat, int] | None:
        four = self.at(position, 4)
        if len(four) < 4 or four[0] != 0xFF:
            return None
        return _parsed(int.from_bytes(four, "big") & _KEY_BITS)


def after_tags(handle: BinaryIO, start: int, size_bytes: int) -> int:
    """The first byte behind the ID3v2 and APEv2 tags that begin at `start`."""
    position = start
    for _ in range(_MOST_TAGS):
        handle.seek(position)
        length = _tag_bytes(handle.read(32))
        if not length or position + length > size_bytes:
            break
        position += length
    return position


def _tag_bytes(head: bytes) -> int:
    """The length of the tag that begins with these 32 bytes; 0 for none."""
    if head[:3] == b"ID3" and len(head) >= 10:
        length = (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | head[9] & 127
        return 10 + length + (10 if head[5] & 0x10 else 0)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        length, _items, flags = struct.unpack("<III", head[12:24])
        return 32 + int(length) if flags & 0x20000000 else 32
    if head[:3] == b"TAG":
        return 128
    return 0


def frames_begin_at(handle: BinaryIO, position: int, size_bytes: int) -> bool:
    """Whether frames of one encoding follow one another from there on."""
    return _chain(_Bytes(handle, size_bytes), position, 4)


def scan(handle: BinaryIO, start: int, size_bytes: int) -> Scan | None:
    """Every frame from `start` to `size_bytes`; None where there is no MPEG audio."""
    data = _Bytes(handle, size_bytes)
    found = Scan()
    position = after_tags(handle, start, size_bytes)
    first = _find_sync(data, position, min(size_bytes, position + _FARTHEST_SYNC_BYTES))
    if first is None:
        return None
    found.front_bytes = first - position
    found.ape_in_front = b"APETAGEX" in data.at(start, min(position - start, _WINDOW_BYTES))
    form, size = data.header(first) or (None, 0)
    if form is None:
        return None
    if size == 0:
        found.free_format = True
        return found
    part = _new_part(found, first, form)
    position = first
    while position < size_bytes:
        header = data.header(position)
        if header is not None and header[0] == part.format and header[1]:
            begin = data.at(position, 44)
            maybe = b"Info" in begin or b"Xing" in begin or b"VBRI" in begin
            tag = _info_tag(data.at(position, min(header[1], 256))) if maybe else None
            if tag is not None:
                if part.frames or part.tag is not None:
                    part = _new_part(found, position, header[0])
                part.tag = tag
            else:
                part.frames.append((position, header[1]))
            position += header[1]
            continue
        position, part = _bridge(data, found, part, position)
    return _finished(data, found)


def _new_part(found: Scan, start: int, form: FrameFormat) -> Part:
    part = Part(format=form, start=start)
    found.parts.append(part)
    return part


def _bridge(data: _Bytes, found: Scan, part: Part, position: int) -> tuple[int, Part]:
    """Go on where no frame of this part begins: behind a tag, at another encoding, behind damage, or at the end."""
    tag_bytes = _tag_bytes(data.at(position, 32))
    place = position + tag_bytes
    header = data.header(place)
    if header is not None and header[1] and _chain(data, place, 2):
        return place, _new_part(found, place, header[0])
    if tag_bytes and place >= data.end:
        return data.end, part
    if tag_bytes or not part.frames:  # a tag of a wrong size; what looked like a first frame and was none
        sync = _find_sync(data, position + 1, data.end)
        header = None if sync is None else data.header(sync)
        if sync is None or header is None:
            return data.end, part
        found.foreign_bytes += sync - position
        return sync, _new_part(found, sync, header[0])
    return _behind_damage(data, found, part, position)


def _behind_damage(data: _Bytes, found: Scan, part: Part, position: int) -> tuple[int, Part]:
    """Go on at the next frames, with a count of those that are lost before them."""
    last_start, _last_bytes = part.frames[-1]
    sync = _find_sync(data, last_start + 4, data.end)
    if sync is not None and sync < position and (data.header(sync) or (None, 0))[0] != part.format:
        sync = _find_sync(data, position, data.end)  # what looks like a frame within a frame of another kind is none
    header = None if sync is None else data.header(sync)
    if sync is None or header is None:
        return data.end, part
    if header[0] != part.format:
        found.foreign_bytes += sync - position
        return sync, _new_part(found, sync, header[0])
    if sync < position:  # the last frame is short: bytes are missing from it
        part.lost.append(len(part.frames) - 1)
        part.frames[-1] = (last_start, 0)
        return sync, part
    average = sum(size for _start, size in part.frames[-32:]) / len(part.frames[-32:]) or 1.0
    count = round((sync - position) / average)
    if count == 0:
        found.foreign_bytes += sync - position
    for _ in range(count):
        part.lost.append(len(part.frames))
        part.frames.append((position, 0))
    return sync, part


def _find_sync(data: _Bytes, position: int, end: int) -> int | None:
    """The next place from which frames follow one another."""
    while position < end:
        window = data.at(position, min(_WINDOW_BYTES, end - position))
        if not window:
            return None
        at = window.find(b"\xff")
        while at >= 0:
            place = position + at
            if data.header(place) is not None and _chain(data, place, 3):
                return place
            at = window.find(b"\xff", at + 1)
        position += len(window)
    return None


def _chain(data: _Bytes, position: int, count: int) -> bool:
    """Whether `count` frames of one format follow one another, or as many as there is room for up to the end."""
    first = data.header(position)
    if first is None:
        return False
    if first[1] == 0:
        return _free_format_bytes(data, position, first[0]) > 0
    for seen in range(count):
        header = data.header(position)
        if header is None or header[0] != first[0]:
            rest = data.end - position
            at_end = rest == 0 or bool(_tag_bytes(data.at(position, 32)))
            return (seen > 0 and at_end) or (seen > 1 and rest < 0)
        position += header[1]
    return True


def _free_format_bytes(data: _Bytes, position: int, form: FrameFormat) -> int:
    """The distance to the next frame of the same free format, when a third one follows as far away; else 0."""
    window = data.at(position, 8192)
    same = window[:3]
    at = window.find(same[:2], 24)
    while at >= 0:
        header = data.header(position + at)
        if header is not None and header == (form, 0):
            for slack in (0, 1, -1):
                if data.header(position + 2 * at + slack) == (form, 0):
                    return at
        at = window.find(same[:2], at + 1)
    return 0


def _finished(data: _Bytes, found: Scan) -> Scan | None:
    """The scan without empty parts; a last frame that reaches behind the end of the file is short."""
    size_bytes = data.end
    found.parts = [part for part in found.parts if part.frames]
    if not found.parts:
        return None
    part = found.parts[-1]
    start, size = part.frames[-1]
    if start + size > size_bytes:
        part.short_bytes = start + size - size_bytes
        part.frames[-1] = (start, size_bytes - start)
    begin = data.at(part.end, 16)
    if not begin.startswith(_TAGS_BEHIND) and begin.strip(b"\0"):
        found.tail_bytes = size_bytes - part.end
    return found


def _info_tag(frame: bytes) -> InfoTag | None:
    """The header for the whole file in this frame, if it is one."""
    mpeg_1, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    offset = 4 + ((17 if mono else 32) if mpeg_1 else (9 if mono else 17))
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        audio_bytes, frames = struct.unpack(">II", frame[46:54])
        return InfoTag(frames=frames or None, audio_bytes=audio_bytes or None)
    if frame[offset : offset + 4] not in (b"Xing", b"Info") or len(frame) < offset + 8:
        return None
    flags = struct.unpack(">I", frame[offset + 4 : offset + 8])[0]
    position = offset + 8
    values: list[int | None] = []
    for bit in (1, 2):
        present = bool(flags & bit) and len(frame) >= position + 4
        values.append(struct.unpack(">I", frame[position : position + 4])[0] if present else None)
        position += 4 if present else 0
    position += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    tag = InfoTag(frames=values[0], audio_bytes=values[1])
    encoder = frame[position : position + 36]
    if len(encoder) < 36 or not encoder[:4].isalnum():
        return tag
    delays = int.from_bytes(encoder[21:24], "big")
    crc = int.from_bytes(encoder[32:34], "big") if encoder[:4] in _ENCODERS_WITH_CRC else None
    return replace(tag, delay_samples=delays >> 12, padding_samples=delays & 0xFFF, music_crc=crc)


def decoder_skip(tag: InfoTag | None) -> int:
    """Samples at the start that are the encoder's and the decoder's delay."""
    return 0 if tag is None or tag.delay_samples is None else tag.delay_samples + _DECODER_DELAY


def announced_samples(tag: InfoTag, form: FrameFormat, frames: int) -> int:
    """The length of the sound in `frames` frames without delay and padding."""
    return max(0, frames * form.frame_samples - (tag.delay_samples or 0) - tag.padding_samples)
