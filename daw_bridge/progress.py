"""One progress event, one callable, one cancellation token. Bars and printing live in the command line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from daw_bridge.errors import Cancelled

Stage = Literal["decode", "load", "separate", "residual", "verify", "archive", "build", "render", "evaluate", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a stage is: `done` of `total` in units that only the ratio matters of; `note` is for a person.

    `done` never goes back within a stage.
    """

    stage: Stage
    done: int
    total: int
    note: str = ""


_PERCENTS = (
    ("decode", 3.0),
    ("load", 5.0),
    ("separate", 80.0),
    ("residual", 3.0),
    ("verify", 3.0),
    ("archive", 3.0),
    ("build", 3.0),
)
"""The stages of a build in their order, and what each takes of it on a CPU; only a bar's evenness hangs on it."""


def percent_of_build(stage: str, done: float, total: float) -> float | None:
    """How far the whole build is, 0 to 100; None for what is no stage of one."""
    before = 0.0
    for name, percent in _PERCENTS:
        if name == stage:
            return before + percent * (min(1.0, max(0.0, done / total)) if total > 0 else 0.0)
        before += percent
    return None


OnProgress = Callable[[Progress], None]


def ignore_progress(_event: Progress) -> None:
    """The default listener."""


class CancelToken:
    """Set from anywhere (a signal handler, the daemon); long work calls `check()` between blocks."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` once `cancel()` was called."""
        if self._event.is_set():
            raise Cancelled
