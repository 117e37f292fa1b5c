"""SDR, ISR, SIR and SAR after BSS Eval v4: 1 s windows, time-invariant distortion filters of 512 taps.

Same numbers as `museval` (its `bss_eval` with `framewise_filters=False`), at a fraction of its time: the filters
come from one factorisation instead of one per stem, and the energies of each window are taken from the spectra
(Parseval), so that nothing is transformed back. Sources: A. Liutkus, F.-R. Stöter, N. Ito, "The 2018 Signal
Separation Evaluation Campaign", LVA/ICA 2018; E. Vincent et al., ICA 2007, equations (3) to (10).

As in the field, a window in which any reference or estimate is silent is left out for all stems: ratios there mean
nothing. Which ones, and why, is part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from daw_bridge.metrics.distortion_filters import FILTER_TAPS, DistortionFilters, correlate, solve_filters
from daw_bridge.metrics.signals import ArrayPair, ComplexArray, FloatArray, SignalPair

WINDOW_S = 1.0
_WINDOW_BATCH = 4
OnBlock = Callable[[FloatArray, FloatArray], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentWindow:
    """A window that was left out: which references and estimates (by index) are silent in it."""

    index: int
    silent_references: tuple[int, ...]
    silent_estimates: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BssEval:
    """Ratios per stem and window, shape (sources, windows), in dB; nan exactly in the windows of `left_out`.

    +inf is a ratio without any error: an estimate that is its reference, sample for sample. `condition` is that of
    the system behind ISR, SIR and SAR (see `DistortionFilters`).
    """

    window_samples: int
    sdr_db: FloatArray
    isr_db: FloatArray
    sir_db: FloatArray
    sar_db: FloatArray
    left_out: tuple[SilentWindow, ...]
    condition: float

    def medians(self) -> FloatArray:
        """Median over the windows that count, shape (sources, 4): SDR, ISR, SIR, SAR; nan if no window counts."""
        ratios = np.stack([self.sdr_db, self.isr_db, self.sir_db, self.sar_db], axis=1)
        counted = np.delete(ratios, [window.index for window in self.left_out], axis=2)
        if counted.shape[2] == 0:
            return np.full(ratios.shape[:2], np.nan)
        return np.asarray(np.median(counted, axis=2))


def bss_eval(references: NDArray[Any], estimates: NDArray[Any], sample_rate_hz: int) -> BssEval:
    """BSS Eval v4 of arrays of shape (sources, channels, samples).

    Raises ValueError for shapes that differ, for samples that are not finite and for a reference that is silent
    throughout (leave such a stem out: there is nothing to compare it with).
    """
    return bss_eval_streamed(ArrayPair(references, estimates, sample_rate_hz))


def bss_eval_streamed(pair: SignalPair, *, on_windows: OnBlock | None = None) -> BssEval:
    """`bss_eval` in two passes over a pair that need not fit in memory.

    `on_windows` sees every block (sources, channels, n) of the second pass, for whatever else wants measuring.
    """
    energy = np.zeros((2, pair.sources))

    def watch(references: FloatArray, estimates: FloatArray) -> None:
        energy[0] += np.einsum("scn,scn->s", references, references)
        energy[1] += np.einsum("scn,scn->s", estimates, estimates)

    correlations = correlate(pair, watch)
    if not np.isfinite(energy).all():
        raise ValueError("a sample is not a finite number")
    if not energy[0].all():
        raise ValueError(f"reference {int(np.argmin(energy[0]))} is silent throughout")
    return _rate_windows(pair, solve_filters(correlations, pair.channels), on_windows)


def _rate_windows(pair: SignalPair, filters: DistortionFilters, on_windows: OnBlock | None) -> BssEval:
    window_samples = min(round(WINDOW_S * pair.sample_rate_hz), pair.length_samples)
    decomposition = _Decomposition(filters, window_samples)
    ratios: list[FloatArray] = []
    left_out: list[SilentWindow] = []
    index = 0
    for references, estimates in pair.blocks(_WINDOW_BATCH * window_samples):
        if on_windows is not None:
            on_windows(references, estimates)
        for batch in _whole_windows(references, estimates, window_samples):
            values = decomposition.ratios_db(*batch)
            for window in _find_silent(*batch, first=index):
                left_out.append(window)
                values[:, :, window.index - index] = np.nan
            ratios.append(values)
            index += values.shape[2]
    sdr_db, isr_db, sir_db, sar_db = np.concatenate(ratios, axis=2)
    return BssEval(
        window_samples=window_samples,
        sdr_db=sdr_db,
        isr_db=isr_db,
        sir_db=sir_db,
        sar_db=sar_db,
        left_out=tuple(left_out),
        condition=filters.condition,
    )


def _whole_windows(
    references: FloatArray, estimates: FloatArray, window_samples: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The block as (sources, channels, windows, samples); the rest of a song that fills no window is not rated."""
    count = references.shape[2] // window_samples
    if count:
        shape = (*references.shape[:2], count, window_samples)
        end = count * window_samples
        yield references[:, :, :end].reshape(shape), estimates[:, :, :end].reshape(shape)


