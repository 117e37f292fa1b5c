"""The time-invariant distortion filters of BSS Eval v4, from correlations that are summed up block after block.

BSS Eval splits an estimate into target, spatial distortion, interference and artefacts by projecting it on delayed
copies (0 to 511 samples) of the references: E. Vincent et al., "First stereo audio source separation evaluation
campaign", ICA 2007, and A. Liutkus et al., "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018, which
made the filters time-invariant. The projection needs only the correlations of the signals at lags 0 to 511, so the
song is read once and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.linalg

from daw_bridge.metrics.signals import ComplexArray, FloatArray, SignalPair

FILTER_TAPS = 512
_FFT_SAMPLES = 4096
_HOP_SAMPLES = _FFT_SAMPLES - FILTER_TAPS + 1
"""Samples of the undelayed signal in one transform: lags 0 to 511 then stay free of circular aliasing."""
_BATCH = 48
BLOCK_SAMPLES = _BATCH * _HOP_SAMPLES
WORST_CONDITION = 1e14
_RIDGES = (0.0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9)
"""Shares of its energy added to each channel's diagonal, the first that makes the system solvable being taken."""


class Correlator:
    """Sums r[i, j, lag] = sum over n of reference_i[n] * signal_j[n + lag], lag 0 to 511, over a whole song."""

    def __init__(self, references: int, signals: int) -> None:
        bins = _FFT_SAMPLES // 2 + 1
        self._references = references
        self._sum: ComplexArray = np.zeros((bins, references, signals), dtype=np.complex128)
        self._pending: FloatArray = np.zeros((signals, 0))

    def add(self, block: FloatArray) -> None:
        """Take the next samples, shape (signals, n); the first signals are the references."""
        self._pending = np.concatenate([self._pending, block], axis=1)
        while self._pending.shape[1] >= BLOCK_SAMPLES + FILTER_TAPS - 1:
            self._consume(_BATCH)
            self._pending = self._pending[:, BLOCK_SAMPLES:]

    def result(self) -> FloatArray:
        """The correlations, shape (references, signals, 512); silence is assumed past the end."""
        count = -(-self._pending.shape[1] // _HOP_SAMPLES)
        if count:
            missing = count * _HOP_SAMPLES + FILTER_TAPS - 1 - self._pending.shape[1]
            self._pending = np.pad(self._pending, ((0, 0), (0, missing)))
            self._consume(count)
            self._pending = self._pending[:, :0]
        lags = scipy.fft.irfft(np.moveaxis(self._sum, 0, -1), n=_FFT_SAMPLES, axis=-1)
        return np.ascontiguousarray(lags[..., :FILTER_TAPS])

    def _consume(self, count: int) -> None:
        frames = np.lib.stride_tricks.sliding_window_view(self._pending, _FFT_SAMPLES, axis=1)
        frames = frames[:, : count * _HOP_SAMPLES : _HOP_SAMPLES]
        undelayed = frames[: self._references, :, :_HOP_SAMPLES]
        left = scipy.fft.rfft(undelayed, n=_FFT_SAMPLES, axis=-1).transpose(2, 0, 1).conj()
        right = scipy.fft.rfft(frames, axis=-1).transpose(2, 1, 0)
        self._sum += np.ascontiguousarray(left) @ np.ascontiguousarray(right)


class DistortionFilters:
    """The filters that project each estimate on all references (`joint`) and on its own reference (`own`).

    `joint` has shape (channels of all references, channels of all estimates, 512), `own` has shape (sources,
    channels of the reference, channels of the estimate, 512). `condition` is the condition number of the larger
    system: past `WORST_CONDITION` rounding decides about ISR, SIR and SAR (here and in any other program).
    """

    def __init__(self, joint: FloatArray, own: FloatArray, condition: float) -> None:
        self.joint, self.own, self.condition = joint, own, condition


def correlate(pair: SignalPair, on_block: Callable[[FloatArray, FloatArray], None]) -> FloatArray:
    """Read the whole pair once: (width, 2 width, 512) for `solve_filters`; `on_block` sees every block that goes by."""
    width = pair.sources * pair.channels
    correlator = Correlator(width, 2 * width)
    for references, estimates in pair.blocks(BLOCK_SAMPLES):
        on_block(references, estimates)
        correlator.add(np.concatenate([references, estimates]).reshape(2 * width, -1))
    return correlator.result()


def solve_filters(correlations: FloatArray, channels: int) -> DistortionFilters:
    """Least squares from the correlations (width, 2 width, 512) of references with references, then estimates."""
    width = correlations.shape[0]
    auto, cross = correlations[:, :width], correlations[:, width:]
    gram = np.empty((width, FILTER_TAPS, width, FILTER_TAPS))
    for row in range(width):
        for column in range(width):
            gram[row, :, column, :] = scipy.linalg.toeplitz(auto[row, column], auto[column, row])
    own = np.empty((width // channels, channels, channels, FILTER_TAPS))
    for source in range(width // channels):
        part = slice(source * channels, (source + 1) * channels)
        own[source] = _solve(gram[part, :, part, :].copy(), cross[part, part])[0]
    joint, condition = _solve(gram, cross)
    return DistortionFilters(joint, own, condition)


def _solve(gram: FloatArray, right: FloatArray) -> tuple[FloatArray, float]:
    """Filters (inputs, outputs, 512) and the condition number of a Gram matrix (inputs, 512, inputs, 512).

    Cholesky needs half the work of LU, and fails where references depend on each other (the same stem twice, mono
    as stereo, lossy codecs that cut the treble off). A ridge then makes the answer unique.
    """
    inputs, outputs = right.shape[:2]
    size = inputs * FILTER_TAPS
    matrix = gram.reshape(size, size)
    targets = right.transpose(0, 2, 1).reshape(size, outputs)
    diagonal = matrix.diagonal().copy()
    for ridge in _RIDGES:
        np.fill_diagonal(matrix, diagonal * (1.0 + ridge) + float(np.finfo(np.float64).eps))
        try:
            factor = scipy.linalg.cholesky(matrix, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            continue
        solution = scipy.linalg.cho_solve((factor, True), targets, check_finite=False)
        norm = max(float(np.abs(rows).sum(axis=1).max()) for rows in np.array_split(matrix, inputs))
        reciprocal = float(scipy.linalg.lapack.dpocon(factor, norm, uplo="L")[0])
        condition = 1.0 / reciprocal if reciprocal > 0.0 else np.inf
        return solution.reshape(inputs, FILTER_TAPS, outputs).transpose(0, 2, 1), condition
    raise ValueError("the references are too alike to tell interference from target")
