"""Tempo and metre along a session: events on bar lines, between which the tempo stands still.

Bars count from 0 here and from 1 for people; a tempo is in quarter notes a minute whatever the metre. The first event
stands on bar 0, which is the start of the session: audio is never moved, the bars come to it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

SLOWEST_BPM, FASTEST_BPM = 1.0, 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoEvent:
    """From the beginning of `bar` on: `tempo_bpm` quarter notes a minute, bars of `time_signature`."""

    bar: int
    tempo_bpm: float
    time_signature: tuple[int, int] = (4, 4)

    @property
    def bar_quarters(self) -> float:
        """The length of one bar in quarter notes."""
        return self.time_signature[0] * 4.0 / self.time_signature[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An event with where it lies."""

    event: TempoEvent
    time_s: float
    quarters: float


class TempoMap:
    """Bars, quarter notes and seconds of a row of events. Raises ValueError for a row that is none."""

    def __init__(self, events: Sequence[TempoEvent]) -> None:
        fault = tempo_fault(events)
        if fault:
            raise ValueError(fault)
        self.placed: tuple[Placed, ...] = tuple(_place(events))
        self._times = [each.time_s for each in self.placed]
        self._quarters = [each.quarters for each in self.placed]
        self._bars = [each.event.bar for each in self.placed]

    @property
    def changes(self) -> bool:
        """Whether there is more than one tempo and metre."""
        return len(self.placed) > 1

    def bar_s(self, bar: float) -> float:
        """The time of a bar, counted from 0; 1.5 is the middle of the second."""
        at = self.placed[max(0, bisect_right(self._bars, bar) - 1)]
        return at.time_s + (bar - at.event.bar) * at.event.bar_quarters * 60.0 / at.event.tempo_bpm

    def bar(self, time_s: float) -> float:
        """The inverse of `bar_s`."""
        at = self.placed[max(0, bisect_right(self._times, time_s) - 1)]
        return at.event.bar + (time_s - at.time_s) * at.event.tempo_bpm / 60.0 / at.event.bar_quarters

    def quarters(self, time_s: float) -> float:
        """How many quarter notes lie before a time."""
        at = self.placed[max(0, bisect_right(self._times, time_s) - 1)]
        return at.quarters + (time_s - at.time_s) * at.event.tempo_bpm / 60.0

    def time_s(self, quarters: float) -> float:
        """The inverse of `quarters`."""
        at = self.placed[max(0, bisect_right(self._quarters, quarters) - 1)]
        return at.time_s + (quarters - at.quarters) * 60.0 / at.event.tempo_bpm

    def bar_lines_s(self, end_s: float) -> Iterator[float]:
        """The time of every bar that begins before `end_s`."""
        bar = 0
        while (time_s := self.bar_s(bar)) < end_s:
            yield time_s
            bar += 1


def tempo_fault(events: Sequence[TempoEvent]) -> str:
    """What is wrong with a row of events, or nothing."""
    if not events or events[0].bar != 0:
        return "the first tempo must stand on the first bar"
    for before, event in pairwise(events):
        if event.bar <= before.bar:
            return f"the tempo of bar {event.bar + 1} stands behind that of bar {before.bar + 1}"
    for event in events:
        if not (math.isfinite(event.tempo_bpm) and SLOWEST_BPM <= event.tempo_bpm <= FASTEST_BPM):
            return f"a tempo of {event.tempo_bpm:g} BPM; {SLOWEST_BPM:g} to {FASTEST_BPM:g} are possible"
        beats, unit = event.time_signature
        if not 1 <= beats <= 128 or unit not in (1, 2, 4, 8, 16, 32, 64):
            return f"a metre of {beats}/{unit}"
    return ""


def _place(events: Sequence[TempoEvent]) -> Iterator[Placed]:
    time_s, quarters = 0.0, 0.0
    for index, event in enumerate(events):
        if index:
            before = events[index - 1]
            passed = (event.bar - before.bar) * before.bar_quarters
            time_s, quarters = time_s + passed * 60.0 / before.tempo_bpm, quarters + passed
        yield Placed(event=event, time_s=time_s, quarters=quarters)
