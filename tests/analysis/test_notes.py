"""Notes heard in stems, and where they land."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import mido
import numpy as np
import pytest
import rpp as independent_rpp

from benchmarks.notes import BARS, RATE_HZ, score, stem
from daw_bridge.adapter import Feature
from daw_bridge.analysis.notes import hear_notes
from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import UsageError
from daw_bridge.midi_file import plan_to_midi
from daw_bridge.model import Note, NoteTrack, SessionPlan
from daw_bridge.music import HeardNote, SongMusic, StemNotes, music_from_json
from daw_bridge.plan_json import plan_from_json, plan_to_json
from daw_bridge.registry import load_adapter
from daw_bridge.tempo_map import TempoEvent
from daw_bridge.testing import example_plan


@pytest.mark.parametrize("kind", list(BARS))
def test_lines_and_chords_are_heard_where_they_are(kind: str) -> None:
    f, bias_ms = score(*stem(kind, 9, 8.0))
    assert f >= BARS[kind]
    assert abs(bias_ms) <= 10.0


def test_notes_keep_their_places_across_the_windows_of_the_graph() -> None:
    """A window has 172 frames and lasts 171.27: put end to end they would drift by 4 ms a second."""
    audio, truth = stem("keys", 4, 2.0)
    late = np.concatenate([np.zeros(14 * RATE_HZ, np.float32), audio])
    early, shifted = (hear_notes([each], RATE_HZ) for each in (audio, late))
    found = {round(note.start_s - 14.0, 2) for note in shifted}
    assert len(early) == len(truth)
    assert all(min(abs(note.start_s - each) for each in found) < 0.02 for note in early)


@pytest.mark.parametrize(
    "audio", [np.zeros(RATE_HZ), np.ones(1), np.zeros(0)], ids=["silence", "one sample", "nothing"]
)
def test_what_holds_no_notes_gives_none(audio: np.ndarray) -> None:
    assert hear_notes([audio.astype(np.float32)], RATE_HZ) == ()


def test_drums_are_refused_and_what_was_heard_reads_back_from_the_manifest() -> None:
    with pytest.raises(UsageError, match="Drums"):
        BuildOptions(midi=("bass", "Drums"))
    note = HeardNote(start_s=0.5, length_s=0.25, key=40, velocity=77)
    music = SongMusic(asked="x", notes=(StemNotes(stem="bass", notes=(note,)),))
    assert music_from_json(json.loads(json.dumps(music.to_json()))) == music


def plan_with_notes(folder: Path) -> SessionPlan:
    """Bars of 100 and 120 BPM; a note on the second beat of each, and one over the tempo change."""
    plan = example_plan(folder, neutral=True)
    events = (TempoEvent(bar=0, tempo_bpm=100.0), TempoEvent(bar=1, tempo_bpm=120.0))
    rate = plan.sample_rate_hz
    notes = (
        Note(position_samples=round(0.6 * rate), length_samples=round(0.3 * rate), key=40, velocity=100),
        Note(position_samples=round(2.1 * rate), length_samples=round(0.8 * rate), key=45, velocity=64),
    )
    track = NoteTrack(name="bass notes", stem="bass", output="bass", notes=notes)
    return replace(plan, length_samples=4 * rate, tempo_events=events, note_tracks=(track,))


TICKS = [(960, 480, 40, 100), (3360, 480 + 960, 45, 64)]
"""Begin and length at 960 a quarter: the second begins half a beat before the tempo changes, at 2.4 s."""


def test_plans_with_notes_read_back_and_name_their_stem(tmp_path: Path) -> None:
    plan = plan_with_notes(tmp_path)
    assert plan_from_json(plan_to_json(plan, tmp_path), tmp_path) == plan


def test_the_midi_file_has_a_track_a_stem_on_the_bars_of_the_song(tmp_path: Path) -> None:
    song = mido.MidiFile(file=io.BytesIO(plan_to_midi(plan_with_notes(tmp_path))), charset="utf-8")
    assert [track.name for track in song.tracks] == ["Example", "bass notes"]
    at, began, found = 0, {}, []
    for message in song.tracks[1]:
        at += message.time
        if message.type == "note_on":
            began[message.note] = (at, message.velocity)
        elif message.type == "note_off":
            begin, velocity = began.pop(message.note)
            found.append((begin, at - begin, message.note, velocity))
    assert found == TICKS


def test_reaper_has_the_notes_on_a_muted_track_under_their_stem(tmp_path: Path) -> None:
    plan = plan_with_notes(tmp_path)
    report = load_adapter("reaper").write(plan, tmp_path, "Song")
    root = independent_rpp.loads(report.session_path.read_text("utf-8"))
    tracks = root.findall("./TRACK")
    names = [track.find("NAME")[1] for track in tracks]
    place = names.index("bass notes")
    assert names[place - 1] == "bass" and tracks[place].find("MUTESOLO")[1] == "1"
    source = tracks[place].find(".//SOURCE")
    at, began, found = 0, {}, []
    for line in source:
        if line[0] != "E":
            continue
        at += int(line[1])
        status, key, velocity = (int(str(each), 16) for each in line[2:5])
        if status == 0x90:
            began[key] = (at, velocity)
        elif status == 0x80:
            begin, speed = began.pop(key)
            found.append((begin, at - begin, key, speed))
    assert found == TICKS
    assert at == 960 * (4 + 2 * 1.6)
    assert not any(limit.feature is Feature.NOTES for limit in report.limits)


def test_dawproject_has_the_notes_in_beats_and_reads_back_without_them(tmp_path: Path) -> None:
    adapter = load_adapter("dawproject")
    plan = plan_with_notes(tmp_path)
    report = adapter.write(plan, tmp_path, "Song")
    with zipfile.ZipFile(report.session_path) as container:
        root = ET.fromstring(container.read("project.xml"))  # noqa: S314
    (notes,) = root.iter("Notes")
    found = [(float(each.get("time", "")), float(each.get("duration", "")), int(each.get("key", ""))) for each in notes]
    assert found == [pytest.approx((begin / 960, length / 960, key)) for begin, length, key, _ in TICKS]
    read = adapter.read_plan(report.session_path).plan  # type: ignore[attr-defined]
    assert [track.name for track in read.tracks] == [track.name for track in plan.tracks]
    assert len(read.buses) == len(plan.buses)


def test_every_other_format_says_where_the_notes_are(tmp_path: Path) -> None:
    plan = plan_with_notes(tmp_path)
    for name in ("live", "aaf", "render"):
        report = load_adapter(name).write(plan, tmp_path, f"Song {name}")
        assert any(limit.feature is Feature.NOTES for limit in report.limits), name
