"""Several estimates of one stem into one: weighted mean, median, or the smaller or larger bin of their spectra.

The spectral ways are those that users know from other programs, with librosa's transform (2048 samples, hop 1024, Hann,
zeros around the sound). They are streamed: what is held does not grow with the length. One thing is mended: the last
frame's window falls to nothing before the end of the sound, and what it is divided by there made a click of +30 dB;
the mean of the estimates takes these samples, 116 at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from daw_bridge.separation.engine.separator import FloatArray

Way = Literal["mean", "median", "min", "max"]
WAYS: tuple[str, ...] = get_args(Way)

WINDOW_SAMPLES = 2048
HOP_SAMPLES = 1024

Read = Callable[[int, int], FloatArray]
"""Samples [first, last) of all estimates, shape (estimates, channels, last - first)."""

_LEAST_WEIGHT = 1e-3
"""Of the squared windows: below, dividing by them makes noise of rounding errors and steps of choices."""

_FRAMES_A_BLOCK = 256
_BLOCK_SAMPLES = _FRAMES_A_BLOCK * HOP_SAMPLES


def combined(
    read: Read, length_samples: int, way: Way, weights: Sequence[float], start: int = 0
) -> Iterator[FloatArray]:
    """Blocks (channels, n) of [start, length), in order; the samples do not depend on `start`."""
    if way in ("min", "max"):
        yield from _by_bin(read, length_samples, largest=way == "max", start=start)
        return
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    for first in range(start, length_samples, _BLOCK_SAMPLES):
        estimates = read(first, min(length_samples, first + _BLOCK_SAMPLES))
        if way == "median":
            yield np.median(estimates, axis=0).astype(np.float32)
        else:
            yield np.tensordot(shares, estimates, axes=1).astype(np.float32)


def _by_bin(read: Read, length_samples: int, *, largest: bool, start: int) -> Iterator[FloatArray]:
    """Of each bin of each frame the value of the estimate where it is smallest, or largest."""
    half = WINDOW_SAMPLES // 2
    window = np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    frames = 1 + length_samples // HOP_SAMPLES
    first_frame = max(0, (start - half) // HOP_SAMPLES)
    first_frame -= first_frame % _FRAMES_A_BLOCK
    tail: FloatArray | None = None
    tail_weight = np.zeros(WINDOW_SAMPLES - HOP_SAMPLES, np.float32)
    if first_frame:  # what the frame before adds to the first hop
        tail, tail_weight = _one_frame_before(read, first_frame, length_samples, window, largest=largest)
    for begin in range(first_frame, frames, _FRAMES_A_BLOCK):
        count = min(_FRAMES_A_BLOCK, frames - begin)
        made, weight = _added_frames(read, begin, count, length_samples, window, largest=largest)
        if tail is not None:
            made[:, : tail.shape[1]] += tail
        weight[: len(tail_weight)] += tail_weight
        final = made.shape[1] if begin + count == frames else count * HOP_SAMPLES
        position = begin * HOP_SAMPLES - half  # of made[:, 0]
        low = max(0, start - position)
        high = min(final, length_samples - position)
        if high > low:
            yield _divided(made[:, low:high], weight[low:high], read, position + low)
        tail, tail_weight = made[:, count * HOP_SAMPLES :], weight[count * HOP_SAMPLES :]


def _divided(made: FloatArray, weight: FloatArray, read: Read, position: int) -> FloatArray:
    """The sums of frames over those of their windows; the mean of the estimates where there are hardly any."""
    out = np.asarray(made / np.maximum(weight, _LEAST_WEIGHT), np.float32)
    thin = np.flatnonzero(weight < _LEAST_WEIGHT)
    if len(thin):
        first, last = int(thin[0]), int(thin[-1]) + 1
        mean = read(position + first, position + last).mean(axis=0, dtype=np.float32)
        out[:, thin] = mean[:, thin - first]
    return out


def _one_frame_before(
    read: Read, frame: int, length_samples: int, window: FloatArray, *, largest: bool
) -> tuple[FloatArray, FloatArray]:
    made, weight = _added_frames(read, frame - 1, 1, length_samples, window, largest=largest)
    return made[:, HOP_SAMPLES:], weight[HOP_SAMPLES:]


def _added_frames(
    read: Read, begin: int, count: int, length_samples: int, window: FloatArray, *, largest: bool
) -> tuple[FloatArray, FloatArray]:
    """`count` frames from frame `begin` on, chosen bin by bin, windowed again and added; and the sum of the weights."""
    half = WINDOW_SAMPLES // 2
    first, last = begin * HOP_SAMPLES - half, (begin + count - 1) * HOP_SAMPLES + half
    low, high = max(0, first), min(length_samples, last)
    inside = read(low, max(low, high))
    padded = np.pad(inside, ((0, 0), (0, 0), (low - first, last - max(low, high))))
    views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES, axis=-1)[..., ::HOP_SAMPLES, :]
    spectra: NDArray[np.complex64] = np.fft.rfft(views * window).astype(np.complex64, copy=False)
    size = np.abs(spectra)
    chosen = np.expand_dims(size.argmax(axis=0) if largest else size.argmin(axis=0), 0)
    waves = np.fft.irfft(np.take_along_axis(spectra, chosen, axis=0)[0], n=WINDOW_SAMPLES).astype(np.float32) * window
    made = np.zeros((waves.shape[0], (count + 1) * HOP_SAMPLES), np.float32)
    weight = np.zeros((count + 1) * HOP_SAMPLES, np.float32)
    for frame in range(count):
        place = slice(frame * HOP_SAMPLES, frame * HOP_SAMPLES + WINDOW_SAMPLES)
        made[:, place] += waves[:, frame]
        weight[place] += window * window
    return made, weight
