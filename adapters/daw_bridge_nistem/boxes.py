"""The boxes of an MP4 file (ISO/IEC 14496-12), as far as a stem file needs them.

A stem file is an MP4 with five audio tracks, of which only the first is enabled, and the box `moov/udta/stem` with
JSON: names, colours and the mastering chain of the four stems.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.errors import OutputError

ENABLED, IN_MOVIE = 7, 6
"""Flags of `tkhd`: enabled, in the movie, in the preview; and without the first."""


@dataclass(frozen=True, slots=True)
class Box:
    """`begin` is where the box begins, `body` where its content does."""

    kind: bytes
    begin: int
    body: int
    end: int


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that follow one another from `begin` on; stops at what is none."""
    stop = len(data) if end is None else end
    while begin + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, begin)
        head = 8
        if size == 1 and begin + 16 <= stop:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
            head = 16
        elif size == 0:
            size = stop - begin
        if size < head or begin + size > stop:
            return
        yield Box(kind, begin, begin + head, begin + size)
        begin += size


def add_stems(path: Path, manifest: object) -> None:
    """Enable only the first track and add the stem box. The file must end with its `moov`, as FFmpeg writes it."""
    with path.open("r+b") as handle:
        place, size = _last_moov(path)
        handle.seek(place)
        moov = bytearray(handle.read(size))
        _enable_first(moov)
        body = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        stem = struct.pack(">I4s", 8 + len(body), b"stem") + body
        inside = [box for box in boxes(bytes(moov), 8) if box.kind == b"udta"]
        if inside:
            box = inside[-1]
            moov[box.end : box.end] = stem
            struct.pack_into(">I", moov, box.begin, box.end - box.begin + len(stem))
        else:
            moov += struct.pack(">I4s", 8 + len(stem), b"udta") + stem
        struct.pack_into(">I", moov, 0, len(moov))
        handle.seek(place)
        handle.write(moov)
        handle.truncate()


def _last_moov(path: Path) -> tuple[int, int]:
    """Place and size of the `moov` at the end of the file, found without reading the audio."""
    total, begin = path.stat().st_size, 0
    with path.open("rb") as handle:
        while begin + 8 <= total:
            handle.seek(begin)
            size, kind = struct.unpack(">I4s", handle.read(8))
            if size == 1:
                (size,) = struct.unpack(">Q", handle.read(8))
            if kind == b"moov" and begin + size == total:
                return begin, size
            if size < 8:
                break
            begin += size
    raise OutputError(f"{path}: the index does not lie at its end, so no stems can be named in it")


def _enable_first(moov: bytearray) -> None:
    tracks = [box for box in boxes(bytes(moov), 8) if box.kind == b"trak"]
    for number, track in enumerate(tracks):
        for box in boxes(bytes(moov), track.body, track.end):
            if box.kind == b"tkhd":
                flags = ENABLED if number == 0 else IN_MOVIE
                moov[box.body + 1 : box.body + 4] = struct.pack(">I", flags)[1:]
