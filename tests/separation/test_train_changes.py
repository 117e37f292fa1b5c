"""What training does to single parts, and its percussion: as loud as before, wider, decided by number."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.separation.recipe_modules import module

RATE_HZ = 44_100
FloatArray = NDArray[np.float32]


def rms_db(x: FloatArray) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


@pytest.fixture
def noise() -> FloatArray:
    """Mono noise on both channels."""
    return np.tile(np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32), (2, 1))


@pytest.mark.parametrize("name", ["resonant", "roomy", "wide", "narrow"])
def test_a_changed_part_is_as_loud_as_before_and_repeatable(noise: FloatArray, name: str) -> None:
    change = getattr(module("changes"), name)
    for seed in range(8):
        one, two = (change(noise, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one, two)
        assert one.dtype == np.float32 and one.shape == noise.shape
        assert abs(rms_db(one) - rms_db(noise)) < 0.1
        assert not np.allclose(one, noise, atol=1e-3)
        assert not change(np.zeros_like(noise), np.random.default_rng(seed)).any(), "silence stays silence"


def test_a_mono_part_gets_a_side(noise: FloatArray) -> None:
    for seed in range(8):
        left, right = module("changes").wide(noise, np.random.default_rng(seed))
        assert rms_db(left - right) > rms_db(left + right) - 15


def test_resonant_noise_has_a_bell_where_drums_sing(noise: FloatArray) -> None:
    for seed in range(8):
        power = np.square(np.abs(np.fft.rfft(module("changes").resonant(noise, np.random.default_rng(seed))[0])))
        smooth = np.convolve(power, np.ones(40) / 40, "same")
        assert 80 < np.argmax(smooth) < 1_900
        assert smooth.max() > 3 * smooth[8_000:].mean()


def test_a_telephone_has_neither_lows_nor_highs(noise: FloatArray) -> None:
    for seed in range(8):
        power = np.square(np.abs(np.fft.rfft(module("changes").narrow(noise, np.random.default_rng(seed))[0])))
        assert power[20:100].mean() < power[900:1_400].mean() / 10
        assert power[15_000:].mean() < power[900:1_400].mean() / 10


def test_strokes_are_short_finite_and_decided_by_their_generator() -> None:
    percussion = module("percussion")
    for key in (36, 38, 42, 45, 56):
        for seed in range(12):
            one, two = (percussion._stroke(key, np.random.default_rng(seed)) for _ in range(2))
            assert np.array_equal(one, two)
            assert np.isfinite(one).all() and 0.9 < np.abs(one).max() <= 1.0
            assert one.size <= 1.5 * RATE_HZ and abs(one[-1]) < 0.01, "it ends without a click"


def test_strokes_stand_where_the_groove_has_them() -> None:
    percussion, instruments = module("percussion"), module("instruments")
    notes = [instruments.Note(start_s, 0.1, 36, 1.0) for start_s in (0.25, 0.75)]
    played = percussion._voice(36, notes, RATE_HZ, np.random.default_rng(3))
    assert not played[:, : RATE_HZ // 4].any()
    assert played[:, 3 * RATE_HZ // 4 : 3 * RATE_HZ // 4 + 2_000].any()
