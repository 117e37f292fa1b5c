"""Does a recording sound like one part of a mix? Only when it is very sure, because refusing a real mix is worse.

Three things that a mix hardly ever does. Figures are from five songs with true stems, the demo song, and some forty
pieces for one to three instruments (docs/separation.md has the table); "whole mixes" include those less one stem.

* It falls silent again and again. Whole mixes lie 50 dB below their own level for at most 11 % of the time, drums with
  vocals alone for up to 28 %, most parts that pause for 30 to 90 %. One long silence says nothing (a hidden track).
* It is a beat in which nothing rings. Between 300 Hz and 5 kHz the lines that stay for 0.4 s stand at most 1.5 neper
  above their surroundings in many drum tracks, even in their most tonal moments; 1.8 and more in whole mixes.
* It is plucked or struck and dark: a bass has 40 dB less above 2 kHz than it has in all, a piano with a bass 30 dB.

A line as steady as that of a flute or a piano is never refused: one instrument may be all there is. Nor is a recording
that is silent nearly throughout (clicks, a test signal), or shorter than 45 s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daw_bridge.separation.engine.separator import FloatArray

Powers = NDArray[np.float64]

_FRAME_S = 0.0929
LEAST_DURATION_S = 45.0
"""Nothing shorter is ever called a stem."""

_LEAST_ACTIVE = 0.08
_LEAST_ACTIVE_S = 15.0
_LEAST_PAUSES = 4
_LEAST_PAUSES_PER_MINUTE = 2.5
_LEAST_SILENT = 0.295
_LEAST_SILENT_VOICE = 0.20
_NO_BASS_DB = -28.0
_SOLO_STEADINESS = 5.0
_NOTHING_RINGS = 1.45
_LEAST_BEATS_PER_MINUTE = 80.0
_DARK_DB = -41.0
_MUCH_BASS_DB = -12.0
_LEAST_NOTES_PER_MINUTE = 30.0

_AUDIBLE_ABOVE_HZ = 20.0
_BASS_BELOW_HZ = 100.0
_DARK_ABOVE_HZ = 2_000.0
_LEAST_RATE_FOR_DARK_HZ = 16_000
_LINES_HZ = (300.0, 5_000.0)
_STEADY_FRAMES = 4
_LINES = 6
"""How many of the steadiest lines count."""
_SURROUNDINGS_BINS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What was measured. Shares are of time; levels are relative to the recording's own loud passages.

    `silent` counts frames 50 dB down, `quiet` frames 40 dB down, `active` frames within 30 dB; `pauses` are silent
    stretches of at least two frames, `quiet_pauses` likewise; `attacks` rises of 4 dB from frame to frame. `bass_db`
    is the energy below 100 Hz against all, `bright_db` that above 2 kHz. `steadiness` says how far, in nepers of
    power, lines that stay stand above their surroundings: the median, and in the most tonal three hundredths of time.
    """

    duration_s: float
    active: float
    quiet: float
    silent: float
    quiet_pauses: int
    pauses: int
    attacks: int
    bass_db: float
    bright_db: float
    steadiness: float
    most_steady: float

    @property
    def reason(self) -> str:
        """What makes it sound like a part, for a person; empty when it may be a mix."""
        enough = self.active >= _LEAST_ACTIVE and self.active * self.duration_s >= _LEAST_ACTIVE_S
        if self.duration_s < LEAST_DURATION_S or not enough or self.steadiness > _SOLO_STEADINESS:
            return ""
        return self._falls_silent() or self._nothing_rings() or self._is_dark()

    def _falls_silent(self) -> str:
        def many(pauses: int) -> bool:
            return pauses >= max(_LEAST_PAUSES, _LEAST_PAUSES_PER_MINUTE * self.duration_s / 60.0)

        if self.silent >= _LEAST_SILENT and many(self.pauses):
            return f"it falls silent in {self.pauses} pauses, {self.silent:.0%} of the time, as no mix does"
        if self.bass_db < _NO_BASS_DB and self.quiet >= _LEAST_SILENT_VOICE and many(self.quiet_pauses):
            return (
                f"it has almost nothing below 100 Hz ({self.bass_db:.0f} dB) and {self.quiet_pauses} pauses, "
                f"{self.quiet:.0%} of the time, as a single voice has"
            )
        return ""

    @property
    def _attacks_per_minute(self) -> float:
        return 60.0 * self.attacks / self.duration_s

    def _nothing_rings(self) -> str:
        if self.most_steady < _NOTHING_RINGS and self._attacks_per_minute >= _LEAST_BEATS_PER_MINUTE:
            return f"it has {self._attacks_per_minute:.0f} beats a minute and not one lasting tone, as drums alone have"
        return ""

    def _is_dark(self) -> str:
        plays = self._attacks_per_minute >= _LEAST_NOTES_PER_MINUTE
        if self.bright_db < _DARK_DB and self.bass_db > _MUCH_BASS_DB and plays:
            return f"it has hardly anything above 2 kHz ({self.bright_db:.0f} dB), as a bass alone has"
        return ""


