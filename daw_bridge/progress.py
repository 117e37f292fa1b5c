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
