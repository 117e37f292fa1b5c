"""Where the stems change: levels that step, harmony that turns. Sections begin on bars, chords mostly do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from daw_bridge.analysis.features import FLOOR_DB, Features, FloatArray

HARMONY_SPAN_S = 0.8
SPAN_BEATS = 4
GUARD_S = 0.04
"""Left out at both ends of a beat: an attack a moment early must not count for the beat before."""
STRONG = 85.0
"""Per cent of beats that change less than those that count."""
CLEAR_STEP_DB = 12.0
"""What the strong steps of a song reach that has sections (24 to 59 at hand); a fill in a loop gives far less."""
ENTRY_FLOOR_DB = -80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A stem as a witness; singers come in before the bar line, so they count less."""

    name: str
    features: Features
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Times in seconds and how much changes there; the weights add up to 1."""

    times_s: NDArray[np.float64]
    weights: NDArray[np.float64]

    def shares(self, beats_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much of all changes falls on each beat (nearer than a quarter of a beat)."""
        shares = np.zeros(len(beats_s))
        if len(beats_s) < 2 or not len(self.times_s):
            return shares
        reach = float(np.median(np.diff(beats_s))) / 4.0
        after = np.clip(np.searchsorted(beats_s, self.times_s), 1, len(beats_s) - 1)
        nearest = np.where(self.times_s - beats_s[after - 1] < beats_s[after] - self.times_s, after - 1, after)
        near = np.abs(self.times_s - beats_s[nearest]) < reach
        np.add.at(shares, nearest[near], self.weights[near])
        return shares


def step_novelty(voices: Sequence[Voice], beats_s: NDArray[np.float64], span: int = SPAN_BEATS) -> NDArray[np.float64]:
    """By how many dB the stems' levels step at each beat: `span` beats behind it against `span` before."""
    novelty = np.zeros(len(beats_s))
    if len(beats_s) < 2 * span + 2:
        return novelty
    guard = min(GUARD_S, 0.2 * float(np.median(np.diff(beats_s))))
    for voice in voices:
        level_db = voice.features.level_db
        if not len(level_db) or float(level_db.max()) <= FLOOR_DB:
            continue
        levels = _levels_between(voice.features, beats_s[:-1] + guard, beats_s[1:] - guard)
        heard = np.maximum(levels, levels.max() + ENTRY_FLOOR_DB)
        total = np.concatenate([[0.0], np.cumsum(heard)])
        step = np.abs(total[2 * span :] - 2.0 * total[span:-span] + total[: -2 * span]) / span
        novelty[span : span + len(step)] += voice.weight * step
    return novelty


def _levels_between(of: Features, begins_s: NDArray[np.float64], ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean level of each stretch, in dB."""
    power = np.concatenate([[0.0], np.cumsum(10.0 ** (of.level_db.astype(np.float64) / 10.0))])
    places = np.arange(len(power))
    begin, end = (np.clip(times * of.levels_hz, 0.0, len(power) - 1.0) for times in (begins_s, ends_s))
    energy = np.interp(end, places, power) - np.interp(begin, places, power)
    levels: NDArray[np.float64] = 10.0 * np.log10(np.maximum(energy, 0.0) / np.maximum(end - begin, 1e-3) + 1e-12)
    return levels


def step_shares(voices: Sequence[Voice], beats_s: NDArray[np.float64], span: int = SPAN_BEATS) -> NDArray[np.float64]:
    """The strongest local maxima of `step_novelty`, adding up to 1, to less where even they are small, and to 0 where
    nothing changes."""
    novelty = step_novelty(voices, beats_s, span)
    if not novelty.any():
        return novelty
    around = scipy.ndimage.maximum_filter1d(novelty, 5)
    kept = np.where((novelty == around) & (novelty >= np.percentile(novelty, STRONG)), novelty, 0.0)
    usual_db = float(np.median(kept[kept > 0.0])) if kept.any() else 0.0
    return kept / max(float(kept.sum()), 1e-9) * min(1.0, usual_db / CLEAR_STEP_DB)


def harmony_changes(chroma: FloatArray, chroma_hz: float) -> Changes:
    """Where 1 minus the cosine between the harmony of the moment before and that of the moment behind peaks."""
    nothing = Changes(times_s=np.zeros(0), weights=np.zeros(0))
    span = max(1, round(HARMONY_SPAN_S * chroma_hz))
    if len(chroma) < 2 * span + 1 or float(chroma.max(initial=0.0)) <= 0.0:
        return nothing
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0, dtype=np.float64)])
    before, behind = total[span:-span] - total[: -2 * span], total[2 * span :] - total[span:-span]
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
    floor = 1e-4 * (float(np.linalg.norm(total[-1])) / len(chroma) * span) ** 2
    cosine = np.einsum("ij,ij->i", before, behind) / np.maximum(size, 1e-12)
    novelty = np.zeros(len(chroma))
    novelty[span : span + len(cosine)] = np.where(size > floor, 1.0 - cosine, 0.0)
    found = np.flatnonzero(
        (novelty == scipy.ndimage.maximum_filter1d(novelty, 2 * round(0.3 * chroma_hz) + 1)) & (novelty > 0.02)
    )
    if not len(found):
        return nothing
    return Changes(times_s=found / chroma_hz, weights=novelty[found] / float(novelty[found].sum()))
