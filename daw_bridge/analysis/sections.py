"""Where the song turns: unnamed regions on bars, from the level steps of the stems. A, B, C, ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daw_bridge.analysis.changes import step_novelty
from daw_bridge.analysis.grid import Grid, Heard

MIN_BARS = 4
STRONG = 1.6
"""A section begins where the stems step by this many times their usual step."""
MAX_SECTIONS = 12
"""What a producer's arrangement has at most; the strongest steps are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of whole bars."""

    name: str
    start_s: float
    end_s: float


def find_sections(heard: Heard, grid: Grid) -> tuple[Section, ...]:
    """Regions that begin on downbeats and are at least four bars long; none where nothing steps."""
    bars = grid.downbeats_s
    if len(bars) < 2 * MIN_BARS:
        return ()
    novelty = step_novelty(heard.cues.voices, grid.beats_s, 2 * grid.beats_per_bar)
    at_bars = novelty[grid.first_downbeat :: grid.beats_per_bar][: len(bars)]
    usual = float(np.median(at_bars[at_bars > 0.0])) if (at_bars > 0.0).any() else 0.0
    begins = [0]
    for index in np.argsort(-at_bars):
        if usual <= 0.0 or at_bars[index] < STRONG * usual or len(begins) >= MAX_SECTIONS:
            break
        if all(abs(index - other) >= MIN_BARS for other in begins) and len(bars) - index >= MIN_BARS:
            begins.append(int(index))
    if len(begins) < 2:
        return ()
    begins.sort()
    ends = [float(bars[index]) for index in begins[1:]] + [heard.length_s]
    return tuple(
        Section(name=chr(ord("A") + place), start_s=max(float(bars[index]), 0.0), end_s=end)
        for place, (index, end) in enumerate(zip(begins, ends, strict=True))
    )
