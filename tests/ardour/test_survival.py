"""Ardour opens a session that uses everything, saves it over, and nothing of ours was dropped or changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.adapter_lab import null_db, read_audio
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session, run_ardour
from tests.ardour.plans import full_plan, song_plan
from tests.ardour.read_back import ReadPlugin, ReadStrip, read_session

pytestmark = pytest.mark.daw
SAVE = Path(__file__).with_name("load_and_save.lua")


def _rounded(strip: ReadStrip) -> ReadStrip:
    """Without what may differ: Ardour keeps control values as 32-bit floats."""

    def plugin(made: ReadPlugin) -> ReadPlugin:
        return replace(made, values=tuple(sorted((symbol, float(np.float32(v))) for symbol, v in made.values)))

    # Hardware outputs depend on the machine: Ardour 8 forgets those that are not there.
    outputs = tuple(name for name in strip.outputs if not name.startswith("system:"))
    sends = tuple(replace(send, gain_linear=float(np.float32(send.gain_linear))) for send in strip.sends)
    return replace(
        strip,
        gain_linear=float(np.float32(strip.gain_linear)),
        outputs=outputs,
        plugins=tuple(plugin(made) for made in strip.plugins),
        sends=sends,
    )


def test_a_session_with_everything_survives_a_save_by_ardour(song: Path, ardour: Ardour) -> None:
    report = ADAPTER.write(full_plan(song), song, "Song")
    file = report.files[0]
    before = read_session(file)
    saved_at = file.stat().st_mtime_ns
    log = run_ardour([ardour.lua, SAVE, report.session_path, "Song"], timeout_s=280)
    assert "rror" not in log, log
    assert file.stat().st_mtime_ns != saved_at, "Ardour did not save"
    after = read_session(file)
    assert list(after.strips) == list(before.strips)
    for name, strip in before.strips.items():
        assert _rounded(after.strips[name]) == _rounded(strip), name
    assert after.markers == before.markers
    assert after.range_samples == before.range_samples
    assert after.tempo_bpm == pytest.approx(before.tempo_bpm, abs=1e-5)
    assert after.time_signature == before.time_signature


def test_a_moved_song_that_ardour_has_saved_still_nulls(song: Path, ardour: Ardour) -> None:
    """The audio is inside the session folder, so the song folder can go anywhere."""
    plan, audio = song_plan(song, rate=48_000, channels=2, seconds=0.5)
    report = ADAPTER.write(plan, song, "Song")
    run_ardour([ardour.lua, SAVE, report.session_path, "Song"], timeout_s=280)
    moved = song.with_name("moved")
    song.rename(moved)
    shutil.rmtree(moved / "audio")
    session = moved / report.session_path.name
    rendered = read_audio(export_session(session, moved / "render.wav", ardour=ardour, timeout_s=280))
    assert null_db(rendered, audio["reference"]) <= -120.0
