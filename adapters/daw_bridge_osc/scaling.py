"""From the field's units to what a DAW wants on the wire, and back again for its feedback.

Each scale is monotonic and reversible. Values outside what the DAW takes are refused, not clamped: a clamped fader is a
wrong mix that nobody notices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from daw_bridge.errors import UsageError
from daw_bridge.units import db_to_linear, interpolate, linear_to_db, octaves_to_q, q_to_octaves


class Scale(Protocol):
    """One way of writing a value."""

    def to_wire(self, value: float) -> float:
        """The DAW's number. Raises UsageError when the DAW has none for this value."""
        ...

    def from_wire(self, number: float) -> float:
        """The value that the DAW means."""
        ...


def _inside(value: float, low: float, high: float, slack: float = 1e-9) -> float:
    low, high = min(low, high), max(low, high)
    if not low - slack <= value <= high + slack:
        raise UsageError(f"{value:g} is out of this DAW's range, {low:g} to {high:g}")
    return min(high, max(low, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The number itself, from `low` to `high`."""

    low: float
    high: float

    def to_wire(self, value: float) -> float:
        return _inside(value, self.low, self.high)

    def from_wire(self, number: float) -> float:
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """`low`..`high` of the field to `wire_low`..`wire_high` of the DAW (which may run backwards)."""

    low: float
    high: float
    wire_low: float = 0.0
    wire_high: float = 1.0

    def to_wire(self, value: float) -> float:
        share = (_inside(value, self.low, self.high) - self.low) / (self.high - self.low)
        return self.wire_low + share * (self.wire_high - self.wire_low)

    def from_wire(self, number: float) -> float:
        share = (number - self.wire_low) / (self.wire_high - self.wire_low)
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logarithmic:
    """Like Linear, in equal ratios: for frequencies. All of `low`, `high` above 0."""

    low: float
    high: float
    wire_low: float = 0.0
    wire_high: float = 1.0

    def to_wire(self, value: float) -> float:
        share = math.log(_inside(value, self.low, self.high) / self.low) / math.log(self.high / self.low)
        return self.wire_low + share * (self.wire_high - self.wire_low)

    def from_wire(self, number: float) -> float:
        share = (number - self.wire_low) / (self.wire_high - self.wire_low)
        return self.low * math.pow(self.high / self.low, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaderLaw:
    """A fader's law as points (dB, position), rising; straight lines between them. Below the first point is silence."""

    points: tuple[tuple[float, float], ...]

    def to_wire(self, value: float) -> float:
        lowest, highest = self.points[0][0], self.points[-1][0]
        if value <= lowest:
            return self.points[0][1]
        return interpolate(self.points, _inside(value, lowest, highest))

    def from_wire(self, number: float) -> float:
        mirrored = tuple((position, level_db) for level_db, position in self.points)
        return interpolate(mirrored, min(mirrored[-1][0], max(mirrored[0][0], number)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """gain = (position / wire_high) ** exponent * top; `top_db` is the level of the fader at its top."""

    exponent: float
    top_db: float
    wire_high: float = 1.0

    def to_wire(self, value: float) -> float:
        gain_linear = db_to_linear(_inside(value, -math.inf, self.top_db, slack=1e-3) - self.top_db)
        return self.wire_high * math.pow(gain_linear, 1.0 / self.exponent)

    def from_wire(self, number: float) -> float:
        return linear_to_db(math.pow(max(0.0, number / self.wire_high), self.exponent)) + self.top_db


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplitude:
    """dB to a linear gain, up to `top_db`."""

    top_db: float

    def to_wire(self, value: float) -> float:
        return db_to_linear(_inside(value, -math.inf, self.top_db))

    def from_wire(self, number: float) -> float:
        return linear_to_db(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Octaves:
    """Q to bandwidth in octaves."""

    low: float = 0.01
    high: float = 4.0

    def to_wire(self, value: float) -> float:
        return _inside(q_to_octaves(value), self.low, self.high)

    def from_wire(self, number: float) -> float:
        return octaves_to_q(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggle:
    """A switch as two numbers."""

    on: float = 1.0
    off: float = 0.0

    def to_wire(self, value: float) -> float:
        return self.on if value >= 0.5 else self.off

    def from_wire(self, number: float) -> float:
        return 1.0 if abs(number - self.on) < abs(number - self.off) else 0.0