def measure(blocks: Iterable[FloatArray], sample_rate_hz: int) -> Likeness:
    """Measure a recording given in blocks of shape (channels, n), in constant memory but for some numbers a frame."""
    size = max(1, round(sample_rate_hz * _FRAME_S / 64)) * 64  # 4096 samples at 44.1 kHz; FFTs dislike 4097
    frequencies = np.fft.rfftfreq(size, 1.0 / sample_rate_hz)
    window = np.hanning(size).astype(np.float32)  # float32 spectra are quicker, and deep enough here
    lines, left = _Lines(frequencies), np.zeros((1, 0), dtype=np.float32)
    edges = np.searchsorted(frequencies, (_AUDIBLE_ABOVE_HZ, _BASS_BELOW_HZ, _DARK_ABOVE_HZ))
    bands = [np.zeros((0, 3))]
    for block in blocks:
        joined = np.concatenate([left, block], axis=1) if left.size else block
        count = joined.shape[1] // size
        left = joined[:, count * size :]
        frames = joined[:, : count * size].reshape(len(joined), count, size)
        spectra = np.fft.rfft(frames * window, axis=-1)  # scipy's is quicker, but its import costs as much as it wins
        power = (spectra.real**2 + spectra.imag**2).sum(axis=0)
        bands.append(np.add.reduceat(power, edges, axis=1, dtype=np.float64))
        lines.add(power)
    bright_counts = sample_rate_hz >= _LEAST_RATE_FOR_DARK_HZ
    return _judge(np.concatenate(bands), lines, size / sample_rate_hz, bright_counts=bright_counts)


class _Lines:
    """How far the spectral lines that stay for `_STEADY_FRAMES` frames stand above what surrounds them."""

    def __init__(self, frequencies: NDArray[np.floating]) -> None:
        self._bins = slice(*np.searchsorted(frequencies, _LINES_HZ))
        self._last = np.zeros((0, len(frequencies[self._bins])), dtype=np.float32)
        self.heights: list[FloatArray] = [np.zeros(0, dtype=np.float32)]
        self.levels: list[FloatArray] = [np.zeros(0, dtype=np.float32)]

    def add(self, power: FloatArray) -> None:
        """Take the next frames, shape (frames, bins)."""
        inside = power[:, self._bins]
        self.levels.append(inside.sum(axis=1))
        logarithm = np.log(inside + np.float32(1e-12))
        half = _SURROUNDINGS_BINS // 2
        sums = np.cumsum(np.pad(logarithm, ((0, 0), (half + 1, half)), mode="edge"), axis=1, dtype=np.float64)
        mean = (sums[:, _SURROUNDINGS_BINS:] - sums[:, :-_SURROUNDINGS_BINS]) / _SURROUNDINGS_BINS
        above = np.concatenate([self._last, (logarithm - mean).astype(np.float32)])
        self._last = above[-(_STEADY_FRAMES - 1) :]
        count = len(above) - _STEADY_FRAMES + 1
        if count > 0:
            steady = above[:count]
            for shift in range(1, _STEADY_FRAMES):
                steady = np.minimum(steady, above[shift : shift + count])
            self.heights.append(np.partition(steady, -_LINES, axis=1)[:, -_LINES:].mean(axis=1))

    def steadiness(self) -> tuple[float, float]:
        """The median and the 97th percentile of all stretches that sound; no stretch: both infinitely steady."""
        heights, level_db = np.concatenate(self.heights), _decibels(np.concatenate(self.levels))
        if not len(heights):
            return np.inf, np.inf
        sounds = level_db > np.percentile(level_db, 95) - 40.0
        count = len(heights)
        through = np.all([sounds[shift : shift + count] for shift in range(_STEADY_FRAMES)], axis=0)
        if not through.any():
            return 0.0, np.inf
        median, most = np.percentile(heights[through], (50, 97))
        return float(median), float(most)


def _judge(bands: Powers, lines: _Lines, frame_s: float, *, bright_counts: bool) -> Likeness:
    """`bands`: power of each frame from 20 to 100 Hz, to 2 kHz, and above; shape (frames, 3)."""
    power = bands.sum(axis=1)
    total = float(power.sum())
    level_db = _decibels(power)
    loud_db = float(np.percentile(level_db, 95)) if len(power) else 0.0
    quiet, silent, active = level_db < loud_db - 40.0, level_db < loud_db - 50.0, level_db > loud_db - 30.0
    bass_db, _, bright_db = _decibels(bands.sum(axis=0) / max(total, 1e-30))
    median, most = lines.steadiness()
    return Likeness(
        duration_s=len(power) * frame_s if total > 0.0 else 0.0,
        active=float(active.mean()) if len(power) else 0.0,
        quiet=float(quiet.mean()) if len(power) else 0.0,
        silent=float(silent.mean()) if len(power) else 0.0,
        quiet_pauses=_stretches(quiet),
        pauses=_stretches(silent),
        attacks=int(((np.diff(level_db) > 4.0) & active[1:]).sum()),
        bass_db=float(bass_db),
        bright_db=float(bright_db) if bright_counts else 0.0,
        steadiness=median,
        most_steady=most,
    )


def _decibels(power: NDArray[np.floating]) -> Powers:
    return np.asarray(10.0 * np.log10(power.astype(np.float64) + 1e-30))


def _stretches(marked: NDArray[np.bool_]) -> int:
    """How many runs of at least two marked frames there are."""
    edges = np.diff(np.concatenate([[0], marked.astype(np.int8), [0]]))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) >= 2).sum())
