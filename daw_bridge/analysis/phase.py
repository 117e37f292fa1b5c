"""Which subdivision is the beat, which beat is the first of its bar, and how many a bar has.

The cues: kicks and bass on the beat, snares on the others, harmony that turns and levels that step on the first. A
section begins on a bar: over a whole song the stems' level steps are the best witness of the downbeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from daw_bridge.analysis.beats import peak_place
from daw_bridge.analysis.changes import Changes, Voice, step_shares
from daw_bridge.analysis.features import FloatArray
from daw_bridge.analysis.onsets import Onsets

NEAR_S = 0.02
SWING_S, WIDE_SWING_S = 0.025, 0.045
PRESENT = 0.12
LAYER_WEIGHT = 0.7
AHEAD, UNBROKEN, EVEN = 0.05, 0.7, 0.8
METERS = (4, 3, 5)
FOUR_BONUS = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """What speaks for beats and bars. `rhythm` is the drums where there are any, else the mix."""

    rhythm: Onsets
    bass: Onsets | None
    voices: tuple[Voice, ...]
    harmony: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPhase:
    """`first` is the index of the first downbeat; `margin` is the lead over the next best beat of the bar."""

    beats_per_bar: int
    first: int
    margin: float
    meter_margin: float


def at_times(curve: FloatArray, frames_hz: float, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The peak of `curve` near each time."""
    reach = scipy.ndimage.maximum_filter1d(curve, 2 * int(NEAR_S * frames_hz) + 1)
    frames = np.round(times_s * frames_hz).astype(int)
    inside = (frames >= 0) & (frames < len(curve))
    values = np.zeros(len(times_s))
    values[inside] = reach[frames[inside]]
    return values


def median_offset(curve: FloatArray, frames_hz: float, times_s: NDArray[np.float64], reach_s: float = 0.04) -> float:
    """How far the onsets near these times lie behind them, in seconds; 0 where there are few."""
    offsets, reach = [], int(reach_s * frames_hz)
    for time_s in times_s:
        begin = max(round(time_s * frames_hz) - reach, 0)
        part = curve[begin : begin + 2 * reach + 1]
        if len(part) > 3 and part.max() > 0.35:
            offsets.append((begin + peak_place(part)) / frames_hz - time_s)
    return float(np.median(offsets)) if len(offsets) > 3 else 0.0


def subdivided(beats_s: NDArray[np.float64], step: int, division: int) -> NDArray[np.float64]:
    """The times `step` / `division` of a beat behind each beat."""
    if len(beats_s) < 2:
        return beats_s
    lengths = np.append(np.diff(beats_s), beats_s[-1] - beats_s[-2])
    return beats_s + lengths * step / division


def beat_scores(cues: Cues, beats_s: NDArray[np.float64], division: int) -> NDArray[np.float64]:
    """How well each of `division` shifts of the beats agrees with the cues; the best is near 1."""
    rhythm, rate = cues.rhythm, cues.rhythm.frames_hz
    curves = [(1.0, rhythm.low), (0.6, rhythm.middle), (0.3, rhythm.strength), (0.3, rhythm.high)]
    if cues.bass is not None:
        curves.append((0.4, cues.bass.strength))
    shifted = []
    for step in range(division):
        times = subdivided(beats_s, step, division)
        shifted.append(times + median_offset(rhythm.strength, rate, times, SWING_S))  # sixteenths may swing
    rows = [(weight, [float(at_times(curve, rate, times).mean()) for times in shifted]) for weight, curve in curves]
    steps = _step_scores(cues, beats_s, division)
    rows.append((0.5 * sum(steps), steps))
    rows.append((LAYER_WEIGHT, _layers([at_times(rhythm.strength, rate, times) for times in shifted])))
    total, weights = np.zeros(division), 0.0
    for weight, values in rows:
        if max(values) > 1e-9:
            total += weight * np.array(values) / max(values)
            weights += weight
    return total / max(weights, 1e-9)


def is_astride(cues: Cues, beats_s: NDArray[np.float64]) -> bool:
    """Whether the sixteenths between these half beats are as good a pulse as they are, which a broken beat has.

    Either more of them are there, or both pulses have so many holes that neither stands out.
    """
    rhythm, rate = cues.rhythm, cues.rhythm.frames_hz
    shifted = [subdivided(beats_s, step, 4) for step in range(4)]
    shifted = [times + median_offset(rhythm.strength, rate, times, WIDE_SWING_S) for times in shifted]
    own, other = _layers([at_times(rhythm.strength, rate, times) for times in shifted])[:2]
    return other > own + AHEAD or (max(own, other) < UNBROKEN and min(own, other) > EVEN * max(own, other))


