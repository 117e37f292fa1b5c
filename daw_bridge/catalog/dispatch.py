"""Who gets which song, what is tried again, and when a run stops. Any engine is a `Crew`.

A song that was there when its worker died is a suspect: if the machine went away it is tried again for free; if the
machine lives the song is charged, and after three charged tries it is set aside as failed, so that one poisonous file
never ends a run. A worker that takes longer than the deadline is ended, and its song is tried elsewhere: the commit
decides who was first.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from daw_bridge.catalog.plan import PlannedSong
from daw_bridge.catalog.worker import Outcome
from daw_bridge.errors import CatalogStopped
from daw_bridge.progress import CancelToken

MAX_TRIES = 3
MAX_FATAL = 5
_RECENT = 1000
_RECENT_ENOUGH = 100
_MOST_FAILED = 0.05


@dataclass(frozen=True, slots=True)
class Event:
    """What a crew tells: a worker is `ready`, has `ended` a song, or is `gone` (`node_gone`: with its machine)."""

    worker: int
    kind: Literal["ready", "ended", "gone", "node_gone", "unable"]
    outcome: Outcome | None = None
    reason: str = ""


class Crew(Protocol):
    """Workers of an engine, numbered from 0. Each does one song at a time and is started again when it dies."""

    @property
    def size(self) -> int: ...

    def give(self, worker: int, song: PlannedSong) -> None: ...

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What happened, at least one event or the time is over."""
        ...

    def restart(self, worker: int) -> None:
        """End a worker by force and start it again."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Song:
    planned: PlannedSong
    tries: int = 0
    begun_s: float = 0.0


@dataclass(slots=True)
class Dispatcher:
    """Hands the songs to a crew until all are settled."""

    crew: Crew
    on_outcome: Callable[[Outcome], None]
    deadline_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter)
    _running: dict[int, _Song] = field(default_factory=dict)
    _idle: set[int] = field(default_factory=set)
    _again: deque[_Song] = field(default_factory=deque)
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _unable: int = 0

    def run(self, songs: Iterator[PlannedSong], cancel: CancelToken) -> Counter[str]:
        """All songs, bounded in flight. Raises CatalogStopped, Cancelled."""
        fresh = iter(songs)
        more = True
        while True:
            more = self._hand_out(fresh, more=more)
            if not (self._running or self._again or more):
                return self.counts
            for event in self.crew.wait(1.0):
                self._take(event)
            self._end_the_late()
            cancel.check()

    def _hand_out(self, fresh: Iterator[PlannedSong], *, more: bool) -> bool:
        for worker in sorted(self._idle):
            if self._again:
                song = self._again.popleft()
            elif more and (planned := next(fresh, None)) is not None:
                song = _Song(planned)
            else:
                return False
            self._idle.discard(worker)
            song.begun_s = self.clock()
            self._running[worker] = song
            self.crew.give(worker, song.planned)
        return more

    def _take(self, event: Event) -> None:
        match event.kind:
            case "ready":
                self._idle.add(event.worker)
            case "ended":
                song = self._running.pop(event.worker, None)
                self._idle.add(event.worker)
                if song is not None and event.outcome is not None:
                    self._settle_or_retry(song, event.outcome)
            case "gone" | "node_gone":
                self._idle.discard(event.worker)
                self.counts["workers lost"] += 1
                if (song := self._running.pop(event.worker, None)) is None:
                    return
                if event.kind == "node_gone":
                    self._again.append(song)
                else:
                    self._charge(song, event.reason or "its worker process died")
            case "unable":
                self._unable += 1
                if self._unable >= MAX_FATAL:
                    raise CatalogStopped(f"no worker can start: {event.reason}")

    def _settle_or_retry(self, song: _Song, outcome: Outcome) -> None:
        if outcome.state == "retry":
            self._charge(song, outcome.error)
            return
        self._settle(outcome)
        if self.counts["fatal"] >= MAX_FATAL:
            raise CatalogStopped(f"stopped, since every song would fail so: {outcome.error}")

    def _charge(self, song: _Song, reason: str) -> None:
        song.tries += 1
        if song.tries < MAX_TRIES:
            self.counts["retried"] += 1
            self._again.append(song)
        else:
            reason = f"{song.tries} tries: {reason}"
            self._settle(Outcome(song=song.planned, state="failed", error=reason))

    def _settle(self, outcome: Outcome) -> None:
        self.counts[outcome.state] += 1
        self._recent.append(outcome.state == "failed")
        self.on_outcome(outcome)
        failed = sum(self._recent)
        if len(self._recent) >= _RECENT_ENOUGH and failed > _MOST_FAILED * len(self._recent):
            raise CatalogStopped(
                f"stopped: {failed} of the last {len(self._recent)} songs failed; "
                "see 'daw-bridge catalog export', mend the cause, then run again"
            )

    def _end_the_late(self) -> None:
        now = self.clock()
        for worker, song in list(self._running.items()):
            if now - song.begun_s > self.deadline_s:
                del self._running[worker]
                self.counts["late"] += 1
                self.crew.restart(worker)
                self._charge(replace(song), f"took longer than {self.deadline_s:g} s")
