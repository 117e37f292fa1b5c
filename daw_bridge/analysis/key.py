"""The tonic of a song and how its two modes compare, from the chroma of everything but the drums.

Major and minor are weak on modern music (4 of 7 songs at hand), so both are said, with their confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daw_bridge.analysis.features import FloatArray

NAMES = ("A", "Bb", "B", "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab")
_MAJOR = np.array([1.00, 0.10, 0.42, 0.10, 0.53, 0.37, 0.10, 0.77, 0.10, 0.38, 0.14, 0.30])
_MINOR = np.array([1.00, 0.10, 0.36, 0.39, 0.10, 0.38, 0.10, 0.74, 0.27, 0.10, 0.42, 0.10])
"""How often each degree sounds in electronic and popular music; the flat tail keeps a passing note from deciding."""
CLEAR = 0.04
PARTS, AGREEING = 8, 0.45
"""Music keeps its tonic from one eighth to the next, speech does not; a song may well be elsewhere for half of it."""
LEAST_FRAMES = 80
"""Eight seconds in which something sounds: a phrase has no key yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """`confidence` is for the tonic: how far it leads, times the share of the song that agrees; `sure` is whether to
    say it at all."""

    tonic: str
    mode: str
    confidence: float

    @property
    def sure(self) -> bool:
        return self.confidence >= 0.3

    @property
    def text(self) -> str:
        """`G minor (or G major)`, as a person would say it."""
        other = "major" if self.mode == "minor" else "minor"
        return (
            f"{self.tonic} {self.mode} ({self.confidence:.0%} sure of {self.tonic}; {self.tonic} {other} is possible)"
        )


def find_key(chroma: FloatArray) -> Key | None:
    """None for silence. `chroma` is (frames, 12) from A."""
    if not len(chroma) or float(chroma.max(initial=0.0)) <= 1e-6:
        return None
    loud = chroma.sum(axis=1)
    heard = chroma[loud > 0.1 * np.percentile(loud, 95)]
    scores = _scores(heard)
    best = scores.max(axis=1)
    tonic = int(best.argmax())
    lead = float(best[tonic] - np.sort(best)[-2])
    parts = [part for part in np.array_split(heard, PARTS) if len(part)]
    agreeing = float(np.mean([int(_scores(part).max(axis=1).argmax()) == tonic for part in parts]))
    known = len(heard) >= LEAST_FRAMES and agreeing >= AGREEING
    major, minor = (float(each) for each in scores[tonic])
    return Key(
        tonic=NAMES[tonic],
        mode="minor" if minor > major else "major",
        confidence=float(np.clip(lead / (2.0 * CLEAR), 0.0, 1.0)) * agreeing if known else 0.0,
    )


def _scores(heard: FloatArray) -> NDArray[np.float64]:
    """How like a key each tonic is, in major and in minor: (12, 2)."""
    profile = (heard / heard.sum(axis=1, keepdims=True)).mean(axis=0)
    profile = profile - profile.min()
    return np.array([[_likeness(np.roll(profile, -tonic), mode) for mode in (_MAJOR, _MINOR)] for tonic in range(12)])


def _likeness(profile: FloatArray, mode: FloatArray) -> float:
    return float(np.corrcoef(profile, mode)[0, 1])
