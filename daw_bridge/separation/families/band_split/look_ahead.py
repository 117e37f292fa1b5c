"""Offline, what comes next says whose the low end is: the causal network's stems below 650 Hz are shared out anew.

A kick and a bass note begin alike, and a network that must answer within two hops leaves both half in each stem. A
moment later they differ: what stays is a bass, what is gone was a drum. Medians of the mix's spectrogram along time and
along frequency tell the two apart (D. Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010);
how much each stem had there shortly before and after says who plays at all. Three small layers weigh these figures, bin
by bin and frame by frame, into shares of the mix that one stem gives to another. The stems still sum to the mix.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from daw_bridge.separation.engine.separator import Emit

FloatArray = NDArray[np.float32]
ComplexArray = NDArray[np.complex64]

HOP_SAMPLES = 1024
FRAME_SAMPLES = 4 * HOP_SAMPLES
BINS = 60
"""Of 10.8 Hz each, so up to 646 Hz."""

_REACH_FRAMES = 86  # on each side; the longest of the means below spans 2 * 86 + 1 frames, four seconds
_MEDIANS = ((17, 9), (31, 9), (9, 5))  # (frames, bins)
_BIN_MEANS_FRAMES = (1, 7, 43, 2 * _REACH_FRAMES + 1)
_ALL_MEANS_FRAMES = (1, 5, 43)
_NEAR_FRAMES = 4  # before and after
_BLOCK_HOPS = 860  # 20 s are shared out at a time
_MARGIN_SAMPLES = (_REACH_FRAMES + 3) * HOP_SAMPLES  # samples around a block that its figures depend on
_SOURCES = 4
_DRUMS_AND_BASS = slice(1, 3)
FIGURES = len(_MEDIANS) + 3 + _SOURCES * (len(_BIN_MEANS_FRAMES) + len(_ALL_MEANS_FRAMES)) + 4 + 2
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)  # periodic; its squares a hop apart sum to 1.5


class LookAhead:
    """The layers that weigh the figures of `figures`, for vocals, drums, bass and other.

    `weights`: a.weight (hidden, FIGURES), b.weight (hidden, hidden), c.weight (4, hidden) and their biases. Raises
    KeyError, ValueError for others.
    """

    def __init__(self, weights: Mapping[str, FloatArray]) -> None:
        self._layers = [(weights[f"{name}.weight"].T, weights[f"{name}.bias"]) for name in "abc"]
        width = FIGURES
        for weight, bias in self._layers:
            if weight.ndim != 2 or weight.shape != (width, bias.size):
                raise ValueError(f"a layer of {weight.shape} where {width} figures come in")
            width = bias.size
        if width != _SOURCES:
            raise ValueError(f"{width} stems come out")

    def shares(self, spectra: ComplexArray) -> FloatArray:
        """What each stem gets (positive) or gives of the mix, (sources, frames, BINS); sums to zero over the sources.

        `spectra`: of the stems, (sources, channels, frames, bins), with all the bins that `low_spectra` gives.
        """
        x = figures(spectra)
        for index, (weight, bias) in enumerate(self._layers):
            x = x @ weight + bias
            x = np.tanh(x) if index == 2 else np.maximum(x, 0)
        return np.moveaxis(x - x.mean(-1, keepdims=True), -1, 0)


class LookingAhead:
    """Takes aligned stems block by block and hands them to `emit` with the low end shared out anew, two seconds later.

    What comes out depends on `length_samples` and on the stems alone, not on how they were cut into blocks.
    """

    def __init__(self, look_ahead: LookAhead, emit: Emit, *, length_samples: int) -> None:
        self._look_ahead, self._emit, self._length = look_ahead, emit, length_samples
        self._held = np.zeros((_SOURCES, 2, _MARGIN_SAMPLES), np.float32)  # silence before the first sample
        self._fed = self._done = 0

    def feed(self, stems: FloatArray) -> None:
        """More of the four stems, (4, 2, n)."""
        self._fed += stems.shape[2]
        self._held = np.concatenate((self._held, stems), axis=2)
        if self._fed == self._length:
            self._held = np.pad(self._held, ((0, 0), (0, 0), (0, _MARGIN_SAMPLES + _BLOCK_HOPS * HOP_SAMPLES)))
        block = _BLOCK_HOPS * HOP_SAMPLES
        while self._done < self._length and self._held.shape[2] >= block + 2 * _MARGIN_SAMPLES:
            shared = self._shared_out(self._held[:, :, : block + 2 * _MARGIN_SAMPLES])
            self._emit(shared[:, :, : self._length - self._done])
            self._done = min(self._length, self._done + block)
            self._held = self._held[:, :, block:]

    def _shared_out(self, stems: FloatArray) -> FloatArray:
        """The stems of a block without its margins."""
        spectra = low_spectra(stems)
        near = slice(_REACH_FRAMES, spectra.shape[2] - _REACH_FRAMES)  # frames that reach into the block
        mix = spectra[:, :, near, :BINS].sum(0)
        out = stems[:, :, _MARGIN_SAMPLES:-_MARGIN_SAMPLES].copy()
        for index, given in enumerate(self._look_ahead.shares(spectra)[:, near]):  # one at a time, for memory's sake
            out[index] += _samples(given * mix)
        return out


def _samples(spectra: ComplexArray) -> FloatArray:
    """Frames (channels, frames, BINS) laid over each other, without the three hops at each end that some lack."""
    frames = np.asarray(scipy.fft.irfft(spectra, n=FRAME_SAMPLES), np.float32) * (_WINDOW / np.float32(1.5))
    quarters = frames.reshape(*frames.shape[:2], 4, HOP_SAMPLES)
    count = frames.shape[1] - 3
    laid = np.zeros((frames.shape[0], count, HOP_SAMPLES), np.float32)
    for part in range(4):
        laid += quarters[:, part : part + count, 3 - part]
    return laid.reshape(frames.shape[0], -1)


def low_spectra(stems: FloatArray) -> ComplexArray:
    """Stems (sources, channels, samples) as (sources, channels, frames, bins), with the bins that medians look at."""
    views = np.lib.stride_tricks.sliding_window_view(stems, FRAME_SAMPLES, axis=2)[:, :, ::HOP_SAMPLES]
    bins = BINS + max(bins for _, bins in _MEDIANS) // 2
    return np.stack([scipy.fft.rfft(stem * _WINDOW)[..., :bins] for stem in views]).astype(np.complex64, copy=False)


def figures(spectra: ComplexArray) -> FloatArray:
    """What is known of each bin of each frame, (frames, BINS, figures), from the spectra that `low_spectra` gives."""
    from scipy.ndimage import median_filter, uniform_filter1d

    def mean(energy: FloatArray, frames: int) -> FloatArray:
        return np.asarray(uniform_filter1d(energy, frames, axis=2, mode="constant"))

    mix = np.sqrt(_energy(spectra.sum(0)).sum(0)).T  # (bins, frames)
    energy = _energy(spectra).sum(1).transpose(0, 2, 1)[:, :BINS]  # (sources, BINS, frames)
    found: list[FloatArray] = []
    medians = [
        (median_filter(mix, (1, frames))[:BINS], median_filter(mix, (bins, 1))[:BINS]) for frames, bins in _MEDIANS
    ]
    found += [stays**2 / (stays**2 + strikes**2 + 1e-9) for stays, strikes in medians]
    level = mix[:BINS] + 0.01
    found += [0.3 * np.log(level), *(0.5 * np.log(level / (median + 0.01)) for median in medians[0])]
    for frames in _BIN_MEANS_FRAMES:
        found += list(_parts(mean(energy, frames)))
    for frames in _ALL_MEANS_FRAMES:
        found += list(_parts(mean(energy.sum(1, keepdims=True), frames)))
    around = _parts(mean(energy, 5))[_DRUMS_AND_BASS]
    found += [np.roll(part, way * _NEAR_FRAMES, axis=1) for part in around for way in (-1, 1)]
    place = np.arange(BINS, dtype=np.float32)[:, np.newaxis] / np.float32(30)
    found += [place, np.exp(np.float32(-6) * place)]
    shape = (BINS, mix.shape[1])
    return np.stack([np.broadcast_to(each, shape) for each in found], -1).transpose(1, 0, 2).astype(np.float32)


def _energy(spectra: ComplexArray) -> FloatArray:
    return np.asarray(spectra.real**2 + spectra.imag**2, np.float32)


def _parts(energy: FloatArray) -> FloatArray:
    """Of the sources' energies together."""
    return np.asarray(energy / (energy.sum(0) + 1e-6), np.float32)
