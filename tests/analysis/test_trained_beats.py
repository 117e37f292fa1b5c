"""Beats of the trained tracker: with a stand-in that has its interface, since its weights cannot be brought along."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daw_bridge.analysis.song import HeardSong, TempoWish, hear_song
from daw_bridge.analysis.trained_beats import weights_file
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.main import main
from daw_bridge.errors import AdapterMissing, UsageError, WeightsCorrupt, WeightsMissing
from daw_bridge.tempo_map import TempoMap
from tests.analysis.loops import RATE_HZ, Loop, make_loop

INFERENCE = '''
"""The interface of beat_this 1.1: a checkpoint, then (signal, rate) -> beats and downbeats in seconds."""

import numpy


class Audio2Beats:
    def __init__(self, checkpoint_path="final0", device="cpu", float16=False, dbn=False):
        self.kept = numpy.load(checkpoint_path)

    def __call__(self, signal, sr):
        assert sr == 22050 and signal.ndim == 1 and signal.dtype == numpy.float32
        return self.kept["beats"], self.kept["downbeats"]
'''
FRAME_S = 0.02


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in is installed; where its weights would lie."""
    package = tmp_path / "site" / "beat_this"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "inference.py").write_text(INFERENCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    weights = tmp_path / "torch" / "hub" / "checkpoints" / "beat_this-final0.ckpt"
    weights.parent.mkdir(parents=True)
    yield weights
    for name in [name for name in sys.modules if name.partition(".")[0] == "beat_this"]:
        del sys.modules[name]


def knows(weights: Path, beats_s: np.ndarray, downbeats_s: np.ndarray) -> None:
    """Let the tracker hear these, in its frames."""
    with weights.open("wb") as file:
        np.savez(file, beats=_framed(beats_s), downbeats=_framed(downbeats_s))


def _framed(times_s: np.ndarray) -> np.ndarray:
    return np.round(times_s / FRAME_S) * FRAME_S


def heard(folder: Path, loop: Loop) -> HeardSong:
    path = folder / "mix.wav"
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=1) as writer:
        writer.write(loop.mix[None].astype(np.float32))
    return hear_song({}, path, TempoWish(beats="beat_this"), asked="")


def bar_lines_s(song: HeardSong, until_s: float) -> np.ndarray:
    return np.array(list(TempoMap(song.music.tempo_events).bar_lines_s(until_s)))


def farthest_ms(lines_s: np.ndarray, truth_s: np.ndarray) -> float:
    return 1e3 * max(float(np.abs(lines_s - time_s).min()) for time_s in truth_s)


def test_its_beats_are_fitted_to_one_tempo_and_placed_on_the_onsets(tmp_path: Path, tracker: Path) -> None:
    loop = make_loop(123.0, offset_s=0.137, bars=16)
    knows(tracker, loop.beats_s, loop.beats_s[2::4])  # it says where the bars are
    song = heard(tmp_path, loop)
    assert song.grid is not None and song.grid.constant
    assert song.music.tempo_bpm == pytest.approx(123.0, abs=0.01)
    assert farthest_ms(bar_lines_s(song, float(loop.beats_s[-1])), loop.beats_s[2::4]) < 10.0
    assert "heard by beat_this" in song.music.remarks[0]


def test_missing_and_moving_beats_and_other_metres_are_taken(tmp_path: Path, tracker: Path) -> None:
    loop = make_loop(np.linspace(100.0, 112.0, 54), bars=18, beats_per_bar=3)
    knows(tracker, np.delete(loop.beats_s, [10, 31]), loop.beats_s[::3])
    song = heard(tmp_path, loop)
    assert song.grid is not None and not song.grid.constant
    assert song.music.time_signature == (3, 4)
    assert farthest_ms(bar_lines_s(song, float(loop.beats_s[-1])), loop.beats_s[::3]) < 20.0


def test_beats_without_a_pulse_leave_the_session_at_its_own_tempo(tmp_path: Path, tracker: Path) -> None:
    loop = make_loop(120.0, bars=16)
    beats = np.sort(np.random.default_rng(1).uniform(0.0, loop.beats_s[-1], 60))
    knows(tracker, beats, beats[::4])
    song = heard(tmp_path, loop)
    assert song.grid is None and song.music.tempo_bpm == 120.0
    assert "no regular beat" in song.music.remarks[0]


def test_no_beats_at_all_are_nothing(tmp_path: Path, tracker: Path) -> None:
    knows(tracker, np.zeros(0), np.zeros(0))
    assert heard(tmp_path, make_loop(120.0, bars=8)).grid is None


def test_weights_that_are_not_there_or_none_are_said(tmp_path: Path, tracker: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"run 'beat_this SONG\.wav' once"):
        weights_file("beat_this")
    with pytest.raises(WeightsMissing, match="no such file"):
        weights_file(f"beat_this:{tmp_path}/none.ckpt")
    tracker.write_text("not weights", encoding="utf-8")
    with pytest.raises(WeightsCorrupt, match=r"beat_this-final0.ckpt: beat_this cannot read"):
        heard(tmp_path, make_loop(120.0, bars=8))


@pytest.mark.skipif(importlib.util.find_spec("beat_this") is not None, reason="beat_this is installed")
def test_a_build_without_the_tracker_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    song = tmp_path / "song.wav"
    with AudioWriter(song, sample_rate_hz=44_100, channels=2) as writer:
        writer.write(np.zeros((2, 4_410), np.float32))
    asked = ["build", str(song), "-m", "preview", "--beats", "beat_this", "-o", str(tmp_path / "out")]
    assert main(asked) == AdapterMissing.exit_code
    assert "pip install 'daw-bridge[beat_this]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("who", ["madmom", "beat_this:", "own:x", "", "beat-this"])
def test_an_unknown_tracker_is_refused(who: str) -> None:
    with pytest.raises(UsageError, match="give own, beat_this or beat_this:FILE"):
        BuildOptions(beats=who)
