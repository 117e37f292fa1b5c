"""Whole-song ratios against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from daw_bridge.metrics import si_sdr_db, song_sdr_db
from tests.metrics.songs import make_sources


def test_song_sdr_is_the_ratio_of_energies_over_everything() -> None:
    reference = make_sources(1)[0]
    assert song_sdr_db(reference, 0.9 * reference) == pytest.approx(20.0)
    error = 0.01 * np.random.default_rng(1).standard_normal(reference.shape)
    expected_db = 10 * math.log10(np.sum(reference**2) / np.sum(error**2))
    assert song_sdr_db(reference, reference + error) == pytest.approx(expected_db)


def test_song_sdr_at_its_ends() -> None:
    reference = make_sources(1)[0]
    assert song_sdr_db(reference, reference) == math.inf
    assert song_sdr_db(reference, 0 * reference) == pytest.approx(0.0)
    assert song_sdr_db(0 * reference, reference) == -math.inf
    with pytest.raises(ValueError, match="shape"):
        song_sdr_db(reference, reference[:, 1:])


def test_si_sdr_does_not_hear_the_level() -> None:
    reference, noise = make_sources(2)
    noise -= reference * np.vdot(noise, reference) / np.vdot(reference, reference)
    expected_db = 10 * math.log10(np.vdot(reference, reference) / np.vdot(noise, noise)) + 40
    for gain in (0.001, 1.0, -3.0, 100.0):
        assert si_sdr_db(reference, gain * (reference + 0.01 * noise)) == pytest.approx(expected_db, abs=1e-6)
    assert si_sdr_db(reference, noise) < -200
    assert si_sdr_db(reference, 0.5 * reference) == math.inf


def test_si_sdr_keeps_its_digits_for_nearly_perfect_estimates() -> None:
    reference, noise = make_sources(2)
    noise -= reference * np.vdot(noise, reference) / np.vdot(reference, reference)
    expected_db = 10 * math.log10(np.vdot(reference, reference) / np.vdot(noise, noise)) + 180
    assert si_sdr_db(reference, reference + 1e-9 * noise) == pytest.approx(expected_db, abs=0.01)


def test_si_sdr_of_a_silent_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="silent reference"):
        si_sdr_db(np.zeros((2, 10)), np.ones((2, 10)))
