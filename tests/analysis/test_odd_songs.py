"""Songs that lead trackers astray: heard right, or said to be unsure, and never wrong with confidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.grid import hear
from benchmarks.grid_loops import BROKEN_CASES, CHOSEN, f_measure, score
from daw_bridge.analysis.song import read_features
from daw_bridge.audio.writer import AudioWriter
from tests.analysis.loops import RATE_HZ, Loop, make_loop
from tests.analysis.test_grid import grid_of
from tests.sweeps import sweep


def pickup(beats: int) -> Loop:
    """A song that begins `beats` before its first downbeat: nothing else tells the upbeat from a first bar."""
    loop = make_loop(104.0, bars=28)
    begin = round(float(loop.beats_s[4 - beats]) * RATE_HZ)
    parts = {name: getattr(loop, name)[begin:] for name in ("drums", "bass", "other")}
    beats_s = loop.beats_s[4 - beats :] - begin / RATE_HZ
    return replace(loop, **parts, beats_s=beats_s)


@pytest.mark.parametrize("beats", [1, 2, 3])
def test_a_pickup_bar_does_not_move_the_downbeat(beats: int) -> None:
    loop = pickup(beats)
    grid = grid_of(loop)
    assert grid.sure
    assert f_measure(loop.beats_s, grid.beats_s) > 0.98
    if grid.downbeat_sure:
        assert f_measure(loop.beats_s[beats::4], grid.downbeats_s) > 0.95


@pytest.mark.parametrize("swing", [0.08, 1 / 6])
def test_swing_does_not_move_the_beats(swing: float) -> None:
    loop = make_loop(96.0, swing=swing)
    grid = grid_of(loop)
    right = f_measure(loop.beats_s, grid.beats_s) > 0.95
    assert right or not grid.sure


@pytest.mark.parametrize(
    ("pattern", "number", "kind"),
    sweep(
        [("six8", 0, "mix"), ("break", 0, "drums"), ("break", 2, "drums")],
        [("six8", 0, "drums"), ("break", 0, "mix")],
    ),
)
def test_six_eight_and_broken_beats_are_right_or_unsure(pattern: str, number: int, kind: str) -> None:
    """Of the broken beats three were heard a sixteenth early and called sure; one of them swings."""
    case = [case for case in CHOSEN if case.pattern == pattern][number]
    assert not score(case, kind, hear).wrong


@pytest.mark.parametrize(("pattern", "kind"), sweep([("late snare", "drums")], [("linear", "mix")]))
def test_fills_alone_do_not_say_where_bars_begin_nor_alike_sixteenths_where_beats_are(pattern: str, kind: str) -> None:
    case = next(case for case in BROKEN_CASES if case.pattern == pattern)
    row = score(case, kind, hear)
    assert not row.wrong and not row.wrong_bars


def _written(path: Path, audio: np.ndarray) -> Path:
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=len(audio)) as writer:
        writer.write(audio.astype(np.float32))
    return path


def test_mono_drums_are_heard_as_stereo_ones(tmp_path: Path) -> None:
    drums = make_loop(120.0, bars=4).drums
    mono, stereo = (
        read_features(_written(tmp_path / f"{channels}.wav", np.tile(drums, (channels, 1)))) for channels in (1, 2)
    )
    assert np.array_equal(mono.bands, stereo.bands)
    assert np.array_equal(mono.level_db, stereo.level_db)
