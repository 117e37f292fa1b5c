"""Which bins of the spectrum each band hears: cut side by side (BS), or overlapping on the mel scale (Mel)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daw_bridge.errors import ModelError

DEFAULT_BINS_PER_BAND = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)
"""Of BS-RoFormer, for an FFT of 2048 samples."""


@dataclass(frozen=True, slots=True)
class Band:
    """Bins [first, last) of the spectrum."""

    first: int
    last: int

    @property
    def bins(self) -> int:
        return self.last - self.first


def cut_bands(bins_per_band: tuple[int, ...], bins: int) -> tuple[Band, ...]:
    """Bands side by side; ModelError when they do not make up the whole spectrum."""
    if len(bins_per_band) < 2 or min(bins_per_band) < 1 or sum(bins_per_band) != bins:
        raise ModelError(
            f"freqs_per_bands: {len(bins_per_band)} bands of {sum(bins_per_band)} bins in all; "
            f"the spectrum has {bins}, and each band needs one at least"
        )
    edges = [0, *itertools.accumulate(bins_per_band)]
    return tuple(Band(first, last) for first, last in itertools.pairwise(edges))


def mel_bands(count: int, *, fft_samples: int, sample_rate_hz: int) -> tuple[Band, ...]:
    """The supports of Slaney's triangular mel filters from 0 Hz to half the rate, with both ends of the spectrum in.

    ModelError when a band would have no bin, or a bin no band.
    """
    weights = _mel_weights(count, fft_samples, sample_rate_hz)
    inside = weights > 0
    inside[0, 0] = inside[-1, -1] = True
    if not inside.any(axis=0).all() or not inside.any(axis=1).all():
        raise ModelError(f"num_bands: {count} mel bands do not cover the {inside.shape[1]} bins of the spectrum")
    bands = []
    for row in inside:
        found = np.flatnonzero(row)
        if int(found[-1] - found[0]) + 1 != len(found):
            raise ModelError(f"num_bands: {count} mel bands leave holes in the {inside.shape[1]} bins of the spectrum")
        bands.append(Band(int(found[0]), int(found[-1]) + 1))
    return tuple(bands)


def _mel_weights(count: int, fft_samples: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """Slaney's filter bank, shape (count, bins), float32 as the networks were trained with it."""
    edges_hz = _mel_to_hz(np.linspace(0.0, float(_hz_to_mel(sample_rate_hz / 2.0)), count + 2))
    bins_hz = np.linspace(0.0, sample_rate_hz / 2.0, fft_samples // 2 + 1)
    widths = np.diff(edges_hz)
    ramps = np.subtract.outer(edges_hz, bins_hz)
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return np.asarray(weights, dtype=np.float32)


_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return float(_LOG_FROM_MEL + np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    hz = _LINEAR_HZ_PER_MEL * mel
    above = mel >= _LOG_FROM_MEL
    hz[above] = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel[above] - _LOG_FROM_MEL))
    return hz
