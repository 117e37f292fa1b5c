"""A song whose tempo moves, in real Ardour: its bar lines are ours, and no sample of the audio is touched."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.adapter_lab import null_db, read_audio
from daw_bridge.safe_xml import parse_xml
from daw_bridge.tempo_map import TempoEvent
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour
from daw_bridge_ardour.session_xml import SUPERCLOCKS_PER_S
from tests.ardour.export import export_session, run_ardour
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