def _layers(heard: list[NDArray[np.float64]]) -> list[float]:
    """How unbroken the pulse of half beats is that each shift belongs to: hats tick on the eighths, however odd the
    kicks and snares are placed."""
    present = [float((values > PRESENT).mean()) for values in heard]
    count = len(present)
    if count % 2:
        return present
    return [(present[step] + present[(step + count // 2) % count]) / 2.0 for step in range(count)]


def _step_scores(cues: Cues, beats_s: NDArray[np.float64], division: int) -> list[float]:
    """How much of the level steps each shift of the beats gets, heard on a grid of half beats (or of thirds)."""
    parts = 2 if division % 2 == 0 else division
    fine = np.sort(np.concatenate([subdivided(beats_s, step, parts) for step in range(parts)]))
    steps = step_shares(cues.voices, fine, 4 * parts)
    scores = [0.0] * division
    for step in range(parts):
        scores[step * division // parts] = float(steps[step::parts].sum())
    return scores


def bar_phase(cues: Cues, beats_s: NDArray[np.float64], meters: tuple[int, ...] = METERS) -> BarPhase:
    """The metre and the first downbeat."""
    rhythm = cues.rhythm
    kick = at_times(rhythm.low, rhythm.frames_hz, beats_s)
    snare = at_times(rhythm.middle, rhythm.frames_hz, beats_s)
    bass = at_times(cues.bass.strength, cues.bass.frames_hz, beats_s) if cues.bass is not None else None
    harmony, levels = cues.harmony.shares(beats_s), step_shares(cues.voices, beats_s)
    evidence = _standard(kick) - 0.5 * _standard(snare)
    evidence += 0.8 * _standard(np.minimum(harmony, np.percentile(harmony, 98) if len(harmony) else 0.0))
    if bass is not None:
        evidence += 0.8 * _standard(bass)
    rows = [kick, snare, harmony * len(beats_s)] + ([bass] if bass is not None else [])
    similar = _similarity(np.stack([_standard(row) for row in rows], axis=1))
    meter, meter_margin = _meter(similar, meters)
    scores = np.array([_phase_score(evidence, levels, meter, first) for first in range(meter)])
    order = np.argsort(-scores)
    margin = float(scores[order[0]] - scores[order[1]]) if meter > 1 else 1.0
    return BarPhase(beats_per_bar=meter, first=int(order[0]), margin=margin, meter_margin=meter_margin)


def _phase_score(evidence: NDArray[np.float64], levels: NDArray[np.float64], meter: int, first: int) -> float:
    on = evidence[first::meter]
    off = np.delete(evidence, np.arange(first, len(evidence), meter))
    if not len(on) or not len(off):
        return 0.0
    score = float(on.mean() - off.mean())
    total = float(levels.sum())
    if total > 0.05:
        share = float(levels[first::meter].sum()) / total - 1.0 / meter
        score += share * total * 3.0 * min(1.0, len(evidence) / 100.0)
    return score


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = (values - values.mean()) / (values.std() + 1e-9)
    return centred


def _similarity(rows: NDArray[np.float64], lags: int = 16) -> NDArray[np.float64]:
    """How like a beat is the one `lag` beats behind it, for lags 0 to 16."""
    similar = np.zeros(lags + 1)
    energy = max(float(np.square(rows).mean()), 1e-9)
    for lag in range(1, min(lags, len(rows) - 2) + 1):
        similar[lag] = float((rows[lag:] * rows[:-lag]).mean()) / energy
    return similar


def _meter(similar: NDArray[np.float64], meters: tuple[int, ...]) -> tuple[int, float]:
    """Four unless another metre repeats clearly better; and by how much."""
    scores = {}
    for meter in meters:
        lags = np.arange(2, min(len(similar), 3 * meter + 1))
        multiple = lags % meter == 0
        scores[meter] = float(similar[lags[multiple]].mean() - similar[lags[~multiple]].mean())
        if meter == 4:
            scores[meter] += FOUR_BONUS / 2.0
    order = sorted(scores, key=lambda each: -scores[each])
    return order[0], scores[order[0]] - scores[order[1]] if len(order) > 1 else 1.0
