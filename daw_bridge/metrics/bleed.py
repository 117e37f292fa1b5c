"""Log-spectral bleed: how loud one stem is heard in another's estimate, by level alone and not by phase.

Own definition, close to the ear and to what a mix engineer calls bleed. A cell of the spectrogram (2048 samples,
Hann, half overlapped, power summed over the channels) is owned by stem j where j's reference is at least 10 dB above
all other references together, and not below -40 dB of j's own mean. In the cells of j, what the estimate of stem i
has more than its own reference is bleed of j into i:

    bleed(j into i) = mean over the cells of j of 10 log10(max(|E_i|^2 - |R_i|^2, 1e-8 |R_j|^2) / |R_j|^2)

A perfect estimate gives -80 dB, the untouched mix as an estimate about 0 dB, a leak with the gain g about 20 log10(g).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from daw_bridge.metrics.signals import FloatArray

FLOOR_DB = -80.0
FEWEST_CELLS = 1000
_FRAME_SAMPLES = 2048
_HOP_SAMPLES = 1024
_OWNER_ABOVE_OTHERS = 10.0
_AUDIBLE = 1e-4
_WINDOW = np.hanning(_FRAME_SAMPLES + 1)[:-1]  # periodic; scipy.signal has it too, but takes a second to import


class BleedMeter:
    """Takes blocks of references and estimates; frames do not reach across blocks."""

    def __init__(self, mean_powers: FloatArray) -> None:
        """`mean_powers` of the references: energy summed over the channels, per sample, shape (sources,)."""
        sources = len(mean_powers)
        self._audible = _AUDIBLE * mean_powers * float(np.sum(_WINDOW**2))
        self._sum_db: FloatArray = np.zeros((sources, sources))
        self._cells: NDArray[np.int64] = np.zeros(sources, dtype=np.int64)

    def add(self, references: FloatArray, estimates: FloatArray) -> None:
        """Take the next block of both, shape (sources, channels, n)."""
        if references.shape[2] < _FRAME_SAMPLES:
            return
        reference, estimate = _power(references), _power(estimates)
        everything = reference.sum(axis=0)
        excess = estimate - reference
        for owner, power in enumerate(reference):
            cells = (power > _OWNER_ABOVE_OTHERS * (everything - power)) & (power > self._audible[owner])
            share = np.maximum(excess[:, cells] / power[cells], 10.0 ** (FLOOR_DB / 10.0))
            self._sum_db[owner] += 10.0 * np.log10(share).sum(axis=1)
            self._cells[owner] += int(cells.sum())

    def levels_db(self) -> FloatArray:
        """Shape (from, into); nan on the diagonal and for stems that own fewer than `FEWEST_CELLS` cells."""
        with np.errstate(divide="ignore", invalid="ignore"):
            levels = self._sum_db / self._cells[:, None]
        levels[self._cells < FEWEST_CELLS] = np.nan
        np.fill_diagonal(levels, np.nan)
        return levels


def _power(signals: FloatArray) -> FloatArray:
    frames = np.lib.stride_tricks.sliding_window_view(signals, _FRAME_SAMPLES, axis=2)[:, :, ::_HOP_SAMPLES]
    spectra = scipy.fft.rfft(frames * _WINDOW, axis=-1)
    return np.asarray((spectra.real**2 + spectra.imag**2).sum(axis=1))
