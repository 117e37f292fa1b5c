"""How strongly something begins, frame by frame: the rise of the log magnitude, in three bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from daw_bridge.analysis.features import Features, FloatArray

LOW_HZ, HIGH_HZ = 150.0, 2500.0
RISE_FRAMES = 3
SILENT = 1e-4
"""Band magnitudes below this are rounding, not sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onsets:
    """Each about 0 to 1 at its usual peak: `low` kicks, `middle` snares, `high` cymbals, `strength` all."""

    frames_hz: float
    low: FloatArray
    middle: FloatArray
    high: FloatArray
    strength: FloatArray

    @property
    def length_s(self) -> float:
        return len(self.strength) / self.frames_hz


def onsets(of: Features) -> Onsets | None:
    """None where there is nothing to hear."""
    bands = of.bands
    if len(bands) < 2 * RISE_FRAMES or float(bands.max(initial=0.0)) < SILENT:
        return None
    loudest = max(float(np.percentile(bands.sum(axis=1), 99.5)), SILENT)
    usual = np.maximum(np.percentile(bands, 99.5, axis=0), loudest * 1e-3)
    compressed = np.log1p(100.0 * bands / usual)
    rise = np.zeros_like(compressed)
    rise[RISE_FRAMES:] = np.maximum(compressed[RISE_FRAMES:] - compressed[:-RISE_FRAMES], 0.0)
    low = _levelled(rise[:, of.centres_hz < LOW_HZ].mean(axis=1), of.frames_hz)
    middle = _levelled(rise[:, (of.centres_hz >= LOW_HZ) & (of.centres_hz < HIGH_HZ)].mean(axis=1), of.frames_hz)
    above = of.centres_hz >= HIGH_HZ
    high = _levelled(rise[:, above].mean(axis=1), of.frames_hz) if above.any() else np.zeros_like(low)
    strength = low + 0.8 * middle + 0.35 * high
    strength = np.clip(strength / max(float(np.percentile(strength, 99.5)), 1e-9), 0.0, 1.0)
    return Onsets(frames_hz=of.frames_hz, low=low, middle=middle, high=high, strength=strength.astype(np.float32))


def _levelled(rise: FloatArray, frames_hz: float) -> FloatArray:
    """Divided by what peaks reach within seconds around, so that quiet parts count as much as loud ones."""
    smooth = scipy.ndimage.gaussian_filter1d(rise, 1.0)
    around = scipy.ndimage.maximum_filter1d(scipy.ndimage.gaussian_filter1d(rise, 2.0), int(4 * frames_hz))
    around = scipy.ndimage.gaussian_filter1d(around, frames_hz)
    levelled: FloatArray = smooth / np.maximum(around, 0.25 * np.percentile(smooth, 99.7) + 1e-9)
    return levelled.astype(np.float32)
