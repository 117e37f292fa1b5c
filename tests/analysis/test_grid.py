"""The tempo grid against loops with exact truth, and against sound that has no tempo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from daw_bridge.analysis.bars import tempo_events, with_downbeat
from daw_bridge.analysis.features import Features, FloatArray, features
from daw_bridge.analysis.grid import Grid, Heard, find_grid, listen
from daw_bridge.analysis.key import find_key
from daw_bridge.analysis.sections import find_sections
from daw_bridge.tempo_map import TempoMap
from tests.analysis.loops import RATE_HZ, Loop, make_loop


def heard_of(loop: Loop, rate_hz: int = RATE_HZ) -> Heard:
    parts = {"drums": loop.drums, "bass": loop.bass, "other": loop.other}
    found = listen({name: of(part, rate_hz) for name, part in parts.items()}, of(loop.mix, rate_hz))
    assert found is not None
    return found


def of(audio: FloatArray, rate_hz: int = RATE_HZ) -> Features:
    return features(blocks(audio), rate_hz)


def blocks(audio: FloatArray, size: int = 30_011) -> Iterator[FloatArray]:
    return (audio[begin : begin + size] for begin in range(0, len(audio), size))


def grid_of(loop: Loop, rate_hz: int = RATE_HZ) -> Grid:
    grid = find_grid(heard_of(loop, rate_hz))
    assert grid is not None
    return grid


def worst_ms(found: np.ndarray, truth: np.ndarray) -> float:
    """The 95th percentile of how far true beats lie from found ones."""
    return float(np.percentile([np.abs(found - time_s).min() for time_s in truth], 95)) * 1e3


@pytest.mark.parametrize(("bpm", "offset_s"), [(120.0, 0.0), (93.0, 0.137), (140.0, 1.41), (101.37, 3.2)])
def test_one_tempo_is_found_exactly_and_bar_lines_fall_on_downbeats(bpm: float, offset_s: float) -> None:
    loop = make_loop(bpm, offset_s=offset_s)
    grid = grid_of(loop)
    assert grid.sure and grid.constant and grid.downbeat_sure
    assert grid.bpm == pytest.approx(bpm, abs=0.01)
    assert worst_ms(grid.beats_s, loop.beats_s) < 10.0
    lines = np.array(list(TempoMap(tempo_events(grid)).bar_lines_s(float(loop.beats_s[-1]))))
    assert worst_ms(lines, loop.beats_s[::4]) < 10.0


def test_a_moving_tempo_is_followed_and_not_called_constant() -> None:
    loop = make_loop(np.linspace(100.0, 112.0, 96))
    grid = grid_of(loop)
    assert grid.sure and not grid.constant
    assert worst_ms(grid.beats_s, loop.beats_s) < 10.0
    events = tempo_events(grid)
    lines = np.array(list(TempoMap(events).bar_lines_s(float(loop.beats_s[-1]))))
    assert worst_ms(lines, loop.beats_s[::4]) < 15.0
    assert 2 < len(events) < 30


def test_a_tempo_that_jumps_is_not_called_constant() -> None:
    grid = grid_of(make_loop(np.where(np.arange(96) < 48, 120.0, 127.0)))
    assert not grid.constant


@pytest.mark.parametrize("beats_per_bar", [3, 5])
def test_other_metres_are_heard(beats_per_bar: int) -> None:
    grid = grid_of(make_loop(110.0, beats_per_bar=beats_per_bar, bars=32))
    assert grid.beats_per_bar == beats_per_bar
    assert grid.downbeats_s[1] == pytest.approx(beats_per_bar * 60.0 / 110.0, abs=0.01)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 96_000])
def test_the_rate_of_the_stems_does_not_matter(rate_hz: int) -> None:
    grid = grid_of(make_loop(125.0, rate_hz=rate_hz, bars=16), rate_hz)
    assert grid.sure and grid.bpm == pytest.approx(125.0, abs=0.01)


def test_music_that_starts_late_keeps_its_grid() -> None:
    loop = make_loop(120.0, offset_s=37.0, bars=16)
    events = tempo_events(grid_of(loop))
    lines = np.array(list(TempoMap(events).bar_lines_s(80.0)))
    assert np.abs(lines - 37.0).min() < 0.01
    assert all(40.0 < event.tempo_bpm < 300.0 for event in events)


@pytest.mark.parametrize("kind", ["noise", "speech", "ambient", "sparse clicks"])
def test_sound_without_a_tempo_is_never_sure(kind: str) -> None:
    rng = np.random.default_rng(3)
    t = np.arange(40 * RATE_HZ) / RATE_HZ
    audio = {
        "noise": 0.1 * rng.standard_normal(len(t)),
        "speech": _syllables(rng, len(t)),
        "ambient": 0.1 * np.sin(2 * np.pi * 110 * t) * (1 + np.sin(2 * np.pi * 0.05 * t)),
        "sparse clicks": np.where(rng.random(len(t)) < 2.0 / RATE_HZ, 0.8, 0.0),
    }[kind].astype(np.float32)
    heard = listen({}, of(audio))
    grid = find_grid(heard) if heard is not None else None
    assert grid is None or not grid.sure


def _syllables(rng: np.random.Generator, size: int) -> np.ndarray:
    audio, at = np.zeros(size), 0
    while at < size:
        length = int(rng.uniform(0.08, 0.3) * RATE_HZ)
        t = np.arange(min(length, size - at)) / RATE_HZ
        audio[at : at + length] = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 200) * t) * np.hanning(len(t))
        at += length + int(rng.exponential(0.15) * RATE_HZ)
    return audio


def test_silence_and_a_single_sample_are_nothing_to_hear() -> None:
    assert listen({}, of(np.zeros(5 * RATE_HZ, np.float32))) is None
    assert listen({}, of(np.ones(1, np.float32))) is None


def test_three_seconds_are_too_short_to_be_sure() -> None:
    loop = make_loop(120.0, bars=2, tail_s=0.0)
    heard = listen({"drums": of(loop.drums)}, of(loop.mix))
    grid = find_grid(heard) if heard is not None else None
    assert grid is None or not grid.sure


def test_a_given_downbeat_moves_the_bars_and_not_the_tempo() -> None:
    grid = grid_of(make_loop(120.0))
    moved = with_downbeat(grid, 1.0)
    assert moved.bpm == grid.bpm
    assert np.abs(moved.downbeats_s - 1.0).min() < 1e-9


def test_sections_begin_on_bars() -> None:
    loop = make_loop(120.0, bars=32)
    heard = heard_of(loop)
    grid = find_grid(heard)
    assert grid is not None
    sections = find_sections(heard, grid)
    assert 2 <= len(sections) <= 12
    for section in sections:
        assert np.abs(loop.beats_s[::4] - section.start_s).min() < 0.01


def test_the_tonic_is_heard() -> None:
    key = find_key(of(make_loop(120.0).other + make_loop(120.0).bass).chroma)
    assert key is not None and key.tonic == "C" and key.mode == "major"


def test_the_same_sound_gives_the_same_features_in_any_blocks() -> None:
    audio = make_loop(120.0, bars=2).mix
    once, often = features([audio], RATE_HZ), features(blocks(audio, 777), RATE_HZ)
    np.testing.assert_allclose(once.bands, often.bands, atol=1e-4)
    np.testing.assert_allclose(once.level_db, often.level_db, atol=1e-3)
    assert once.chroma.shape == often.chroma.shape


def test_a_phrase_and_changing_notes_have_no_key() -> None:
    """Eight seconds are needed, and a tonic that most of the song keeps."""
    loop = make_loop(120.0)
    phrase = find_key(of((loop.other + loop.bass)[: 5 * RATE_HZ]).chroma)
    assert phrase is not None and not phrase.sure
    t = np.arange(RATE_HZ * 4) / RATE_HZ
    tones = [0.2 * np.sin(2 * np.pi * 220.0 * 2.0 ** (step * 7 % 12 / 12.0) * t) for step in range(12)]
    changing = find_key(of(np.concatenate(tones).astype(np.float32)).chroma)
    assert changing is not None and not changing.sure
