"""How songs end: what workers tell a driver. Light, since a driver holds thousands and loads no separation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daw_bridge.catalog.plan import PlannedSong

State = Literal["done", "skipped", "lost", "failed", "fatal", "retry"]
"""`lost`: another attempt committed first. `fatal`: every song would fail so. `retry`: this time, or this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt at one song ended; plain data that travels between machines.

    `worker_s` is its share of the time of a worker, which may have several songs in work.
    """

    song: PlannedSong
    state: State
    error: str = ""
    attempt: str = ""
    elapsed_s: float = 0.0
    worker_s: float = 0.0
    audio_s: float = 0.0
    size_bytes: int = 0
    null_depth_db: float = 0.0
    host: str = ""
