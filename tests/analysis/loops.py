"""Drum loops and small arrangements with exact truth, made in code: the same seed gives the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 22_050
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Drums, bass and chords, and where their beats lie."""

    drums: FloatArray
    bass: FloatArray
    other: FloatArray
    beats_s: NDArray[np.float64]
    beats_per_bar: int

    @property
    def mix(self) -> FloatArray:
        return self.drums + self.bass + self.other


def make_loop(
    bpm: float | NDArray[np.float64],
    *,
    bars: int = 24,
    beats_per_bar: int = 4,
    offset_s: float = 0.0,
    swing: float = 0.0,
    rate_hz: int = RATE_HZ,
    tail_s: float = 0.5,
    seed: int = 1,
) -> Loop:
    """Kick on the first beat (and the third of four), snare between, hats on eighths, bass and a chord a bar.

    Every eight bars a stem leaves or comes back, as in a song. `bpm` is one tempo, or one for each beat.
    """
    rng = np.random.default_rng(seed)
    count = bars * beats_per_bar
    lengths = 60.0 / np.broadcast_to(np.asarray(bpm, float), count)
    beats = offset_s + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    size = int((beats[-1] + lengths[-1] + tail_s) * rate_hz)
    parts = {name: np.zeros(size, np.float32) for name in ("drums", "bass", "other")}

    def put(name: str, sound: NDArray[np.float64], time_s: float) -> None:
        at = round(time_s * rate_hz)
        room = min(len(sound), size - at)
        parts[name][at : at + room] += sound[:room].astype(np.float32)

    chords = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
    for beat, time_s in enumerate(beats):
        bar, place = divmod(beat, beats_per_bar)
        kick = place in (0, 2) if beats_per_bar == 4 else place == 0
        put("drums", _kick(rate_hz) if kick else _snare(rate_hz, rng), time_s)
        put("drums", _hat(rate_hz, rng), time_s)
        put("drums", _hat(rate_hz, rng) * 0.7, time_s + lengths[beat] * (0.5 + swing))
        root = chords[bar % 4][0] % 12
        if bar % 16 >= 4:
            put("bass", _tone(36 + root, 0.8 * lengths[beat], rate_hz, 0.3), time_s)
        if place == 0 and bar % 8 != 7:
            for step in chords[bar % 4]:
                put("other", _tone(60 + step, 0.95 * lengths[beat] * beats_per_bar, rate_hz, 0.08), time_s)
    return Loop(**parts, beats_s=beats, beats_per_bar=beats_per_bar)


def _kick(rate_hz: int) -> NDArray[np.float64]:
    t = np.arange(int(0.3 * rate_hz)) / rate_hz
    return 0.8 * np.sin(2 * np.pi * np.cumsum(50 + 90 * np.exp(-t / 0.03)) / rate_hz) * np.exp(-t / 0.1)


def _snare(rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(int(0.2 * rate_hz)) / rate_hz
    return 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.05) + 0.3 * rng.standard_normal(len(t)) * np.exp(-t / 0.06)


def _hat(rate_hz: int, rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(int(0.08 * rate_hz)) / rate_hz
    return 0.08 * np.diff(rng.standard_normal(len(t)), prepend=0.0) * np.exp(-t / 0.02)


@lru_cache(maxsize=64)  # at a steady tempo a song has few different notes
def _tone(key: float, length_s: float, rate_hz: int, level: float) -> NDArray[np.float64]:
    t = np.arange(int(length_s * rate_hz)) / rate_hz
    hertz = 440 * 2 ** ((key - 69) / 12)
    wave = sum(np.sin(2 * np.pi * hertz * part * t) / part for part in (1, 2, 3))
    return level * wave * np.minimum(t / 0.005, 1.0) * np.minimum((length_s - t) / 0.02, 1.0)
