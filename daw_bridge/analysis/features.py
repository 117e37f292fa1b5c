"""One pass over a stem: band magnitudes 200 times a second, levels 100 times a second, chroma 10 times a second.

Everything is computed block by block, so the memory grows with the length of a song by these features only.
Audio is decimated to 20 to 40 kHz first: hats keep their attack, and the Fourier transforms cost a half.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

FRAMES_HZ = 200.0
LEVELS_HZ = 100.0

LOWEST_WORK_HZ = 20_000
WINDOW_S = 0.0232
CHROMA_WINDOW_S = 0.186
FLOOR_DB = -80.0
_LOW_EDGES_HZ = (0.0, 60.0, 110.0, 170.0, 240.0, 330.0)
_CHROMA_HZ = (60.0, 2000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """`bands` is (frames, bands), frame k centred at k / `frames_hz` seconds; `level_db` is RMS of piece k of
    1 / `levels_hz` seconds; `chroma` is (frames, 12) from A, frame k centred at k / `chroma_hz`."""

    frames_hz: float
    bands: FloatArray
    centres_hz: FloatArray
    levels_hz: float
    level_db: FloatArray
    chroma_hz: float
    chroma: FloatArray
    length_s: float


class _Decimator:
    """Every k-th sample behind a linear-phase low-pass, without delay."""

    def __init__(self, factor: int) -> None:
        self._factor, self._half = factor, 12 * factor
        at = np.arange(-self._half, self._half + 1)
        taps = np.sinc(0.9 / factor * at) * np.hamming(len(at))
        self._taps: FloatArray = (taps / taps.sum()).astype(np.float32)
        self._kept: FloatArray = np.zeros(self._half, np.float32)

    def push(self, block: FloatArray, *, last: bool) -> FloatArray:
        if self._factor == 1:
            return block
        if last:
            block = np.concatenate([block, np.zeros(self._half, np.float32)])
        joined = np.concatenate([self._kept, block])
        if len(joined) < len(self._taps):
            self._kept = joined
            return np.zeros(0, np.float32)
        count = (len(joined) - len(self._taps)) // self._factor + 1
        self._kept = joined[count * self._factor :]
        made: FloatArray = np.zeros(count, np.float32)
        for place, tap in enumerate(self._taps):
            made += tap * joined[place : place + count * self._factor : self._factor]
        return made


class _Framer:
    """Overlapping frames of a stream, the first centred on its first sample."""

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._kept: FloatArray = np.zeros(size // 2, np.float32)

    def push(self, block: FloatArray, *, last: bool) -> FloatArray:
        tail = np.zeros(self._size if last else 0, np.float32)
        joined = np.concatenate([self._kept, block, tail])
        count = max(0, (len(joined) - self._size) // self._hop + 1)
        self._kept = joined[count * self._hop :]
        if not count:
            return np.zeros((0, self._size), np.float32)
        frames: FloatArray = np.lib.stride_tricks.sliding_window_view(joined, self._size)[:: self._hop][:count]
        return frames


class _Levels:
    """Mean power of each hundredth of a second."""

    def __init__(self, rate_hz: float) -> None:
        self.size = max(1, round(rate_hz / LEVELS_HZ))
        self._kept: FloatArray = np.zeros(0, np.float32)

    def push(self, block: FloatArray, *, last: bool) -> FloatArray:
        joined = np.concatenate([self._kept, block])
        if last and len(joined) % self.size:
            joined = np.concatenate([joined, np.zeros(self.size - len(joined) % self.size, np.float32)])
        count = len(joined) // self.size
        self._kept = joined[count * self.size :]
        powers: FloatArray = np.mean(np.square(joined[: count * self.size].reshape(count, self.size)), axis=1)
        return powers


def features(blocks: Iterable[FloatArray], sample_rate_hz: int, *, bands: bool = True, chroma: bool = True) -> Features:
    """The features of mono audio that comes in blocks; what is not asked for stays empty."""
    factor = max(1, sample_rate_hz // LOWEST_WORK_HZ)
    rate_hz = sample_rate_hz / factor
    size, hop = 2 * round(WINDOW_S * rate_hz / 2), round(rate_hz / FRAMES_HZ)
    wide, stride = 2 * round(CHROMA_WINDOW_S * rate_hz / 2), round(rate_hz / 10.0)
    to_bands, centres_hz = _band_matrix(size, rate_hz)
    to_chroma = _chroma_matrix(wide, rate_hz)
    decimator, levels = _Decimator(factor), _Levels(rate_hz)
    short, long = _Framer(size, hop), _Framer(wide, stride)
    made: tuple[list[FloatArray], list[FloatArray], list[FloatArray]] = ([], [], [])
    count_samples = 0
    for block, last in _with_last(blocks):
        count_samples += len(block)
        audio = decimator.push(block, last=last)
        made[0].append(levels.push(audio, last=last))
        if bands:
            made[1].append(_magnitudes(short.push(audio, last=last)) @ to_bands)
        if chroma:
            made[2].append(np.sqrt(_only_peaks(_magnitudes(long.push(audio, last=last)))) @ to_chroma)
    power = np.concatenate(made[0]) if made[0] else np.zeros(0, np.float32)
    return Features(
        frames_hz=rate_hz / hop,
        bands=_stack(made[1], to_bands.shape[1]),
        centres_hz=centres_hz,
        levels_hz=rate_hz / levels.size,
        level_db=np.maximum(10.0 * np.log10(power + 1e-12), FLOOR_DB).astype(np.float32),
        chroma_hz=rate_hz / stride,
        chroma=_stack(made[2], 12),
        length_s=count_samples / sample_rate_hz,
    )


def _with_last(blocks: Iterable[FloatArray]) -> Iterable[tuple[FloatArray, bool]]:
    before: FloatArray | None = None
    for block in blocks:
        if before is not None:
            yield before, False
        before = block
    yield (before if before is not None else np.zeros(0, np.float32)), True


def _stack(parts: list[FloatArray], width: int) -> FloatArray:
    return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)


def _magnitudes(frames: FloatArray, at_once: int = 2048) -> FloatArray:
    """(frames, size) -> (frames, size / 2 + 1)."""
    window = np.hanning(frames.shape[1]).astype(np.float32)
    parts = [
        np.abs(scipy.fft.rfft(frames[begin : begin + at_once] * window, axis=1))
        for begin in range(0, len(frames), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, frames.shape[1] // 2 + 1), np.float32)


def _band_matrix(size: int, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    frequencies = np.fft.rfftfreq(size, 1.0 / rate_hz)
    edges = np.concatenate([_LOW_EDGES_HZ, np.geomspace(450.0, min(9500.0, rate_hz * 0.45), 20)])
    matrix = np.stack([(frequencies >= low) & (frequencies < high) for low, high in pairwise(edges)], axis=1)
    kept = matrix.any(axis=0)
    centres = ((edges[:-1] + edges[1:]) / 2.0)[kept]
    return matrix[:, kept].astype(np.float32), centres.astype(np.float32)


def _only_peaks(magnitudes: FloatArray) -> FloatArray:
    """The partials: what is no local maximum along the frequency is noise or a window's skirt."""
    middle = magnitudes[:, 1:-1]
    kept = np.zeros_like(magnitudes)
    kept[:, 1:-1] = np.where((middle > magnitudes[:, :-2]) & (middle > magnitudes[:, 2:]), middle, 0.0)
    return kept


def _chroma_matrix(size: int, rate_hz: float) -> FloatArray:
    """Bins to pitch classes from A; every semitone weighs the same, however many bins it has."""
    frequencies = np.fft.rfftfreq(size, 1.0 / rate_hz)
    used = np.flatnonzero((frequencies > _CHROMA_HZ[0]) & (frequencies < _CHROMA_HZ[1]))
    semitone = np.round(12.0 * np.log2(frequencies[used] / 440.0)).astype(int)
    _, place, count = np.unique(semitone, return_inverse=True, return_counts=True)
    matrix = np.zeros((len(frequencies), 12), np.float32)
    matrix[used, semitone % 12] = 1.0 / count[place]
    return matrix
