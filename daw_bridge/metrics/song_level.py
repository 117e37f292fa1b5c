"""Ratios over a whole song, without windows or filters: uSDR and SI-SDR.

uSDR is the "new SDR" of the Music Demixing challenge (Y. Mitsufuji et al., "Music Demixing Challenge 2021", 2022,
equation 1): 10 log10(sum s^2 / sum (s - e)^2) over all samples and channels. It is not the SDR of BSS Eval, and the
two must not be compared. SI-SDR: J. Le Roux et al., "SDR: half-baked or well done?", ICASSP 2019, equation 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.metrics.signals import FloatArray


class SongLevels:
    """Sums energies block after block; everything below is per stem, shape (sources,)."""

    def __init__(self, sources: int) -> None:
        self.reference_energy: FloatArray = np.zeros(sources)
        self.estimate_energy: FloatArray = np.zeros(sources)
        self._error_energy: FloatArray = np.zeros(sources)
        self._error_on_reference: FloatArray = np.zeros(sources)

    def add(self, references: FloatArray, estimates: FloatArray) -> None:
        """Take the next block of both, shape (sources, channels, n)."""
        error = estimates - references
        self.reference_energy += _inner(references, references)
        self.estimate_energy += _inner(estimates, estimates)
        self._error_energy += _inner(error, error)
        self._error_on_reference += _inner(error, references)

    def song_sdr_db(self) -> FloatArray:
        """uSDR; +inf without any error, -inf for a silent reference with an estimate that is not."""
        return _ratio_db(self.reference_energy, self._error_energy)

    def si_sdr_db(self) -> FloatArray:
        """SI-SDR; -inf for an estimate without anything of the reference, nan for a silent reference."""
        with np.errstate(divide="ignore", invalid="ignore"):
            error_scale = self._error_on_reference / self.reference_energy
        # The estimate is (1 + error_scale) times the reference plus a rest that is orthogonal to it. The error has
        # the same rest as the estimate; taking it from the weaker of the two keeps the most digits.
        scale = 1.0 + error_scale
        from_error = self._error_energy < self.estimate_energy
        energy = np.where(from_error, self._error_energy, self.estimate_energy)
        explained = np.where(from_error, error_scale, scale) ** 2 * self.reference_energy
        rest = np.where(energy - explained <= 1e-15 * energy, 0.0, energy - explained)
        return np.where(np.isnan(error_scale), np.nan, _ratio_db(scale**2 * self.reference_energy, rest))


def song_sdr_db(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """Whole-song SDR (uSDR) in dB of two arrays of one shape, usually (channels, samples).

    +inf where they are equal, -inf where the reference is silent and the estimate is not.
    """
    return float(_levels(reference, estimate).song_sdr_db()[0])


def si_sdr_db(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    """Scale-invariant SDR in dB of two arrays of one shape; raises ValueError for a silent reference."""
    value = float(_levels(reference, estimate).si_sdr_db()[0])
    if np.isnan(value):
        raise ValueError("SI-SDR is undefined for a silent reference")
    return value


def _levels(reference: NDArray[Any], estimate: NDArray[Any]) -> SongLevels:
    if reference.shape != estimate.shape:
        raise ValueError(f"reference {reference.shape} and estimate {estimate.shape} differ in shape")
    levels = SongLevels(1)
    levels.add(
        np.reshape(reference, (1, 1, -1)).astype(np.float64), np.reshape(estimate, (1, 1, -1)).astype(np.float64)
    )
    return levels


def _inner(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("scn,scn->s", left, right))


def _ratio_db(signal: FloatArray, error: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0.0, np.inf, 10.0 * np.log10(signal / error))
