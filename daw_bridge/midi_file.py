"""Tempo map, markers and notes of a session as a Standard MIDI File, which every DAW imports.

Format 1 (SMF 1.0): a conductor track with tempo, time signature, markers, and a track for each stem whose notes were
heard; texts as UTF-8. SMF holds a tempo as whole
microseconds a quarter note, so 97.5 BPM reads back as 97.49994; positions are rounded to 1/960 of a quarter note.
"""

from __future__ import annotations

import importlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from daw_bridge.errors import AdapterMissing, UsageError
from daw_bridge.model import SessionPlan
from daw_bridge.tempo_map import TempoMap

TICKS_PER_BEAT = 960


def plan_to_midi(plan: SessionPlan) -> bytes:
    """The bytes of the file. Regions become two markers, `name` and `name (end)`. Raises AdapterMissing, UsageError."""
    try:
        mido: Any = importlib.import_module("mido")
    except ImportError as exc:
        raise AdapterMissing("MIDI export needs mido; install it with: pip install 'daw-bridge[midi]'") from exc
    wanted = [each.event for each in plan.tempo_map.placed]
    slow = [event.tempo_bpm for event in wanted if round(60_000_000 / event.tempo_bpm) >= 2**24]
    if slow:
        raise UsageError(f"{min(slow):g} BPM does not fit a MIDI file (at least 3.6 BPM)")
    # Ticks are counted at the tempos as the file holds them, else markers drift off in a long song.
    tempo = TempoMap([replace(event, tempo_bpm=60_000_000 / round(60_000_000 / event.tempo_bpm)) for event in wanted])

    def ticks(position_samples: int) -> int:
        return round(tempo.quarters(position_samples / plan.sample_rate_hz) * TICKS_PER_BEAT)

    events: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name=_line(plan.name)))]
    metre_before: tuple[int, int] | None = None
    for placed in tempo.placed:
        at, (numerator, denominator) = round(placed.quarters * TICKS_PER_BEAT), placed.event.time_signature
        if placed.event.time_signature != metre_before:
            events.append((at, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)))
        metre_before = placed.event.time_signature
        events.append((at, mido.MetaMessage("set_tempo", tempo=round(60_000_000 / placed.event.tempo_bpm))))
    for marker in plan.markers:
        name = _line(marker.name)
        events.append((ticks(marker.position_samples), mido.MetaMessage("marker", text=name)))
        if marker.length_samples:
            end = marker.position_samples + marker.length_samples
            events.append((ticks(end), mido.MetaMessage("marker", text=f"{name} (end)")))
    events.sort(key=lambda event: event[0])
    end = max(ticks(plan.length_samples), events[-1][0])
    tracks = [_track(mido, [*events, (end, mido.MetaMessage("end_of_track"))])]
    for notes in plan.note_tracks:
        sounds = sorted(
            (ticks(note.position_samples + (note.length_samples if ends else 0)), not ends, note.key, note.velocity)
            for note in notes.notes
            for ends in (False, True)
        )
        named = (0, mido.MetaMessage("track_name", name=_line(notes.name)))
        kinds = ("note_off", "note_on")
        played = [(at, mido.Message(kinds[on], note=key, velocity=speed)) for at, on, key, speed in sounds]
        last = max([end, *(at for at, _ in played)])
        tracks.append(_track(mido, [named, *played, (last, mido.MetaMessage("end_of_track"))]))
    song = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8", tracks=tracks)
    data = io.BytesIO()
    song.save(file=data)
    return data.getvalue()


def _track(mido: Any, events: list[tuple[int, Any]]) -> Any:
    """Messages at their ticks, in order, as a track of what lies between them."""
    track, before = mido.MidiTrack(), 0
    for at, event in events:
        track.append(event.copy(time=at - before))
        before = at
    return track


def free_midi_path(folder: Path, name: str, data: bytes) -> Path:
    """`NAME.mid`, or with a number behind it where another file is; one that holds the very same is used again."""
    path, number = folder / f"{name}.mid", 1
    while os.path.lexists(path) and not (path.is_file() and path.read_bytes() == data):
        number += 1
        path = folder / f"{name} {number}.mid"
    return path


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
