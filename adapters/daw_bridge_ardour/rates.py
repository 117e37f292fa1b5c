"""A rate at which Ardour plays.

Ardour 7.3's engine gives silence in every session of 8 to 24 kHz: one and the same session file plays at 44.1 kHz and
is silent at 24 kHz, where nothing in it but the number was changed. Its export has no 32 kHz or 44.056 kHz and ends
with a crash there, and its clock cannot place every rate's samples. So sessions are written at a rate of this list,
and their audio is resampled once, all files alike, so that they null as before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.resample import Resampler, resample_length
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.model import Clip, NoteTrack, SessionPlan, Track

PLAYED_HZ = (44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
_BLOCK_SAMPLES = 1 << 17


def played_rate_hz(rate_hz: int) -> int:
    """The rate of a session: the mix's own where Ardour plays it, else a multiple of it, else the next one above."""
    if rate_hz in PLAYED_HZ:
        return rate_hz
    multiples = [rate for rate in PLAYED_HZ if rate % rate_hz == 0]
    above = [rate for rate in PLAYED_HZ if rate > rate_hz]
    return (multiples or above or [PLAYED_HZ[-1]])[0]


def at_rate(plan: SessionPlan, rate_hz: int) -> SessionPlan:
    """The plan in samples of another rate; its clips still name the files that are to be resampled."""

    def scaled(samples: int) -> int:
        return resample_length(samples, plan.sample_rate_hz, rate_hz)

    def clip_at(clip: Clip) -> Clip:
        if clip.sample_rate_hz != plan.sample_rate_hz:
            return clip  # it does not fit its session either way; the writer says so
        return replace(
            clip,
            sample_rate_hz=rate_hz,
            length_samples=scaled(clip.length_samples),
            position_samples=scaled(clip.position_samples),
        )

    def track_at(track: Track) -> Track:
        return replace(track, clips=tuple(clip_at(clip) for clip in track.clips))

    markers = tuple(
        replace(
            marker,
            position_samples=scaled(marker.position_samples),
            length_samples=scaled(marker.position_samples + marker.length_samples) - scaled(marker.position_samples),
        )
        for marker in plan.markers
    )

    def notes_at(track: NoteTrack) -> NoteTrack:
        notes = (
            replace(note, position_samples=scaled(note.position_samples), length_samples=scaled(note.length_samples))
            for note in track.notes
        )
        return replace(track, notes=tuple(notes))

    return replace(
        plan,
        note_tracks=tuple(notes_at(track) for track in plan.note_tracks),
        sample_rate_hz=rate_hz,
        length_samples=scaled(plan.length_samples),
        tracks=tuple(track_at(track) for track in plan.tracks),
        reference=track_at(plan.reference) if plan.reference is not None else None,
        markers=markers,
    )


def resample_file(source: Path, target: Path, rate_hz: int) -> None:
    """Write `source` at another rate as float32 WAV. Raises InputError, OutputError."""
    with open_audio(source) as reader:
        resampler = Resampler(reader.sample_rate_hz, rate_hz, reader.channels)
        with AudioWriter(target, sample_rate_hz=rate_hz, channels=reader.channels) as writer:
            for block in reader.blocks(_BLOCK_SAMPLES):
                writer.write(resampler.process(block))
            writer.write(resampler.finish())
