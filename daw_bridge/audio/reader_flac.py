"""FLAC, with the count of samples that its last frame proves."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import BinaryIO

import soundfile

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.container_flac import flac_starts, last_frame, read_streaminfo, total_patch
from daw_bridge.audio.joined import JoinedReader, open_all
from daw_bridge.audio.lengths import LengthClaim, cut_off
from daw_bridge.audio.next_file import next_file
from daw_bridge.audio.reader_any import closing, open_plain, open_with_ffmpeg
from daw_bridge.audio.reader_soundfile import SoundfileReader
from daw_bridge.audio.spans import Span, SpanFile
from daw_bridge.errors import InputError
from daw_bridge.units import human_bytes

_LEAST_FLAC_BYTES = 1 << 14
"""A FLAC of no samples holds tags and the padding that encoders leave for them."""


def open_flac(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    """A reader for a FLAC, for several in one file, and for what else is joined behind them."""
    starts = flac_starts(handle, base)
    following = _next_file(handle, starts[-1], size_bytes)
    reader = _open_flacs(path, handle, starts, following or size_bytes, accept_damaged)
    if following is None:
        return reader
    from daw_bridge.audio.reader_joined import with_following

    return with_following(path, reader, following, accept_damaged=accept_damaged)


def _next_file(handle: BinaryIO, start: int, size_bytes: int) -> int | None:
    info = read_streaminfo(handle, start)
    if info is None:
        return None
    last = last_frame(handle, info, size_bytes)
    return next_file(handle, last.start if last is not None else info.at + 34, size_bytes)


def _open_flacs(path: Path, handle: BinaryIO, starts: list[int], end: int, accept_damaged: bool) -> AudioReader:
    if len(starts) == 1:
        return _open_flac_part(path, handle, starts[0], end, accept_damaged)
    ends = [*starts[1:], end]
    readers = open_all(
        partial(_open_flac_part, path, handle, start, end, accept_damaged)
        for start, end in zip(starts, ends, strict=True)
    )
    if all(reader.length_samples is not None for reader in readers):
        return JoinedReader(readers)
    for reader in readers:  # what is not in order is FFmpeg's, which looks for frames
        reader.close()
    return open_with_ffmpeg(path, (), accept_damaged=accept_damaged)


def _open_flac_part(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    info = read_streaminfo(handle, base)
    last = last_frame(handle, info, size_bytes) if info is not None else None
    if info is not None and last is None and not info.total_samples and size_bytes - info.at < _LEAST_FLAC_BYTES:
        raise InputError(f"{path}: there are no samples in it; export the mix again")
    if info is None or last is None:
        return open_plain(path, accept_damaged)
    claimed = info.total_samples
    notes: tuple[str, ...] = ()
    left = size_bytes - last.start - info.largest_frame_bytes(last.end_samples - last.start_samples)
    if left > 0 and not last.whole:
        notes = (f"{human_bytes(left)} or more behind its last frame are no FLAC; left out",)
    real, end = (last.end_samples, size_bytes) if last.whole else (last.start_samples, last.start)
    rate_hz = info.sample_rate_hz
    if not last.whole and claimed in (last.end_samples, 0):
        real, end = last.end_samples, size_bytes  # something behind the last frame, or a cut in it: decoding tells
    cut = claimed > real and (last.full or not last.whole)
    if cut and not accept_damaged:
        raise cut_off(path, real, claimed, at_s=real / rate_hz)
    if claimed != real:
        says = f"announces {claimed / rate_hz:.3f} s" if claimed else "does not state the length"
        said = f"the FLAC header {says}; its frames end at {real / rate_hz:.3f} s, and that is read"
        notes += (f"cut off: {said}" if cut else said,)
    claim = LengthClaim(claimed_samples=claimed or None, behind_samples=real)
    own = path.open("rb")
    try:
        spans: list[Span] = [(base, 8), total_patch(handle, info, real), (info.at + 34, end - info.at - 34)]
        sound = soundfile.SoundFile(SpanFile(own, spans))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        own.close()
        return open_plain(path, accept_damaged, notes)
    md5 = info.md5 if real == last.end_samples else b""
    return closing(SoundfileReader(path, sound, notes, claim=claim, container="FLAC", md5=md5), own)
