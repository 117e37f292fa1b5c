"""BSS Eval v4 against the field's own program, and against what the ratios mean."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daw_bridge.metrics import BssEval, bss_eval
from daw_bridge.metrics.bss_eval import bss_eval_streamed
from daw_bridge.metrics.distortion_filters import FILTER_TAPS, WORST_CONDITION, Correlator
from daw_bridge.metrics.signals import FloatArray
from tests.metrics.songs import RATE_HZ, make_estimates, make_sources


def museval_ratios(references: NDArray[np.float64], estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """SDR, ISR, SIR, SAR by museval, shape (4, sources, windows)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from museval.metrics import bss_eval as reference_program

        swapped = (signals.transpose(0, 2, 1) for signals in (references, estimates))
        return np.stack(reference_program(*swapped, window=RATE_HZ, hop=RATE_HZ)[:4])


def our_ratios(result: BssEval) -> NDArray[np.float64]:
    return np.stack([result.sdr_db, result.isr_db, result.sir_db, result.sar_db])


@pytest.mark.parametrize(
    ("sources", "channels", "seconds"), [(2, 2, 4.3), (3, 1, 5.0), (2, 1, 0.7), (1, 2, 3.01)], ids=str
)
def test_ratios_equal_those_of_museval(sources: int, channels: int, seconds: float) -> None:
    references = make_sources(sources, channels=channels, seconds=seconds)
    estimates = make_estimates(references)
    ours, theirs = our_ratios(bss_eval(references, estimates, RATE_HZ)), museval_ratios(references, estimates)
    assert ours.shape == theirs.shape
    meaningful = [0, 1, 2, 3] if sources > 1 else [0, 1, 3]  # no interference with one source: SIR is rounding
    assert np.abs(ours - theirs)[meaningful].max() < 1e-4


def test_the_same_windows_are_left_out_as_by_museval() -> None:
    references = make_sources(2, channels=1, seconds=6)
    estimates = make_estimates(references)
    references[0, :, RATE_HZ : 3 * RATE_HZ] = 0.0
    estimates[1, :, 4 * RATE_HZ : 5 * RATE_HZ] = 0.0
    result, theirs = bss_eval(references, estimates, RATE_HZ), museval_ratios(references, estimates)
    assert [(w.index, w.silent_references, w.silent_estimates) for w in result.left_out] == [
        (1, (0,), ()),
        (2, (0,), ()),
        (4, (), (1,)),
    ]
    assert np.array_equal(np.isnan(our_ratios(result)), np.isnan(theirs))
    assert np.allclose(result.medians(), np.nanmedian(theirs, axis=2).T, atol=0.01)


def test_a_silent_channel_and_mono_as_stereo_equal_museval() -> None:
    left_only = make_sources(2, seconds=3)
    left_only[:, 1] = 0.0
    mono_as_stereo = make_sources(2, seconds=3)
    mono_as_stereo[:, 1] = mono_as_stereo[:, 0]
    for references in (left_only, mono_as_stereo):
        estimates = make_estimates(references)
        ours = bss_eval(references, estimates, RATE_HZ)
        assert np.allclose(our_ratios(ours), museval_ratios(references, estimates), atol=0.01)
    assert ours.condition > WORST_CONDITION


def test_a_perfect_estimate_has_no_error_and_says_so_with_infinity() -> None:
    references = make_sources(2, seconds=2)
    assert np.isposinf(bss_eval(references, references.copy(), RATE_HZ).sdr_db).all()


def test_each_kind_of_error_shows_in_its_own_ratio() -> None:
    references = make_sources(2, channels=1, seconds=4)
    leak = references + 0.1 * references[::-1]
    sdr_db, isr_db, sir_db, sar_db = bss_eval(references, leak, RATE_HZ).medians()[0]
    expected_db = 10 * np.log10(np.sum(references[0] ** 2) / np.sum((0.1 * references[1]) ** 2))
    assert sir_db == pytest.approx(expected_db, abs=0.5)
    assert sdr_db == pytest.approx(expected_db, abs=0.5)
    assert isr_db > expected_db + 8 and sar_db > 100

    filtered = references.copy()
    filtered[:, :, 3:] += 0.1 * references[:, :, :-3]
    sdr_db, isr_db, sir_db, sar_db = bss_eval(references, filtered, RATE_HZ).medians()[0]
    assert isr_db == pytest.approx(20.0, abs=0.1)
    assert sir_db > 60 and sar_db > 25

    noisy = references + 0.01 * np.random.default_rng(3).standard_normal(references.shape)
    sdr_db, _, sir_db, sar_db = bss_eval(references, noisy, RATE_HZ).medians()[0]
    assert sdr_db == pytest.approx(10 * np.log10(np.mean(references[0] ** 2) / 1e-4), abs=0.2)
    assert sar_db == pytest.approx(sdr_db, abs=0.5) and sir_db > sar_db + 8


def test_what_fills_no_whole_window_is_not_rated() -> None:
    references = make_sources(1, channels=1, seconds=2.9)
    assert bss_eval(references, 0.5 * references, RATE_HZ).sdr_db.shape == (1, 2)


def test_arrays_that_cannot_be_rated_are_refused() -> None:
    references = make_sources(2, channels=1, seconds=1)
    with pytest.raises(ValueError, match="shape"):
        bss_eval(references, references[:, :, 1:], RATE_HZ)
    silent = references.copy()
    silent[1] = 0.0
    with pytest.raises(ValueError, match="reference 1 is silent"):
        bss_eval(silent, references, RATE_HZ)
    broken = references.copy()
    broken[0, 0, 5] = np.nan
    with pytest.raises(ValueError, match="finite"):
        bss_eval(references, broken, RATE_HZ)


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=12))
def test_correlations_do_not_depend_on_how_the_song_is_cut(sizes: list[int]) -> None:
    signals = np.random.default_rng(4).standard_normal((2, sum(sizes)))
    correlator = Correlator(1, 2)
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        correlator.add(signals[:, start : start + size])
    result = correlator.result()
    padded = np.pad(signals, ((0, 0), (0, FILTER_TAPS)))
    for lag in (0, 1, 17, FILTER_TAPS - 1):
        direct = padded[:, lag : lag + sum(sizes)] @ signals[0]
        assert np.allclose(result[0, :, lag], direct, atol=1e-9 * sum(sizes))


class EndlessPair:
    """Noise made block by block, so that nothing but the metrics takes memory."""

    sources, channels, sample_rate_hz = 1, 1, RATE_HZ

    def __init__(self, seconds: int) -> None:
        self.length_samples = seconds * RATE_HZ

    def blocks(self, size_samples: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        for start in range(0, self.length_samples, size_samples):
            count = min(size_samples, self.length_samples - start)
            reference = np.random.default_rng(start).standard_normal((1, 1, count))
            yield reference, 0.9 * reference


def test_memory_does_not_grow_with_the_song() -> None:
    peaks = []
    for seconds in (120, 1200):
        tracemalloc.start()
        bss_eval_streamed(EndlessPair(seconds))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
