"""Samples that lie in the file as they are: WAVE and its kin, AIFF, AU, CAF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import soundfile

from daw_bridge.audio import container_wave
from daw_bridge.audio.audio_file import AudioReader, library_path
from daw_bridge.audio.joined import JoinedReader, open_all
from daw_bridge.audio.layout import DataPiece, Layout, SampleFormat, lay_out
from daw_bridge.audio.lengths import Verdict, cut_off, is_placeholder
from daw_bridge.audio.next_file import next_file
from daw_bridge.audio.reader_any import closing, open_with_ffmpeg
from daw_bridge.audio.reader_mpeg import open_mpeg
from daw_bridge.audio.reader_soundfile import SoundfileReader, with_notes
from daw_bridge.audio.sound_behind import is_sound
from daw_bridge.audio.spans import Span, SpanFile
from daw_bridge.errors import DamagedInput, InputError

_HIGHEST_RATE_HZ = (1 << 31) - 1
"""What libsndfile can be told; nothing sounds at a hundredth of it."""
_FARTHEST_FOLLOWING_BYTES, _MOST_SEARCHED_BYTES = 1 << 24, 1 << 28
"""Behind the samples only chunks may come before another file."""


def open_waves(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    starts = container_wave.wave_starts(handle, base, size_bytes)
    parts = [
        (start, *container_wave.read_wave(handle, start, end))
        for start, end in zip(starts, [*starts[1:], size_bytes], strict=True)
    ]
    if len(parts) == 1:
        return _open_wave(path, *parts[0], accept_damaged)
    return JoinedReader(open_all(partial(_open_wave, path, *part, accept_damaged) for part in parts))


def _open_wave(
    path: Path, base: int, form: SampleFormat | None, pieces: list[DataPiece], accept_damaged: bool
) -> AudioReader:
    if form is None or not pieces:
        missing = "a data chunk" if form is not None else "a usable format chunk"
        raise InputError(f"{path}: a WAV file without {missing}, cut off or damaged in its header; export it again")
    if form.tag in container_wave.MPEG_TAGS and len(pieces) == 1:
        layout = lay_out(replace(form, unit_bytes=1), pieces, accept_damaged=accept_damaged)
        start, length = layout.spans[0]
        reader = open_mpeg(path, accept_damaged=accept_damaged, span=(start, start + length))
        if reader is not None:
            said = () if layout.verdict is Verdict.CUT else layout.notes
            return with_notes(reader, ("MPEG audio inside a WAV file", *said))
    if form.tag in container_wave.BIT_STREAM_TAGS:
        inside = f"{container_wave.BIT_STREAM_TAGS[form.tag]} inside a WAV file"
        return open_with_ffmpeg(path, (inside,), accept_damaged=accept_damaged)
    return open_pcm(path, base, form, pieces, accept_damaged)


def open_pcm(path: Path, base: int, form: SampleFormat, pieces: list[DataPiece], accept_damaged: bool) -> AudioReader:
    """Samples that lie in the file as they are, and what is joined behind them."""
    if form.sample_rate_hz > _HIGHEST_RATE_HZ:
        raise InputError(f"{path}: {form.sample_rate_hz} Hz stands in its header, which is damaged; export it again")
    following, pieces = _split_at_next_file(path, base, pieces)
    reader = _open_pcm(path, base, form, pieces, accept_damaged)
    if following is None:
        return reader
    from daw_bridge.audio.reader_joined import with_following

    return with_following(path, reader, following, accept_damaged=accept_damaged)


def _split_at_next_file(path: Path, base: int, pieces: list[DataPiece]) -> tuple[int | None, list[DataPiece]]:
    """Where another file begins behind the samples (None where none does), and the pieces up to there."""
    last = pieces[-1]
    if last.goes_on:
        return None, pieces
    unknown = is_placeholder(last.claimed_bytes)
    with path.open("rb") as handle:
        begin, end = last.start + last.claimed_bytes, last.start + last.there_bytes
        if unknown:  # all of it is read anyway; what is looked for is only a header that would be heard as a click
            handle.seek(base)
            mark = handle.read(4)
            following = next_file(handle, last.start, min(end, last.start + _MOST_SEARCHED_BYTES), mark=mark)
        else:
            following = next_file(handle, begin, min(end, begin + _FARTHEST_FOLLOWING_BYTES))
    if following is None:
        return None, pieces
    return following, [*pieces[:-1], replace(last, there_bytes=following - last.start, goes_on=not unknown)]


def _open_pcm(path: Path, base: int, form: SampleFormat, pieces: list[DataPiece], accept_damaged: bool) -> AudioReader:
    """Through libsndfile, with the length that the rule gives."""
    layout = lay_out(form, pieces, accept_damaged=accept_damaged)
    if layout.verdict is Verdict.CUT and not accept_damaged:
        raise _cut_off(path, layout)
    if layout.left_behind_bytes and _is_sound_behind(path, layout):
        layout = lay_out(form, pieces, accept_damaged=accept_damaged, sound_behind=True)
    if not layout.data_bytes:
        raise InputError(f"{path}: there are no samples in it; export the mix again")
    try:
        if not base:
            sound = soundfile.SoundFile(library_path(path))
            if form.subtype == "" and layout.verdict in (Verdict.AS_CLAIMED, Verdict.CUT, Verdict.OFF_BY_ONE):
                return SoundfileReader(path, sound, layout.notes, known=layout.verdict is Verdict.AS_CLAIMED)
            if form.subtype and sound.frames == layout.length_samples and len(layout.spans) == 1:
                return SoundfileReader(path, sound, layout.notes, claim=layout.claim)
            sound.close()
    except soundfile.LibsndfileError:
        pass
    return _open_mended(path, base, layout, accept_damaged)


def _is_sound_behind(path: Path, layout: Layout) -> bool:
    start, length = layout.spans[-1]
    with path.open("rb") as handle:
        return is_sound(handle, start + length, layout.left_behind_bytes, layout.form)


def _cut_off(path: Path, layout: Layout) -> DamagedInput:
    form, there = layout.form, layout.data_bytes
    at_s = layout.length_samples / form.sample_rate_hz if form.subtype else None
    claimed = layout.claim.claimed_samples or 0
    return cut_off(path, there // form.unit_bytes * form.block_samples, claimed, at_s=at_s)


def _open_mended(path: Path, base: int, layout: Layout, accept_damaged: bool) -> AudioReader:
    """What libsndfile does not read as it is: the samples without their container, or a copy of the header mended."""
    form = layout.form
    handle = path.open("rb")
    try:
        if form.subtype:
            sound = soundfile.SoundFile(
                SpanFile(handle, layout.spans),
                samplerate=form.sample_rate_hz,
                channels=form.channels,
                format="RAW",
                subtype=form.subtype,
                endian="BIG" if form.big_endian else "LITTLE",
            )
        else:
            sound = soundfile.SoundFile(SpanFile(handle, list(_mended_header(base, layout))))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        handle.close()
        return open_with_ffmpeg(path, layout.notes, accept_damaged=accept_damaged)
    claim = layout.claim if form.subtype else None
    reader = SoundfileReader(path, sound, layout.notes, claim=claim, container=form.container)
    return closing(reader, handle)


def _mended_header(base: int, layout: Layout) -> Iterator[Span]:
    """Everything up to the samples, with the size that was found in place of the one that is wrong (RIFF only)."""
    start, length = layout.spans[0]
    yield (base, layout.size_at - base)
    yield min(length, 0xFFFFFFFF).to_bytes(4, "little")
    yield (layout.size_at + 4, start - layout.size_at - 4)
    yield (start, length)
