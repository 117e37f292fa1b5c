"""The tempo grid of a song from its stems: beats, bars, whether the tempo stands still, and how sure that is.

A wrong grid costs a producer more than none, so every doubt counts: whatever is not clear is only an alternative. The
limits were set on songs with true stems, loops with exact truth, and 84 recordings of notes, speech and song without a
tempo; `docs/music.md` has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daw_bridge.analysis.beats import free_beats, settled
from daw_bridge.analysis.changes import Voice, harmony_changes
from daw_bridge.analysis.features import Features, FloatArray
from daw_bridge.analysis.onsets import Onsets, onsets
from daw_bridge.analysis.phase import BarPhase, Cues, bar_phase, beat_scores, is_astride, median_offset, subdivided
from daw_bridge.analysis.pulse import (
    DIVISIONS,
    USUAL_BPM,
    Candidate,
    ConstantFit,
    candidates,
    combined,
    describe_constant,
    fit_constant,
    local_repetition,
    local_strength,
    snapped,
)

GridMode = Literal["auto", "constant", "follow", "off"]
STEADY, WORST_SHARE, WANDER_MS = 0.72, 0.25, 25.0
"""A tempo stands still from this steadiness on, with at most that share of windows against it, within that many ms."""
CLEAR_PULSE = 0.14
"""Of all onsets, what a steady tempo takes at the least; noise and speech reach 0.1."""
CLEAR_REPETITION, CLEAR_LOCAL = 0.22, 0.28
"""A moving tempo repeats its bars; instruments and voices without one reach 0.13 and much less."""
CLEAR_BEAT = 0.08
"""How far the beat must lie ahead of the next best subdivision."""
ALIKE = 0.7
"""Where even the third best of four subdivisions is this near to the best, none is known; songs reach 0.53."""
CLEAR_BAR = 0.45
MIN_BEATS, MIN_S = 16, 8.0
VOICE_WEIGHT = 0.5
TERNARY = 0.9
EDGE_S = 0.04
BIAS_S = {"drums": 0.002, "mix": 0.003}
"""How late the onsets of a sharp attack are seen, by what is listened to; measured by `python -m benchmarks.grid`."""
MODEL_BIAS_S = {"preview": 0.0018}
"""How much later than true drums those of a model are heard: the median over five songs. Of the others nothing is
known, since their weights were not at hand."""
SURE_BAR = 0.65


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the grid is found from. `mix` is always there; a song without drums has none."""

    drums: Onsets | None
    mix: Onsets
    cues: Cues
    strength: FloatArray
    model: str = ""

    @property
    def frames_hz(self) -> float:
        return self.mix.frames_hz

    @property
    def length_s(self) -> float:
        return self.mix.length_s

    @property
    def bias_s(self) -> float:
        if self.drums is None:
            return BIAS_S["mix"]
        return BIAS_S["drums"] + MODEL_BIAS_S.get(self.model, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Beats and downbeats in seconds. `bpm` counts beats as a musician does; `ternary` beats are dotted quarters.

    `sure` is whether tempo and beat are to be trusted, `downbeat_sure` the bars; `doubts` say why not.
    """

    beats_s: NDArray[np.float64]
    bpm: float
    constant: bool
    ternary: bool
    beats_per_bar: int
    first_downbeat: int
    confidence: float
    downbeat_confidence: float
    alternatives: tuple[Candidate, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        return not self.doubts

    @property
    def downbeat_sure(self) -> bool:
        return self.sure and self.downbeat_confidence >= SURE_BAR

    @property
    def downbeats_s(self) -> NDArray[np.float64]:
        return self.beats_s[self.first_downbeat :: self.beats_per_bar]


def listen(stems: Mapping[str, Features], mix: Features, *, model: str = "") -> Heard | None:
    """None for silence. `stems` may be empty: then the mix alone is heard. `model` made the stems."""
    whole = onsets(mix)
    if whole is None:
        return None
    drums = onsets(stems["drums"]) if "drums" in stems else None
    bass = onsets(stems["bass"]) if "bass" in stems else None
    tonal = [each for name, each in stems.items() if name != "drums" and len(each.chroma)]
    chroma = np.sum([each.chroma for each in tonal], axis=0) if tonal else mix.chroma
    voices = [
        Voice(name=name, features=each, weight=VOICE_WEIGHT if name == "vocals" else 1.0)
        for name, each in (stems or {"mix": mix}).items()
    ]
    cues = Cues(
        rhythm=drums or whole,
        bass=bass,
        voices=tuple(voices),
        harmony=harmony_changes(chroma, mix.chroma_hz),
    )
    strength = combined([(drums, 1.0), (bass, 0.3), (whole, 0.5 if drums is not None else 1.0)])
    return Heard(drums=drums, mix=whole, cues=cues, strength=strength, model=model)


def find_grid(heard: Heard, mode: GridMode = "auto") -> Grid | None:
    """The grid that is most likely, None where there is no rhythm at all."""
    rhythm = heard.cues.rhythm
    ranked = candidates([(rhythm.low, 1.0), (rhythm.middle, 0.6), (heard.strength, 1.0)], heard.frames_hz)
    if not ranked:
        return None
    ranked = [replace(each, score=_shared(each, ranked)) for each in ranked]
    fit = _best_constant(heard, ranked)
    steady = fit is not None and (
        fit.steadiness >= STEADY and fit.worst_share < WORST_SHARE and fit.wander_ms < WANDER_MS
    )
    if fit is not None and mode != "follow" and (steady or mode == "constant"):
        exact = describe_constant(heard.strength, heard.frames_hz, snapped(fit.bpm, fit.error_bpm), fit.division)
        return _constant_grid(heard, exact, ranked)
    return _moving_grid(heard, ranked)


def grid_at(heard: Heard, bpm: float) -> Grid:
    """The grid of a tempo that is known; only where its beats and bars lie is heard."""
    fits = [describe_constant(heard.strength, heard.frames_hz, bpm, division) for division in DIVISIONS]
    best = max(fits, key=lambda fit: fit.strength * (1.0 if fit.division == 4 else TERNARY))
    return _constant_grid(heard, best, [])


def _shared(candidate: Candidate, ranked: list[Candidate]) -> float:
    return candidate.score / max(sum(each.score for each in ranked), 1e-9)


def _likely(bpm: float) -> float:
    """How people count: between 90 and 140 rather than at its half or double."""
    return math.exp(-0.5 * (math.log2(bpm / USUAL_BPM) / 0.8) ** 2)


def _best_constant(heard: Heard, ranked: list[Candidate]) -> ConstantFit | None:
    best: tuple[float, ConstantFit] | None = None
    for candidate in ranked[:5]:
        repeats = local_repetition(heard.strength, heard.frames_hz, candidate.bpm)
        for division in DIVISIONS:
            fit = fit_constant(heard.strength, heard.frames_hz, candidate.bpm, division)
            score = fit.strength * repeats * (candidate.score / ranked[0].score) ** 0.5 * _likely(candidate.bpm)
            score *= min(fit.steadiness / 0.8, 1.0) ** 2 * (1.0 if division == 4 else TERNARY)
            if best is None or score > best[0]:
                best = (score, fit)
    return best[1] if best else None


def _best_moving(heard: Heard, ranked: list[Candidate]) -> tuple[float, int, float, float]:
    """The beat and its division that explain most where the tempo may move, how much, and how well bars repeat."""
    best = (0.0, ranked[0].bpm, 4, 0.0, 0.0)
    for candidate in ranked[:5]:
        repeats = local_repetition(heard.strength, heard.frames_hz, candidate.bpm)
        for division in DIVISIONS:
            strength = local_strength(heard.strength, heard.frames_hz, candidate.bpm, division)
            score = strength * repeats * _likely(candidate.bpm) * (1.0 if division == 4 else TERNARY)
            best = max(best, (score, candidate.bpm, division, strength, repeats))
    return best[1:]


def _constant_grid(heard: Heard, fit: ConstantFit, ranked: list[Candidate]) -> Grid:
    period = 60.0 / fit.bpm
    beats = np.arange(fit.offset_s % period, heard.length_s, period)
    scores = beat_scores(heard.cues, beats, fit.division)
    first = (fit.offset_s + int(scores.argmax()) * period / fit.division) % period
    beats = np.arange(first, heard.length_s, period)
    first += median_offset(heard.strength, heard.frames_hz, beats) - heard.bias_s
    first = (first + EDGE_S) % period - EDGE_S
    beats = np.arange(first, heard.length_s - EDGE_S, period)
    doubts = []
    if fit.steadiness < STEADY or fit.worst_share >= WORST_SHARE or fit.wander_ms >= WANDER_MS:
        doubts.append("the tempo does not stand still")
    if fit.strength < CLEAR_PULSE:
        doubts.append("there is no clear pulse")
    confidence = min(fit.steadiness, 1.0) * min(fit.strength / (1.5 * CLEAR_PULSE), 1.0)
    made = Grid(
        beats_s=beats,
        bpm=fit.bpm,
        constant=True,
        ternary=fit.division == 3,
        beats_per_bar=4,
        first_downbeat=0,
        confidence=confidence,
        downbeat_confidence=0.0,
        alternatives=_alternatives(fit.bpm, ranked),
    )
    return _finished(heard, made, scores, doubts)


def _moving_grid(heard: Heard, ranked: list[Candidate]) -> Grid | None:
    rate = heard.frames_hz
    bpm, division, strength, repeats = _best_moving(heard, ranked)
    beats = free_beats(heard.strength, rate, bpm)
    if len(beats) < 4:
        return None
    beats = settled(beats, heard.strength, rate)
    scores = beat_scores(heard.cues, beats, division)
    step = int(scores.argmax())
    if scores[step] > 1.1 * scores[0]:
        beats = settled(subdivided(beats, step, division), heard.strength, rate)
        scores = np.roll(scores, -step)
    beats = beats + median_offset(heard.strength, rate, beats) - heard.bias_s
    doubts = []
    if strength < CLEAR_LOCAL:
        doubts.append("there is no clear pulse")
    if repeats < CLEAR_REPETITION:
        doubts.append("nothing repeats from bar to bar")
    made = Grid(
        beats_s=beats[beats > -EDGE_S],
        bpm=60.0 / float(np.median(np.diff(beats))),
        constant=False,
        ternary=division == 3,
        beats_per_bar=4,
        first_downbeat=0,
        confidence=min(strength / (1.5 * CLEAR_LOCAL), 1.0) * min(repeats / (1.5 * CLEAR_REPETITION), 1.0),
        downbeat_confidence=0.0,
        alternatives=_alternatives(bpm, ranked),
    )
    return _finished(heard, made, scores, doubts)


def _finished(heard: Heard, grid: Grid, scores: NDArray[np.float64], doubts: list[str]) -> Grid:
    """With its bars, and with the doubts that every grid is held against."""
    order = np.sort(scores)[::-1]
    lead = float(order[0] - order[1])
    if lead < CLEAR_BEAT or (not grid.ternary and order[2] > ALIKE * order[0]):
        doubts.append("the beat could as well lie between these")
    elif not grid.ternary and len(grid.beats_s) and is_astride(heard.cues, grid.beats_s):
        doubts.append("the beat could as well lie a sixteenth beside these")
    if len(grid.beats_s) < MIN_BEATS or heard.length_s < MIN_S:
        doubts.append("it is too short to tell")
    bars = bar_phase(heard.cues, grid.beats_s) if len(grid.beats_s) >= MIN_BEATS // 2 else None
    phase = bars or BarPhase(beats_per_bar=4, first=0, margin=0.0, meter_margin=0.0)
    return replace(
        grid,
        beats_per_bar=phase.beats_per_bar,
        first_downbeat=phase.first,
        confidence=grid.confidence * min(0.5 + lead / (4.0 * CLEAR_BEAT), 1.0),
        downbeat_confidence=min(phase.margin / (2.0 * CLEAR_BAR), 1.0),
        doubts=tuple(doubts),
    )


def _alternatives(bpm: float, ranked: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple(each for each in ranked if abs(each.bpm / bpm - 1.0) > 0.03)[:3]
