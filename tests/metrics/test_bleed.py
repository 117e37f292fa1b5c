"""Bleed: a leak of a known level is read as that level."""

from __future__ import annotations

import numpy as np
import pytest

from daw_bridge.metrics.bleed import FLOOR_DB, BleedMeter
from tests.metrics.songs import RATE_HZ


def low_and_high() -> np.ndarray:
    """Two stems in different registers, shape (2, 1, samples)."""
    import scipy.signal  # not above: collecting this file would take a second longer

    noise = np.random.default_rng(5).standard_normal((2, 1, 8 * RATE_HZ))
    low = scipy.signal.sosfiltfilt(scipy.signal.butter(12, 0.2, output="sos"), noise[0])
    high = scipy.signal.sosfiltfilt(scipy.signal.butter(12, 0.7, "highpass", output="sos"), noise[1])
    return np.stack([low, high])


def bleed_db(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    meter = BleedMeter(np.einsum("scn,scn->s", references, references) / references.shape[2])
    for start in range(0, references.shape[2], 12_345):
        meter.add(references[:, :, start : start + 12_345], estimates[:, :, start : start + 12_345])
    return meter.levels_db()


@pytest.mark.parametrize("leak_db", [-10.0, -20.0, -40.0])
def test_a_leak_is_read_at_its_level_and_in_its_direction(leak_db: float) -> None:
    references = low_and_high()
    estimates = references.copy()
    estimates[1] += 10 ** (leak_db / 20) * references[0]
    levels = bleed_db(references, estimates)
    assert levels[0, 1] == pytest.approx(leak_db, abs=0.5)
    assert levels[1, 0] == FLOOR_DB
    assert np.isnan(levels.diagonal()).all()


def test_perfect_estimates_are_at_the_floor_and_the_mix_is_at_zero() -> None:
    references = low_and_high()
    perfect = bleed_db(references, references)
    mixed = bleed_db(references, np.stack([references.sum(axis=0)] * 2))
    assert perfect[0, 1] == perfect[1, 0] == FLOOR_DB
    assert mixed[0, 1] == pytest.approx(0.0, abs=0.5) and mixed[1, 0] == pytest.approx(0.0, abs=0.5)


def test_a_stem_that_never_stands_alone_has_no_level() -> None:
    one = low_and_high()[:1]
    same = np.concatenate([one, one])
    assert np.isnan(bleed_db(same, same)).all()
