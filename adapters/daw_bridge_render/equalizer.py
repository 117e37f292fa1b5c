"""Equalizer bands as biquads.

R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients" (W3C note, 2021); shelves
with Q.
"""

from __future__ import annotations

import math

import numpy as np

from daw_bridge.model import BandKind, EqBand, Equalizer
from daw_bridge_render.blocks import Block, FloatArray

NYQUIST_SHARE = 0.999


def sections(bands: tuple[EqBand, ...], sample_rate_hz: int) -> FloatArray:
    """Second-order sections of the enabled bands, shape (bands, 6), as scipy.signal.sosfilt takes them."""
    return np.array([_biquad(band, sample_rate_hz) for band in bands if band.enabled]).reshape(-1, 6)


def _biquad(band: EqBand, sample_rate_hz: int) -> list[float]:
    frequency_hz = min(band.frequency_hz, NYQUIST_SHARE * sample_rate_hz / 2.0)
    omega = 2.0 * math.pi * frequency_hz / sample_rate_hz
    cos = math.cos(omega)
    alpha = math.sin(omega) / (2.0 * band.q)
    amplitude = math.pow(10.0, band.gain_db / 40.0)
    if band.kind in (BandKind.LOWSHELF, BandKind.HIGHSHELF):
        b, a = _shelf(amplitude, cos, alpha, low=band.kind is BandKind.LOWSHELF)
    elif band.kind is BandKind.BELL:
        b = [1.0 + alpha * amplitude, -2.0 * cos, 1.0 - alpha * amplitude]
        a = [1.0 + alpha / amplitude, -2.0 * cos, 1.0 - alpha / amplitude]
    else:
        numerators = {
            BandKind.HIGHPASS: [(1.0 + cos) / 2.0, -(1.0 + cos), (1.0 + cos) / 2.0],
            BandKind.LOWPASS: [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0],
            BandKind.NOTCH: [1.0, -2.0 * cos, 1.0],
        }
        b, a = numerators[band.kind], [1.0 + alpha, -2.0 * cos, 1.0 - alpha]
    return [value / a[0] for value in (*b, *a)]


def _shelf(amplitude: float, cos: float, alpha: float, *, low: bool) -> tuple[list[float], list[float]]:
    """A low shelf; the high shelf is the same with the sign of the cosine (and of the middle terms) turned."""
    sign = 1.0 if low else -1.0
    root = 2.0 * math.sqrt(amplitude) * alpha
    up, down = amplitude + 1.0, amplitude - 1.0
    b = [
        amplitude * (up - sign * down * cos + root),
        sign * 2.0 * amplitude * (down - sign * up * cos),
        amplitude * (up - sign * down * cos - root),
    ]
    a = [
        up + sign * down * cos + root,
        -sign * 2.0 * (down + sign * up * cos),
        up + sign * down * cos - root,
    ]
    return b, a


class EqualizerBlocks:
    """An equalizer that goes on where the last block ended."""

    widens = False

    def __init__(self, effect: Equalizer, sample_rate_hz: int) -> None:
        self._sections = sections(effect.bands, sample_rate_hz)
        self._state = np.zeros((len(self._sections), 2, 2))

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The filtered block, shape (2, n)."""
        from scipy.signal import sosfilt

        if not len(self._sections):
            return block
        filtered, self._state = sosfilt(self._sections, block, axis=-1, zi=self._state)
        return np.asarray(filtered)