def _find_silent(references: FloatArray, estimates: FloatArray, *, first: int) -> Iterator[SilentWindow]:
    silent_references = np.asarray(~references.any(axis=(1, 3)))
    silent_estimates = np.asarray(~estimates.any(axis=(1, 3)))
    for window in np.flatnonzero(silent_references.any(axis=0) | silent_estimates.any(axis=0)):
        yield SilentWindow(
            index=first + int(window),
            silent_references=tuple(int(i) for i in np.flatnonzero(silent_references[:, window])),
            silent_estimates=tuple(int(i) for i in np.flatnonzero(silent_estimates[:, window])),
        )


class _Decomposition:
    """Estimate = target + spatial distortion + interference + artefacts, in the spectrum of one padded window."""

    def __init__(self, filters: DistortionFilters, window_samples: int) -> None:
        self._fft_samples = scipy.fft.next_fast_len(window_samples + FILTER_TAPS - 1, real=True)
        # (bins, estimate channels, reference channels): ready for one matrix product per bin
        self._joint = self._spectra(filters.joint).transpose(2, 1, 0).copy()
        self._own = self._spectra(filters.own)
        weight = np.full(self._fft_samples // 2 + 1, 2.0 / self._fft_samples)
        weight[0] /= 2.0
        if self._fft_samples % 2 == 0:
            weight[-1] /= 2.0
        self._weight = weight

    def ratios_db(self, references: FloatArray, estimates: FloatArray) -> FloatArray:
        """SDR, ISR, SIR, SAR of windows (sources, channels, windows, samples): shape (4, sources, windows)."""
        sources, channels, windows, _ = references.shape
        true = self._spectra(references)
        estimate = self._spectra(estimates)
        flat = np.ascontiguousarray(true.reshape(sources * channels, windows, -1).transpose(2, 0, 1))
        explained = (self._joint @ flat).transpose(1, 2, 0).reshape(true.shape)
        own = np.einsum("srcf,srwf->scwf", self._own, true)
        target = _energy(references)
        return np.stack(
            [
                _ratio_db(target, _energy(references - estimates)),
                _ratio_db(target, self._spectral_energy(own - true)),
                _ratio_db(self._spectral_energy(own), self._spectral_energy(explained - own)),
                _ratio_db(self._spectral_energy(explained), self._spectral_energy(estimate - explained)),
            ]
        )

    def _spectra(self, signals: FloatArray) -> ComplexArray:
        return np.asarray(scipy.fft.rfft(signals, n=self._fft_samples, axis=-1))

    def _spectral_energy(self, spectra: ComplexArray) -> FloatArray:
        power = spectra.real**2 + spectra.imag**2
        return np.asarray((power @ self._weight).sum(axis=1))


def _energy(signals: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("scwn,scwn->sw", signals, signals))


def _ratio_db(signal: FloatArray, error: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0.0, np.inf, 10.0 * np.log10(signal / error))
