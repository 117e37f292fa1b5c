"""A song whose tempo moves, in real Ardour: its bar lines are ours, and no sample of the audio is touched."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest

from benchmarks.adapter_lab import null_db, read_audio
from daw_bridge.model import Note, NoteTrack
from daw_bridge.safe_xml import parse_xml
from daw_bridge.tempo_map import TempoEvent
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session, run_ardour
from daw_bridge_ardour.session_xml import SUPERCLOCKS_PER_S
from tests.ardour.plans import song_plan

pytestmark = pytest.mark.daw
SAVE = Path(__file__).with_name("load_and_save.lua")
BARS = 40


def drift() -> tuple[TempoEvent, ...]:
    """A lead-in of its own metre, then another tempo each bar, as a band plays."""
    walk = 118.0 + np.cumsum(np.random.default_rng(18).uniform(-1.5, 1.5, BARS))
    lead = TempoEvent(bar=0, tempo_bpm=150.7, time_signature=(1, 4))
    return (lead, *(TempoEvent(bar=1 + bar, tempo_bpm=round(float(bpm), 4)) for bar, bpm in enumerate(walk)))


def points(session: Path, tag: str) -> list[tuple[float, str]]:
    """Time in seconds and bar of every point of the tempo map."""
    root = parse_xml(session.read_bytes())
    return [
        (int(each.get("sclock", "0")) / SUPERCLOCKS_PER_S, each.get("bbt", ""))
        for each in root.findall(f"TempoMap/{tag}")
    ]


def test_a_drifting_tempo_keeps_its_bar_lines_and_the_audio_nulls(song: Path, ardour: Ardour) -> None:
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=1.0)
    plan = replace(plan, tempo_events=drift())
    report = ADAPTER.write(plan, song, "Song")
    run_ardour([ardour.lua, SAVE, report.session_path, "Song"], timeout_s=280)
    saved = points(report.files[0], "Tempos/Tempo")
    wanted = [placed.time_s for placed in plan.tempo_map.placed]
    assert [bar for _, bar in saved] == [f"{1 + event.bar}|1|0" for event in drift()]
    late_ms = [1e3 * (time_s - ours) for (time_s, _), ours in zip(saved, wanted, strict=True)]
    assert max(map(abs, late_ms)) <= 0.5, late_ms
    assert all(after > before for before, after in itertools.pairwise(time_s for time_s, _ in saved))
    assert [bar for _, bar in points(report.files[0], "Meters/Meter")] == ["1|1|0", "2|1|0"]
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=280))
    assert null_db(rendered, audio["reference"]) <= -120.0


def test_drafts_of_notes_are_there_after_ardour_saved_the_session(song: Path, ardour: Ardour) -> None:
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=1.0)
    stem = plan.tracks[0]
    notes = (
        Note(position_samples=11_025, length_samples=8_000, key=40, velocity=100),
        Note(position_samples=30_000, length_samples=9_000, key=52, velocity=64),
    )
    draft = NoteTrack(name=f"{stem.name} notes", stem=stem.name, output=stem.output, notes=notes)
    plan = replace(plan, tempo_bpm=120.0, note_tracks=(draft,))
    report = ADAPTER.write(plan, song, "Song")
    log = run_ardour([ardour.lua, SAVE, report.session_path, "Song"], timeout_s=280)
    assert "rror" not in log, log
    root = parse_xml(report.files[0].read_bytes())
    (route,) = root.findall("Routes/Route[@default-type='midi']")
    mute = next(each for each in route.findall("Controllable") if each.get("name") == "mute")
    assert (route.get("name"), float(mute.get("value", "0"))) == (draft.name, 1.0)
    (region,) = root.findall(f"Playlists/Playlist[@id='{route.get('midi-playlist')}']/Region")
    (source,) = root.findall(f"Sources/Source[@id='{region.get('source-0')}']")
    file, end = report.files[-1], round(plan.length_samples / 22_050 * 1920)
    assert (source.get("name"), region.get("start"), region.get("length")) == (file.name, "b0", f"b{end}@b0")
    played = [message for message in mido.MidiFile(file) if message.type == "note_on"]
    assert [(each.note, each.velocity) for each in played] == [(40, 100), (52, 64)]
    at = 0
    begun: list[float] = []
    for message in mido.MidiFile(file).tracks[0]:
        at += message.time
        begun += [at / 1920] if message.type == "note_on" else []
    assert begun == pytest.approx([11_025 / 22_050, 30_000 / 22_050], abs=1 / 1920)
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=280))
    assert null_db(rendered, audio["reference"]) <= -120.0
