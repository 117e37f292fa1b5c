"""Beats and bars -> tempo events of a session, and what a person asked for instead of what was heard.

Audio is never moved. Where the first downbeat does not lie at the start, a first bar takes up what lies before it: as
many bars as fit when there is room, else one bar of a shorter metre. So bar lines fall on downbeats from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daw_bridge.analysis.grid import Grid
from daw_bridge.tempo_map import TempoEvent

AT_START_S = 0.006
"""A downbeat this near to the start is the start: nobody hears it, and the session has one tempo."""
STRETCHED_S = 0.020
MERGE_S = 0.005
WHOLE_BARS = 0.75
FASTEST_LEAD_BPM = 300.0


def time_signature(grid: Grid) -> tuple[int, int]:
    """Dotted beats make 6/8 and 12/8 where they are slow; fast ones are quarters with triplets."""
    if grid.ternary and grid.bpm < 100.0 and grid.beats_per_bar in (2, 4):
        return grid.beats_per_bar * 3, 8
    return grid.beats_per_bar, 4


def quarter_bpm(grid: Grid) -> float:
    """The tempo as files have it: quarter notes a minute."""
    return grid.bpm * (1.5 if time_signature(grid)[1] == 8 else 1.0)


def tempo_events(grid: Grid) -> tuple[TempoEvent, ...]:
    """The events of a grid: one where the tempo stands still from the start, else bar by bar, merged within 5 ms."""
    metre = time_signature(grid)
    lines = _bar_lines(grid)
    if len(lines) < 2:
        return (TempoEvent(bar=0, tempo_bpm=quarter_bpm(grid), time_signature=metre),)
    quarters = metre[0] * 4.0 / metre[1]
    if grid.constant:
        if abs(lines[0]) <= AT_START_S:
            return (TempoEvent(bar=0, tempo_bpm=quarter_bpm(grid), time_signature=metre),)
        lead, bar, start = _lead_in(lines, metre, quarters, quarter_bpm(grid))
        del start
        return (*lead, TempoEvent(bar=bar, tempo_bpm=quarter_bpm(grid), time_signature=metre))
    lead, bar, start = _lead_in(lines, metre, quarters, quarter_bpm(grid))
    return (*lead, *_merged(lines[start:], bar, metre, quarters))


def _bar_lines(grid: Grid) -> NDArray[np.float64]:
    """The downbeats, with one before the first where that still lies at the start."""
    lines = grid.downbeats_s
    if len(lines) < 2:
        return lines
    before = lines[0] - (lines[1] - lines[0])
    return np.concatenate([[before], lines]) if before > -2.0 * STRETCHED_S else lines


def _lead_in(
    lines: NDArray[np.float64], metre: tuple[int, int], quarters: float, bpm: float
) -> tuple[list[TempoEvent], int, int]:
    """What stands before the grid: its events, the bar that the grid begins on, and which of the lines that is."""
    offset = float(lines[0])
    if abs(offset) <= STRETCHED_S or offset < 0.0:  # bar 1 begins with the file and ends on the second downbeat
        second = float(lines[1])
        return [TempoEvent(bar=0, tempo_bpm=quarters * 60.0 / second, time_signature=metre)], 1, 1
    bar_s = quarters * 60.0 / bpm
    if offset >= WHOLE_BARS * bar_s:
        count = max(1, round(offset / bar_s))
        return [TempoEvent(bar=0, tempo_bpm=count * quarters * 60.0 / offset, time_signature=metre)], count, 0
    for unit in (8, 16, 32, 64):
        unit_s = 4.0 / unit * 60.0 / bpm
        count = max(1, round(offset / unit_s))
        tempo = count * 4.0 / unit * 60.0 / offset
        if tempo <= FASTEST_LEAD_BPM or unit == 64:
            return [TempoEvent(bar=0, tempo_bpm=tempo, time_signature=_plain(count, unit))], 1, 0
    raise AssertionError("unreachable")


def _plain(count: int, unit: int) -> tuple[int, int]:
    """3/4 rather than 6/8 for a bar of whole quarters."""
    return (count // 2, 4) if unit == 8 and count % 2 == 0 else (count, unit)


def _merged(lines: NDArray[np.float64], bar: int, metre: tuple[int, int], quarters: float) -> list[TempoEvent]:
    """One event for as many bars as one tempo serves within 5 ms; every event stands exactly on its line."""
    events: list[TempoEvent] = []
    begin = 0
    while begin < len(lines) - 1:
        end = begin + 1
        while end + 1 < len(lines) and _straight(lines[begin : end + 2]):
            end += 1
        tempo = (end - begin) * quarters * 60.0 / float(lines[end] - lines[begin])
        events.append(TempoEvent(bar=bar + begin, tempo_bpm=tempo, time_signature=metre))
        begin = end
    return events


def _straight(lines: NDArray[np.float64]) -> bool:
    even = np.linspace(lines[0], lines[-1], len(lines))
    return bool(np.abs(lines - even).max() <= MERGE_S)


def with_downbeat(grid: Grid, downbeat_s: float) -> Grid:
    """The grid with a bar line at `downbeat_s`: a steady grid is moved there as a whole."""
    nearest = int(np.abs(grid.beats_s - downbeat_s).argmin())
    if not grid.constant:
        return replace(grid, first_downbeat=nearest % grid.beats_per_bar, downbeat_confidence=1.0)
    period = 60.0 / grid.bpm
    count = int((downbeat_s + STRETCHED_S) // period)
    beats = np.arange(downbeat_s - count * period, float(grid.beats_s[-1]) + period / 2.0, period)
    return replace(grid, beats_s=beats, first_downbeat=count % grid.beats_per_bar, downbeat_confidence=1.0)


def plain_grid(bpm: float, downbeat_s: float, length_s: float, beats_per_bar: int = 4) -> Grid:
    """A grid that a person gave whole; nothing is heard."""
    period = 60.0 / bpm
    count = int((downbeat_s + STRETCHED_S) // period)
    beats = np.arange(downbeat_s - count * period, max(length_s, downbeat_s + 2 * beats_per_bar * period), period)
    return Grid(
        beats_s=beats,
        bpm=bpm,
        constant=True,
        ternary=False,
        beats_per_bar=beats_per_bar,
        first_downbeat=count % beats_per_bar,
        confidence=1.0,
        downbeat_confidence=1.0,
    )


def tapped(taps_s: Sequence[float]) -> tuple[float, float]:
    """Tempo and first downbeat of taps on beats, the first on a downbeat: a straight line through them."""
    slope, start = np.polyfit(np.arange(len(taps_s)), np.array(taps_s), 1)
    return 60.0 / float(slope), float(start)
