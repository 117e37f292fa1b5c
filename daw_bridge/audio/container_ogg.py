"""Ogg page by page (RFC 3533): chained recordings, lost and damaged pages, a cut at the end.

A radio recording is a chain of Ogg streams, one after the other; decoders like to stop after the first.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

from daw_bridge.audio.spans import Span

_WINDOW_BYTES = 1 << 20
_LARGEST_PAGE_BYTES = 65_307
_FIRST, _LAST = 0x02, 0x04
_NO_GRANULE = (1 << 64) - 1
_OPUS_RATE = (48_000).to_bytes(4, "little")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(slots=True, kw_only=True)
class Link:
    """One stream of a chain. `granules` counts its last page; `gaps` are granules before which pages are missing."""

    start: int
    end: int
    serial: int
    head: bytes
    streams: int = 1
    granules: int = 0
    first_granules: int = -1
    pages: int = 0
    last_sequence: int = 0
    ended: bool = False
    gaps: list[int] = field(default_factory=list)

    @property
    def codec(self) -> str:
        """ "vorbis", "opus", or "" for anything else."""
        return "vorbis" if self.head[:7] == b"\x01vorbis" else "opus" if self.head[:8] == b"OpusHead" else ""

    @property
    def is_at_full_rate(self) -> bool:
        """Whether libsndfile decodes it at the rate that it has."""
        return self.codec != "opus" or self.head[12:16] == _OPUS_RATE

    @property
    def sample_rate_hz(self) -> int:
        """What granules count in."""
        if self.codec == "vorbis" and len(self.head) >= 16:
            return int(struct.unpack("<I", self.head[12:16])[0]) or 1
        return 48_000


@dataclass(slots=True, kw_only=True)
class Chain:
    links: list[Link] = field(default_factory=list)
    cut: bool = False
    foreign_bytes: int = 0


def read_chain(handle: BinaryIO, size_bytes: int) -> Chain:
    """Every page of the file."""
    chain = Chain()
    position = 0
    window, window_start = b"", 0
    while position < size_bytes:
        if position + _LARGEST_PAGE_BYTES > window_start + len(window) and window_start + len(window) < size_bytes:
            handle.seek(position)
            window, window_start = handle.read(_WINDOW_BYTES), position
        at = position - window_start
        if window[at : at + 4] != b"OggS":
            found = window.find(b"OggS", at)
            if found < 0:
                chain.foreign_bytes += max(1, len(window) - at - 3)
                position = window_start + max(at + 1, len(window) - 3)
                continue
            chain.foreign_bytes += found - at
            position = window_start + found
            continue
        page = _page(window, at)
        if page is None:  # the file ends within this page
            chain.cut = True
            if chain.links:
                chain.links[-1].end = position
            return chain
        if not _is_intact(page):
            position += 4  # what is lost shows in the next page's number
            continue
        _take(chain, page, position)
        position += len(page)
    return chain


def _page(window: bytes, at: int) -> bytes | None:
    if len(window) < at + 27:
        return None
    segments = window[at + 26]
    if len(window) < at + 27 + segments:
        return None
    length = 27 + segments + sum(window[at + 27 : at + 27 + segments])
    page = window[at : at + length]
    return page if len(page) == length else None


def _is_intact(page: bytes) -> bool:
    return _checksum(page) == page[22:26]


def _checksum(page: bytes) -> bytes:
    """Ogg's CRC-32 is zlib's polynomial the other way round, without inversions: mirror the bytes, and zlib does it."""
    plain = page[:22] + b"\0\0\0\0" + page[26:]
    mirrored = zlib.crc32(plain.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")


def spans_at_full_rate(handle: BinaryIO, link: Link) -> list[Span]:
    """A link as libsndfile is to see it: Opus is decoded at 48 kHz, whatever its header says of what was encoded."""
    whole: list[Span] = [(link.start, link.end - link.start)]
    if link.is_at_full_rate:
        return whole
    handle.seek(link.start)
    page = _page(handle.read(_LARGEST_PAGE_BYTES), 0)
    if page is None:
        return whole
    at = page.index(b"OpusHead") + 12
    page = page[:at] + _OPUS_RATE + page[at + 4 :]
    page = page[:22] + _checksum(page) + page[26:]
    return [page, (link.start + len(page), link.end - link.start - len(page))]


def _take(chain: Chain, page: bytes, position: int) -> None:
    """Add an intact page to the chain."""
    flags = page[5]
    granule, serial, sequence = struct.unpack("<QII", page[6:22])
    body = page[27 + page[26] :]
    last = chain.links[-1] if chain.links else None
    if flags & _FIRST:
        if last is not None and last.pages <= last.streams:  # beside the first stream: sound and picture
            last.streams += 1
            last.pages += 1
            last.end = position + len(page)
            return
        chain.links.append(
            Link(start=position, end=position, serial=serial, head=body[:64], last_sequence=sequence, pages=1)
        )
        chain.links[-1].end = position + len(page)
        return
    if last is None:
        return
    last.pages += 1
    last.end = position + len(page)
    if serial != last.serial:
        return
    if sequence != (last.last_sequence + 1) & 0xFFFFFFFF:
        last.gaps.append(last.granules)
    last.last_sequence = sequence
    if granule != _NO_GRANULE:
        last.granules = granule
        if last.first_granules < 0 < granule:
            last.first_granules = granule
    last.ended = bool(flags & _LAST)
