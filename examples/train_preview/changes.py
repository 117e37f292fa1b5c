"""Changes that make one part of a mix sound less like what the cache holds of its kind.

Each takes a part (2, samples) and a generator and gives back a part of the same shape, as loud as before.
"""

from __future__ import annotations

import numpy as np
from pack import RATE_HZ, FloatArray
from scipy.fft import irfft, next_fast_len, rfft


def level_of(x: FloatArray) -> float:
    """RMS, never quite zero."""
    return float(np.sqrt(np.mean(np.square(x)) + 1e-12))


def as_loud(x: FloatArray, before: FloatArray) -> FloatArray:
    """`x` at the RMS of `before`."""
    return np.asarray(x * np.float32(min(30.0, level_of(before) / level_of(x))), np.float32)


def resonant(stem: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One or two bells of up to 20 dB between 100 and 1500 Hz: drums that sing like toms, pipes or boxes. As loud."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(stem.shape[1], 1 / RATE_HZ), 10.0))
    gain_db = np.zeros(octaves.size)
    for _ in range(int(rng.integers(1, 3))):
        centre = rng.uniform(np.log2(100), np.log2(1500))
        gain_db += rng.uniform(6, 20) * np.exp(-0.5 * ((octaves - centre) / rng.uniform(0.1, 0.8)) ** 2)
    gain = np.power(10, gain_db / 20).astype(np.float32)
    return as_loud(irfft(rfft(stem) * gain, stem.shape[1]), stem)


def roomy(stem: FloatArray, rng: np.random.Generator) -> FloatArray:
    """In a room that is nearly as loud as the part itself, dull or bright, sometimes cut off early. As loud."""
    count = int(rng.uniform(0.15, 2.0) * RATE_HZ)
    room = rng.standard_normal((2, count), np.float32) * np.exp(-rng.uniform(2, 7) * np.arange(count) / count)
    spectrum, hz = rfft(room), np.fft.rfftfreq(count, 1 / RATE_HZ)
    low_hz, high_hz = np.exp(rng.uniform(np.log((60, 1500)), np.log((400, 12_000))))
    room = irfft(spectrum / (1 + (low_hz / np.maximum(hz, 1)) ** 2) / (1 + (hz / high_hz) ** 2), count)
    room *= rng.uniform(0.3, 1.2) / np.sqrt(np.mean(np.sum(room**2, 1)))
    return as_loud(stem + _convolved(stem, room), stem)


def wide(stem: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Spread over the stereo field: the middle, smeared over some milliseconds, added on one side, taken on the other.

    Widens mono parts too, which no gain of the side can. Up to 1.5 times as much side as middle. As loud.
    """
    count = int(rng.uniform(0.003, 0.04) * RATE_HZ)
    smear = rng.standard_normal((1, count), np.float32) * np.exp(-4 * np.arange(count) / count)
    smear *= rng.uniform(0.3, 1.5) / np.sqrt(np.sum(smear**2))
    middle = stem.mean(0, keepdims=True)
    hz = np.fft.rfftfreq(stem.shape[1], 1 / RATE_HZ)
    cut_hz = float(rng.choice([1.0, 100.0, 300.0]))
    side = irfft(rfft(_convolved(middle, smear)) / (1 + (cut_hz / np.maximum(hz, 1)) ** 2), stem.shape[1])
    return as_loud(stem + np.concatenate((side, -side)), stem)


def narrow(stem: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Through a telephone: nothing below some 200 to 800 Hz, nothing above 1.5 to 5 kHz. As loud."""
    hz = np.fft.rfftfreq(stem.shape[1], 1 / RATE_HZ)
    low_hz, high_hz = rng.uniform(200, 800), rng.uniform(1500, 5000)
    gain = 1 / (1 + (low_hz / np.maximum(hz, 1)) ** 4) / (1 + (hz / high_hz) ** 4)
    return as_loud(irfft(rfft(stem) * gain.astype(np.float32), stem.shape[1]), stem)


def _convolved(x: FloatArray, response: FloatArray) -> FloatArray:
    size = next_fast_len(x.shape[1] + response.shape[1], real=True)
    return np.asarray(irfft(rfft(x, size) * rfft(response.astype(np.float32), size), size)[:, : x.shape[1]], np.float32)
