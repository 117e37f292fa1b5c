"""Ardour's stock plug-ins as data: identifiers, control symbols, ranges and defaults.

From the .ttl files of Ardour 7.3 and 8.12 (they are the same); `docs/adapters.md` has the measured behaviour. What no
stock plug-in can do, `filters.lua` does: its text travels inside the session file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One input control of a plug-in; `symbol` is its LV2 symbol, or its number for a Lua processor."""

    symbol: str
    minimum: float
    maximum: float
    default: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plug-in. `channels` is the width of one instance (-1: any)."""

    name: str
    kind: Literal["lv2", "luaproc"]
    unique_id: str
    channels: int
    controls: tuple[Control, ...] = ()

    def control(self, symbol: str) -> Control:
        """The control of that symbol; KeyError otherwise."""
        for control in self.controls:
            if control.symbol == symbol:
                return control
        raise KeyError(symbol)


def _controls(*rows: tuple[str, float, float, float]) -> tuple[Control, ...]:
    return tuple(Control(symbol=s, minimum=low, maximum=high, default=default) for s, low, high, default in rows)


_ON = ("enable", 0.0, 1.0, 1.0)

EQ = Plugin(
    name="ACE EQ",
    kind="lv2",
    unique_id="urn:ardour:a-eq",
    channels=1,
    controls=_controls(
        ("freql", 20.0, 20000.0, 160.0),
        ("gl", -20.0, 20.0, 0.0),
        *(
            row
            for band, frequency in ((1, 300.0), (2, 1000.0), (3, 2500.0), (4, 6000.0))
            for row in (
                (f"freq{band}", 20.0, 20000.0, frequency),
                (f"g{band}", -20.0, 20.0, 0.0),
                (f"bw{band}", 0.1, 4.0, 1.0),
            )
        ),
        ("freqh", 20.0, 20000.0, 9000.0),
        ("gh", -20.0, 20.0, 0.0),
        ("master", -20.0, 20.0, 0.0),
        *((f"filtog{band}", 0.0, 1.0, 1.0) for band in "l1234h"),
        _ON,
    ),
)

_DYNAMICS = (
    ("att", 0.1, 100.0, 10.0),
    ("rel", 1.0, 2000.0, 80.0),
    ("kn", 0.0, 8.0, 0.0),
    ("rat", 1.0, 20.0, 4.0),
    ("thr", -60.0, 0.0, 0.0),
    ("mak", 0.0, 30.0, 0.0),
    ("sidech", 0.0, 1.0, 0.0),
    _ON,
)

COMPRESSOR = Plugin(
    name="ACE Compressor (stereo)",
    kind="lv2",
    unique_id="urn:ardour:a-comp#stereo",
    channels=2,
    controls=_controls(*_DYNAMICS),
)

EXPANDER = Plugin(
    name="ACE Expander (stereo)",
    kind="lv2",
    unique_id="urn:ardour:a-exp#stereo",
    channels=2,
    controls=_controls(
        ("att", 0.1, 100.0, 0.1),
        ("rel", 1.0, 2000.0, 500.0),
        ("kn", 0.0, 8.0, 0.0),
        ("rat", 1.0, 100.0, 4.0),
        ("thr", -60.0, 0.0, -30.0),
        ("mak", 0.0, 30.0, 0.0),
        ("sidech", 0.0, 1.0, 0.0),
        _ON,
    ),
)

DELAY = Plugin(
    name="ACE Delay",
    kind="lv2",
    unique_id="urn:ardour:a-delay",
    channels=1,
    controls=_controls(
        ("inv", 0.0, 1.0, 0.0),
        ("sync", 0.0, 1.0, 0.0),
        ("time", 1.0, 8000.0, 160.0),
        ("div", 1.0, 48.0, 4.0),
        ("drywet", 0.0, 100.0, 50.0),
        ("feedback", 0.0, 100.0, 20.0),
        ("lpf", 20.0, 20000.0, 6000.0),
        ("gain", -60.0, 20.0, 0.0),
        _ON,
        ("dot", 0.0, 1.0, 0.0),
    ),
)

REVERB = Plugin(
    name="ACE Reverb",
    kind="lv2",
    unique_id="urn:ardour:a-reverb",
    channels=2,
    controls=_controls(("blend", 0.0, 1.0, 0.3), ("roomsz", 0.5, 1.0, 0.5), _ON),
)

STOCK = (EQ, COMPRESSOR, EXPANDER, DELAY, REVERB)

FILTER_BANDS = 4
FILTER_CONTROLS_PER_BAND = 5


@cache
def filter_script() -> str:
    """The Lua text of the filter processor."""
    return files("daw_bridge_ardour").joinpath("filters.lua").read_text(encoding="utf-8")


@cache
def filters() -> Plugin:
    """The filter processor; Ardour names a Lua processor by the sha1 of its text."""
    rows: list[tuple[str, float, float, float]] = []
    for band in range(FILTER_BANDS):
        at = band * FILTER_CONTROLS_PER_BAND
        rows += [
            (str(at), 0.0, 5.0, 4.0),
            (str(at + 1), 5.0, 20000.0, 1000.0),
            (str(at + 2), 0.05, 40.0, 0.707),
            (str(at + 3), -40.0, 40.0, 0.0),
            (str(at + 4), 0.0, 1.0, 0.0),
        ]
    rows.append((str(FILTER_BANDS * FILTER_CONTROLS_PER_BAND), 0.0, 1.0, 1.0))
    return Plugin(
        name="daw-bridge EQ",
        kind="luaproc",
        unique_id=hashlib.sha1(filter_script().encode(), usedforsecurity=False).hexdigest(),
        channels=-1,
        controls=_controls(*rows),
    )
