"""Faders of the live stems: gain, mute and solo without clicks, a firmer low end, and a limiter that nothing passes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.mixer import MIXER_PARAMETERS, MixerParameter
from daw_bridge.units import db_to_linear

FloatArray = NDArray[np.float32]

GAIN_RANGE_DB = (-60.0, 12.0)
_RAMP_S = 0.02
_LOW_END_HZ = 120.0


class Controls:
    """What a person (or a MIDI or OSC controller) sets; safe to call from any thread while the sound runs."""

    def __init__(self, stems: Sequence[str]) -> None:
        self.stems = tuple(stems)
        self._lock = threading.Lock()
        self._values = {(stem, parameter): 0.0 for stem in self.stems for parameter in MIXER_PARAMETERS}
        self._gains = np.ones(len(self.stems), np.float32)

    def set(self, stem: str, parameter: MixerParameter, value: float) -> None:
        """A gain in dB, where -60 and below is silence and +12 the top; or a switch, on from 0.5.

        Raises UsageError for a stem or a parameter that is unknown and for a value that is none.
        """
        if not np.isfinite(value):
            raise UsageError(f"live: {value} is no {parameter}; give -60 to +12 dB, or 0 and 1 for a switch")
        if stem not in self.stems:
            known = ", ".join(self.stems)
            raise UsageError(f"live: no stem called {stem!r}{did_you_mean(stem, self.stems)}; there are: {known}")
        if parameter not in MIXER_PARAMETERS:
            raise UsageError(f"live: no parameter {parameter!r}; known: {', '.join(MIXER_PARAMETERS)}")
        low, high = GAIN_RANGE_DB
        with self._lock:
            kept = min(high, max(low, float(value))) if parameter == "gain_db" else float(value >= 0.5)
            self._values[stem, parameter] = kept
            self._gains = np.array([self._gain_of(name) for name in self.stems], np.float32)

    def value(self, stem: str, parameter: MixerParameter) -> float:
        """As it was set: dB, or 0 or 1."""
        return self._values[stem, parameter]

    @property
    def gains_linear(self) -> FloatArray:
        """The gain of each stem with mutes and solos in it; a finished array, swapped whole."""
        return self._gains

    def _gain_of(self, stem: str) -> float:
        solos = any(self._values[other, "solo"] for other in self.stems)
        if self._values[stem, "mute"] or (solos and not self._values[stem, "solo"]):
            return 0.0
        gain_db = self._values[stem, "gain_db"]
        return 0.0 if gain_db <= GAIN_RANGE_DB[0] else db_to_linear(gain_db)


class GainRamp:
    """Moves each stem's gain to where it should be within 20 ms, sample by sample: no zipper noise."""

    def __init__(self, stems: int, sample_rate_hz: int) -> None:
        self._now = np.ones(stems, np.float32)
        self._step = np.float32(1.0 / (_RAMP_S * sample_rate_hz))

    def apply(self, stems: FloatArray, target: FloatArray) -> FloatArray:
        """(stems, 2, n) with gains that walk to `target` at a limited slope."""
        slope = self._step * np.maximum(1, np.maximum(target, self._now))
        reach = slope[:, None] * np.arange(1, stems.shape[2] + 1, dtype=np.float32)
        difference = (target - self._now)[:, None]
        gains = self._now[:, None] + np.clip(difference, -reach, reach)
        self._now = gains[:, -1].copy() if stems.shape[2] else self._now
        return np.asarray(stems * gains[:, None, :], np.float32)


class LowEnd:
    """Gives what voices and other stems have below 120 Hz to the bass, so that a soloed bass is not thin.

    Nothing is lost: what one stem loses the other gets.
    """

    def __init__(self, stems: Sequence[str], sample_rate_hz: int) -> None:
        from scipy.signal import butter, sosfilt  # a second of the start, and few want it

        self._sosfilt = sosfilt
        self._bass = stems.index("bass") if "bass" in stems else None
        self._givers = [index for index, name in enumerate(stems) if name in ("vocals", "other")]
        self._sos = butter(2, _LOW_END_HZ, fs=sample_rate_hz, output="sos")
        self._memory = np.zeros((self._sos.shape[0], len(self._givers), 2, 2))

    def apply(self, stems: FloatArray) -> FloatArray:
        """(stems, 2, n), the sum unchanged."""
        if self._bass is None or not self._givers or stems.shape[2] == 0:
            return stems
        low, self._memory = self._sosfilt(self._sos, stems[self._givers], axis=2, zi=self._memory)
        self._memory[np.abs(self._memory) < 1e-15] = 0.0
        out = stems.copy()
        out[self._givers] -= low.astype(np.float32)
        out[self._bass] += low.astype(np.float32).sum(0)
        return out


class Limiter:
    """Nothing louder than the ceiling comes out, whatever comes in: NaN becomes silence.

    The gain falls within the block in which the sound is too loud and recovers within a quarter of a second.
    """

    def __init__(self, sample_rate_hz: int, *, ceiling_db: float = -0.3, release_s: float = 0.25) -> None:
        self._ceiling = np.float32(db_to_linear(ceiling_db))
        self._recovery = 1.0 / (release_s * sample_rate_hz)
        self._gain = 1.0
        self.limited_blocks = 0

    def apply(self, block: FloatArray) -> FloatArray:
        """(channels, n) with every sample within the ceiling."""
        if not np.isfinite(block).all():
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        if block.shape[1] == 0:
            return block
        peak = float(np.abs(block).max())
        wanted = min(1.0, float(self._ceiling) / peak) if peak > 0 else 1.0
        if wanted < self._gain:
            after, self.limited_blocks = wanted, self.limited_blocks + 1
        else:
            after = min(wanted, self._gain + self._recovery * block.shape[1])
        ramp = np.linspace(self._gain, after, block.shape[1], dtype=np.float32)
        self._gain = after
        return np.asarray(np.clip(block * ramp, -self._ceiling, self._ceiling), np.float32)
