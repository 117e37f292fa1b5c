"""Tempo events: where bar lines lie, in the map and in what each DAW reads."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.midi_file import TICKS_PER_BEAT, plan_to_midi
from daw_bridge.model import SessionPlan
from daw_bridge.plan_json import plan_from_json, plan_to_json
from daw_bridge.registry import load_adapter
from daw_bridge.tempo_map import TempoEvent, TempoMap, tempo_fault
from daw_bridge.testing.plans import example_plan
from tests.plan_strategies import tempo_events

EVENTS = (
    TempoEvent(bar=0, tempo_bpm=150.5, time_signature=(3, 8)),
    TempoEvent(bar=1, tempo_bpm=120.25),
    TempoEvent(bar=5, tempo_bpm=97.5, time_signature=(3, 4)),
    TempoEvent(bar=9, tempo_bpm=131.7, time_signature=(6, 8)),
)


@pytest.fixture
def plan(tmp_path: Path) -> SessionPlan:
    made = example_plan(tmp_path, neutral=True)
    return replace(made, tempo_events=EVENTS, tempo_bpm=120.25)


def lines() -> list[float]:
    tempo = TempoMap(EVENTS)
    return [tempo.bar_s(event.bar) for event in EVENTS]


@given(tempo_events.filter(bool), st.floats(0, 2000))
def test_seconds_quarters_and_bars_are_inverses(events: tuple[TempoEvent, ...], time_s: float) -> None:
    tempo = TempoMap(events)
    assert tempo.time_s(tempo.quarters(time_s)) == pytest.approx(time_s, abs=1e-6)
    assert tempo.bar_s(tempo.bar(time_s)) == pytest.approx(time_s, abs=1e-6)


def test_faults_are_named() -> None:
    assert "first bar" in tempo_fault([TempoEvent(bar=1, tempo_bpm=120.0)])
    assert "0 BPM" in tempo_fault([TempoEvent(bar=0, tempo_bpm=0.0)])
    assert "4/3" in tempo_fault([TempoEvent(bar=0, tempo_bpm=120.0, time_signature=(4, 3))])
    with pytest.raises(ValueError, match="behind"):
        TempoMap([TempoEvent(bar=0, tempo_bpm=120.0), TempoEvent(bar=0, tempo_bpm=120.0)])


def test_plans_from_before_there_were_tempo_events_are_read(plan: SessionPlan, tmp_path: Path) -> None:
    data = plan_to_json(replace(plan, tempo_events=()), tmp_path)
    del data["tempo_events"]
    old = plan_from_json(data, tmp_path)
    assert old.tempo_events == () and not old.tempo_map.changes
    assert plan_from_json(plan_to_json(plan, tmp_path), tmp_path).tempo_events == EVENTS


def test_reaper_has_a_point_on_every_line(plan: SessionPlan, tmp_path: Path) -> None:
    report = load_adapter("reaper").write(plan, tmp_path, "song")
    text = report.session_path.read_text("utf-8")
    points = [line.split()[1:] for line in text.splitlines() if line.strip().startswith("PT ")]
    assert [float(point[0]) for point in points] == pytest.approx(lines(), abs=1e-9)
    assert [float(point[1]) for point in points] == [event.tempo_bpm for event in EVENTS]
    assert [int(point[3]) for point in points] == [8 << 16 | 3, 4 << 16 | 4, 4 << 16 | 3, 8 << 16 | 6]


def test_ardour_has_a_point_on_every_line(plan: SessionPlan, tmp_path: Path) -> None:
    report = load_adapter("ardour").write(plan, tmp_path, "song")
    root = ET.fromstring(report.files[0].read_bytes())  # noqa: S314
    clocks = float(root.find("TempoMap").get("superclocks-per-second"))  # type: ignore[union-attr, arg-type]
    tempos = root.findall("TempoMap/Tempos/Tempo")
    assert [float(each.get("sclock", "")) / clocks for each in tempos] == pytest.approx(lines(), abs=1e-8)
    assert [each.get("bbt") for each in tempos] == ["1|1|0", "2|1|0", "6|1|0", "10|1|0"]
    meters = root.findall("TempoMap/Meters/Meter")
    assert [each.get("divisions-per-bar") for each in meters] == ["3", "4", "3", "6"]


def test_dawproject_has_a_point_on_every_line(plan: SessionPlan, tmp_path: Path) -> None:
    report = load_adapter("dawproject").write(plan, tmp_path, "song")
    with zipfile.ZipFile(report.session_path) as container:
        root = ET.fromstring(container.read("project.xml"))  # noqa: S314
    points = root.findall("Arrangement/TempoAutomation/RealPoint")
    tempo = TempoMap(EVENTS)
    assert [tempo.time_s(float(each.get("time", ""))) for each in points] == pytest.approx(lines(), abs=1e-9)
    assert [float(each.get("value", "")) for each in points] == [event.tempo_bpm for event in EVENTS]
    ids = {each.get("id") for each in root.iter() if each.get("id")}
    targets = {each.get("parameter") for each in root.iter("Target")}
    assert len(targets) == 2 and targets <= ids


def test_midi_files_carry_the_whole_map(plan: SessionPlan) -> None:
    song = mido.MidiFile(file=io.BytesIO(plan_to_midi(plan)))
    at, tempos = 0, []
    for message in song.tracks[0]:
        at += message.time
        if message.type == "set_tempo":
            tempos.append((at / TICKS_PER_BEAT, mido.tempo2bpm(message.tempo)))
    expected = [(each.quarters, each.event.tempo_bpm) for each in TempoMap(EVENTS).placed]
    assert [at for at, _ in tempos] == pytest.approx([at for at, _ in expected], abs=1e-3)
    assert [bpm for _, bpm in tempos] == pytest.approx([bpm for _, bpm in expected], rel=1e-5)
