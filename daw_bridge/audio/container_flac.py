"""How long a FLAC really is: its last frame says its own place (RFC 9639, sections 8.2 and 9).

STREAMINFO's count is a claim: 0 in a file that was written to a pipe, too small or too large in one that was cut,
joined or repaired.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import BinaryIO

_TAIL_BYTES = 1 << 18  # a frame of 65,535 samples and two channels of 24 bits is about that long
_RATES_HZ = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000}
_RATES_HZ |= {9: 44_100, 10: 48_000, 11: 96_000}
_STREAMINFO_AT = 8
_ID3V1_BYTES = 128
_FILE_BEGINS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
"""The mark and the header of STREAMINFO, which is the first block and 34 bytes long (RFC 9639, 8.1 and 8.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """The first block of a FLAC file; `at` is where it begins. 0 samples and an all-zero `md5` are "unknown"."""

    at: int
    smallest_block: int
    largest_block: int
    sample_rate_hz: int
    channels: int
    bits: int
    total_samples: int
    md5: bytes

    def largest_frame_bytes(self, count_samples: int) -> int:
        """A frame of so many samples is never longer: it may hold them as they are, behind its headers."""
        return 64 + self.channels * (8 + count_samples * (self.bits + 1) // 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFrame:
    """`end_samples` is the file's length; `whole` says whether this frame is all there, `full` whether it is as long as
    all others (an encoder's last one mostly is not)."""

    start_samples: int
    end_samples: int
    start: int
    whole: bool
    full: bool


def read_streaminfo(handle: BinaryIO, base: int) -> StreamInfo | None:
    """STREAMINFO of the FLAC that begins at `base`; None where there is none."""
    handle.seek(base)
    head = handle.read(8 + 34)
    if head[:4] != b"fLaC" or len(head) < 42 or head[4] & 0x7F != 0:
        return None
    body = head[_STREAMINFO_AT:]
    packed = int.from_bytes(body[10:18], "big")
    return StreamInfo(
        at=base + _STREAMINFO_AT,
        smallest_block=int.from_bytes(body[0:2], "big"),
        largest_block=int.from_bytes(body[2:4], "big"),
        sample_rate_hz=packed >> 44,
        channels=(packed >> 41 & 7) + 1,
        bits=(packed >> 36 & 31) + 1,
        total_samples=packed & (1 << 36) - 1,
        md5=body[18:34],
    )


def total_patch(handle: BinaryIO, info: StreamInfo, total_samples: int) -> bytes:
    """STREAMINFO's 34 bytes with another count of samples."""
    handle.seek(info.at)
    body = bytearray(handle.read(34))
    packed = int.from_bytes(body[10:18], "big") >> 36 << 36 | total_samples
    body[10:18] = packed.to_bytes(8, "big")
    return bytes(body)


def last_frame(handle: BinaryIO, info: StreamInfo, size_bytes: int) -> LastFrame | None:
    """The last frame whose header is right; None where there is none near the end."""
    start = max(info.at + 34, size_bytes - _TAIL_BYTES)
    handle.seek(start)
    tail = handle.read(size_bytes - start)
    if tail[-_ID3V1_BYTES : -_ID3V1_BYTES + 3] == b"TAG":
        tail = tail[:-_ID3V1_BYTES]
    tail = tail.rstrip(b"\0") if not tail[-64:].strip(b"\0") else tail
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        header = _frame_header(tail[at : at + 20], info)
        if header is not None:
            place, count = header
            return LastFrame(
                start_samples=place,
                end_samples=place + count,
                start=start + at,
                whole=_crc_16(tail[at:-2]) == int.from_bytes(tail[-2:], "big"),
                full=count == info.largest_block,
            )
    return None


def _frame_header(head: bytes, info: StreamInfo) -> tuple[int, int] | None:
    """(first sample, number of samples) of a frame; None when these bytes are no frame header of this file."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    block_code, rate_code = head[2] >> 4, head[2] & 15
    coded = _coded_number(head[4:11])
    if block_code == 0 or rate_code == 15 or head[3] >> 4 > 10 or head[3] & 1 or coded is None:
        return None
    number, length = coded
    at = 4 + length
    if block_code in (6, 7):
        width = block_code - 5
        count = int.from_bytes(head[at : at + width], "big") + 1
        at += width
    else:
        count = 192 if block_code == 1 else 576 << block_code - 2 if block_code < 6 else 256 << block_code - 8
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _crc_8(head[:at]) != head[at]:
        return None
    if rate_code in _RATES_HZ and _RATES_HZ[rate_code] != info.sample_rate_hz:
        return None
    variable = head[1] & 1 == 1
    return (number if variable else number * (info.largest_block or count)), count


def _coded_number(head: bytes) -> tuple[int, int] | None:
    """A number coded as UTF-8 does, up to seven bytes: (value, bytes)."""
    first = head[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    if length < 2 or length > 7 or len(head) < length:
        return None
    value = first & (1 << 7 - length) - 1 if length < 7 else 0
    for byte in head[1:length]:
        if byte & 0xC0 != 0x80:
            return None
        value = value << 6 | byte & 0x3F
    return value, length


def _crc_8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def _crc_16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_16[crc >> 8 ^ byte]
    return crc


def _crc_16_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x8005) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


_CRC_16 = tuple(_crc_16_of_byte(byte) for byte in range(256))


def flac_starts(handle: BinaryIO, base: int) -> list[int]:
    """Where FLAC files begin in this one, the first at `base`."""
    with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [base]
        for mark in _FILE_BEGINS:
            at = base
            while (at := data.find(mark, at + 1)) >= 0:
                info = read_streaminfo(handle, at)
                if info is not None and info.sample_rate_hz:
                    starts.append(at)
        return sorted(starts)
