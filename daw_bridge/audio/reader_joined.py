"""A file, and what somebody joined behind it: MP4 after MP4, AIFF after AIFF, anything after a WMA.

WAVE, MPEG, FLAC and Ogg behind their own kind have their readers; here is every other pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from daw_bridge.audio.audio_file import AudioReader, BlockReader, FloatArray, not_audio
from daw_bridge.audio.container_mp4 import index_missing, is_mp4, mp4_end
from daw_bridge.audio.joined import JoinedReader, Piece, join
from daw_bridge.audio.lengths import damaged, precise_clock
from daw_bridge.audio.mpeg_frames import after_tags, frames_begin_at
from daw_bridge.audio.next_file import next_file
from daw_bridge.audio.reader_av import AvReader, open_av
from daw_bridge.audio.reader_mpeg import open_mpeg
from daw_bridge.audio.reader_soundfile import with_notes
from daw_bridge.errors import DamagedInput, InputError
from daw_bridge.units import human_bytes

_LEAST_SAID_BYTES = 1024


def open_from(path: Path, start: int, *, accept_damaged: bool) -> AudioReader:
    """A reader for the file that begins at this byte of `path`, and for all that follow it. Raises InputError."""
    size_bytes = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(start)
        if is_mp4(handle.read(16)):
            return open_mp4(path, handle, size_bytes, start=start, accept_damaged=accept_damaged) or _refused(path)
        if frames_begin_at(handle, after_tags(handle, start, size_bytes), size_bytes):
            return open_mpeg(path, accept_damaged=accept_damaged, span=(start, size_bytes)) or _refused(path)
    reader = open_av(path, (), accept_damaged=accept_damaged, span=(start, size_bytes))
    return _refused(path) if reader is None else read_on(path, reader, accept_damaged=accept_damaged)


def open_mp4(
    path: Path, handle: BinaryIO, size_bytes: int, *, start: int = 0, accept_damaged: bool
) -> AudioReader | None:
    """A reader for the MP4 that begins there and what follows it; None where FFmpeg does not know it."""
    boxes_end = mp4_end(handle, start, size_bytes)
    following = next_file(handle, boxes_end, size_bytes)
    end = following or size_bytes
    wrong = index_missing(handle, start, end)
    if wrong:
        raise (DamagedInput if start else InputError)(f"{path}: {wrong}")
    reader = open_av(path, (), accept_damaged=accept_damaged, span=(start, end) if end - start < size_bytes else None)
    if reader is None:
        return None
    if following is None:
        left = size_bytes - boxes_end
        said = f"{human_bytes(left)} behind its end are no MP4; left out"
        return with_notes(reader, (said,)) if left >= _LEAST_SAID_BYTES else reader
    return with_following(path, reader, following, accept_damaged=accept_damaged)


def with_following(path: Path, reader: AudioReader, start: int, *, accept_damaged: bool) -> AudioReader:
    """The reader, and behind it what begins at byte `start`. Raises DamagedInput where that is damaged."""
    estimate = reader.length_samples or reader.info.estimated_samples or 0
    try:
        following, note = _open_following(path, start, estimate / reader.sample_rate_hz, accept_damaged)
    except InputError:
        reader.close()
        raise
    return with_notes(reader, (note,)) if following is None else JoinedReader([reader, following])


def _refused(path: Path) -> AudioReader:
    raise not_audio(path)


def _open_following(path: Path, start: int, at_s: float, accept_damaged: bool) -> tuple[AudioReader | None, str]:
    """What is joined behind, or a remark that it cannot be read."""
    try:
        return open_from(path, start, accept_damaged=accept_damaged), ""
    except DamagedInput as exc:
        if not accept_damaged:
            raise damaged(path, at_s, f"another file begins there (byte {start}), which is damaged or cut off") from exc
    except InputError:  # a picture, a film without sound
        pass
    return None, f"another file begins behind its sound, at byte {start}; no sound can be read of it, it is left out"


def read_on(path: Path, reader: AvReader, *, accept_damaged: bool) -> AudioReader:
    """The reader, and all that is found behind its last packet."""
    return _ReadOn(path, reader, accept_damaged=accept_damaged)


class _ReadOn(BlockReader):
    """Only decoding tells where the first file ends, so that what follows comes at its rate and channels."""

    def __init__(self, path: Path, reader: AvReader, *, accept_damaged: bool) -> None:
        super().__init__(reader.info, self._all())
        self._path, self._reader, self._accept = path, reader, accept_damaged
        self._open: list[AudioReader] = [reader]
        self.late_notes, self.holes = reader.late_notes, reader.holes

    def close(self) -> None:
        for reader in self._open:
            reader.close()

    def _all(self) -> Iterator[FloatArray]:
        done = 0
        for block in self._reader.blocks():
            done += block.shape[1]
            yield block
        start = self._reader.next_file()
        if start is None:
            return
        at_s = done / self.sample_rate_hz
        following, note = _open_following(self._path, start, at_s, self._accept)
        if following is None:
            self.late_notes.append(note)
            return
        self._open.append(following)
        piece = Piece(following.sample_rate_hz, following.channels, following.blocks())
        blocks, said = join([piece], self.sample_rate_hz, self.channels)
        self.late_notes += [f"another file begins at {precise_clock(at_s)}, byte {start}; it is read on", *said]
        yield from blocks
        self.late_notes += [*following.info.notes, *following.late_notes]
        for hole in following.holes:
            self.add_hole(hole.moved(done, self.sample_rate_hz / following.sample_rate_hz))
