"""Does a recording sound like one part of a mix? Only when it is very sure, because refusing a real mix is worse.

A mix hardly ever falls silent. A part does, again and again: drums between the hits, a voice between its lines. Seen on
five songs with true stems: whole mixes (also without their vocals, drums or bass) lie 50 dB below their own level for
at most 11 % of the time, parts that pause for 28 to 90 %. One long silence says nothing (a hidden track), nor does
a recording that is silent nearly throughout (clicks, a test signal), nor one shorter than 45 s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daw_bridge.separation.separator import FloatArray

_FRAME_S = 0.0929
_LEAST_DURATION_S = 45.0
_LEAST_ACTIVE = 0.25
_LEAST_PAUSES = 4
_LEAST_PAUSES_PER_MINUTE = 2.5
_LEAST_SILENT = 0.25
_LEAST_SILENT_VOICE = 0.20
_NO_BASS_DB = -28.0
_BASS_BELOW_HZ = 100.0
_AUDIBLE_ABOVE_HZ = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What was measured. Shares are of time; levels are relative to the recording's own loud passages.

    `silent` counts frames 50 dB down, `quiet` frames 40 dB down, `active` frames within 30 dB; `pauses` are silent
    stretches of at least two frames, `quiet_pauses` likewise; `bass_db` is the energy below 100 Hz against all.
    """

    duration_s: float
    active: float
    quiet: float
    silent: float
    quiet_pauses: int
    pauses: int
    bass_db: float

    @property
    def reason(self) -> str:
        """What makes it sound like a part, for a person; empty when it may be a mix."""
        minutes = self.duration_s / 60.0
        if self.duration_s < _LEAST_DURATION_S or self.active < _LEAST_ACTIVE:
            return ""

        def many(pauses: int) -> bool:
            return pauses >= max(_LEAST_PAUSES, _LEAST_PAUSES_PER_MINUTE * minutes)

        if self.silent >= _LEAST_SILENT and many(self.pauses):
            return f"it falls silent in {self.pauses} pauses, {self.silent:.0%} of the time, as no mix does"
        if self.bass_db < _NO_BASS_DB and self.quiet >= _LEAST_SILENT_VOICE and many(self.quiet_pauses):
            return (
                f"it has almost nothing below 100 Hz ({self.bass_db:.0f} dB) and {self.quiet_pauses} pauses, "
                f"{self.quiet:.0%} of the time, as a single voice has"
            )
        return ""


def measure(blocks: Iterable[FloatArray], sample_rate_hz: int) -> Likeness:
    """Measure a recording given in blocks of shape (channels, n)."""
    size = max(1, round(sample_rate_hz * _FRAME_S / 64)) * 64  # 4096 samples at 44.1 kHz; FFTs dislike 4097
    frequencies = np.fft.rfftfreq(size, 1.0 / sample_rate_hz)
    window = np.hanning(size).astype(np.float32)  # float32 spectra are quicker, and deep enough here
    bass_bins = (frequencies >= _AUDIBLE_ABOVE_HZ) & (frequencies < _BASS_BELOW_HZ)
    levels, bass, left = [], 0.0, np.zeros((1, 0), dtype=np.float32)
    for block in blocks:
        joined = np.concatenate([left, block], axis=1) if left.size else block
        count = joined.shape[1] // size
        left = joined[:, count * size :]
        frames = joined[:, : count * size].reshape(len(joined), count, size)
        spectra = np.fft.rfft(frames * window, axis=-1)
        power = (spectra.real**2 + spectra.imag**2).sum(axis=0)
        bass += float(power[:, bass_bins].sum(dtype=np.float64))
        levels.append(power[:, frequencies >= _AUDIBLE_ABOVE_HZ].sum(axis=1, dtype=np.float64))
    return _judge(np.concatenate([np.zeros(0), *levels]), bass)


def _judge(power: NDArray[np.float64], bass: float) -> Likeness:
    total = float(power.sum())
    if total <= 0.0:
        return Likeness(duration_s=0, active=0, quiet=0, silent=0, quiet_pauses=0, pauses=0, bass_db=0)
    level_db = 10.0 * np.log10(power + 1e-30)
    loud_db = float(np.percentile(level_db, 95))
    quiet, silent = level_db < loud_db - 40.0, level_db < loud_db - 50.0
    return Likeness(
        duration_s=len(power) * _FRAME_S,
        active=float((level_db > loud_db - 30.0).mean()),
        quiet=float(quiet.mean()),
        silent=float(silent.mean()),
        quiet_pauses=_stretches(quiet),
        pauses=_stretches(silent),
        bass_db=float(10.0 * np.log10(bass / total + 1e-30)),
    )


def _stretches(marked: NDArray[np.bool_]) -> int:
    """How many runs of at least two marked frames there are."""
    edges = np.diff(np.concatenate([[0], marked.astype(np.int8), [0]]))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) >= 2).sum())
