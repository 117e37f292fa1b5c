"""Who gets which song, what is tried again, and when a run stops. Any engine is a `Crew`.

A song that was there when its worker died is a suspect: if the machine went away it is tried again for free; if the
machine lives the song is charged and tried again alone, and after three charged tries it is set aside as failed, so
that one poisonous file never ends a run. A worker that takes longer than the deadline is ended, and its song is tried
elsewhere: the commit decides who was first.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, assert_never

from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import PlannedSong
from daw_bridge.errors import CatalogStopped
from daw_bridge.progress import CancelToken

MAX_TRIES = 3
MAX_FATAL = 5
_RECENT = 1000
_RECENT_ENOUGH = 100
_MOST_FAILED = 0.05


@dataclass(frozen=True, slots=True)
class Event:
    """What a crew tells: a worker is `ready` for `room` songs at once, has `ended` one, is `gone` (`node_gone`: with
    its machine), or is `unable` to start."""

    worker: int
    kind: Literal["ready", "ended", "gone", "node_gone", "unable"]
    outcome: Outcome | None = None
    reason: str = ""
    room: int = 1


class Crew(Protocol):
    """Workers of an engine, numbered from 0. One that dies or cannot start is started again by its crew."""

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
    worker: int | None = None
    suspect: bool = False


@dataclass(slots=True)
class Dispatcher:
    """Hands the songs to a crew until all are settled."""

    crew: Crew
    on_outcome: Callable[[Outcome], None]
    deadline_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter)
    _running: dict[int, dict[str, _Song]] = field(default_factory=dict)
    _room: dict[int, int] = field(default_factory=dict)
    _again: deque[_Song] = field(default_factory=deque)
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _unable: int = 0

    def run(self, songs: Iterator[PlannedSong], cancel: CancelToken) -> Counter[str]:
        """All songs, bounded in flight. Raises CatalogStopped, Cancelled."""
        fresh = iter(songs)
        more = True
        while True:
            more = self._hand_out(fresh, more=more)
            if not (any(self._running.values()) or self._again or more):
                return self.counts
            for event in self.crew.wait(1.0):
                self._take(event)
            self._end_the_late()
            cancel.check()

    def _hand_out(self, fresh: Iterator[PlannedSong], *, more: bool) -> bool:
        """Fill the workers that are up; whether there may be more songs."""
        for worker in sorted(self._room, key=lambda each: len(self._running.get(each, ()))):
            running = self._running.setdefault(worker, {})
            while len(running) < self._room[worker] and not any(song.suspect for song in running.values()):
                song = self._next_again(worker, empty=not running)
                if song is None:
                    if not more or (running and any(each.suspect for each in self._again)):
                        break  # with a suspect in line this worker runs empty, so that the suspect goes alone
                    if (planned := next(fresh, None)) is None:
                        more = False
                        break
                    song = _Song(planned)
                song.begun_s, song.worker = self.clock(), worker
                running[song.planned.key] = song
                self.crew.give(worker, song.planned)
        return more

    def _next_again(self, worker: int, *, empty: bool) -> _Song | None:
        """A song to try again, on another worker than before where there is one: the fault may be the machine's."""
        for song in self._again:
            if (empty or not song.suspect) and (song.worker != worker or len(self._room) == 1):
                self._again.remove(song)
                return song
        return None

    def _take(self, event: Event) -> None:
        match event.kind:
            case "ready":
                self._unable = 0
                self._room[event.worker] = event.room
            case "ended":
                running = self._running.get(event.worker, {})
                if event.outcome is not None and (song := running.pop(event.outcome.song.key, None)) is not None:
                    self._settle_or_retry(song, event.outcome)
            case "gone" | "node_gone":
                self.counts["workers lost"] += 1
                was_up = self._room.pop(event.worker, None) is not None
                for song in self._running.pop(event.worker, {}).values():
                    if event.kind == "node_gone":
                        self._again.append(song)
                    else:
                        self._charge(song, event.reason or "its worker process died", suspect=True)
                if not was_up and event.kind == "gone":
                    self._cannot_start(event.reason)
            case "unable":
                self._cannot_start(event.reason)
            case _:
                assert_never(event.kind)

    def _cannot_start(self, reason: str) -> None:
        self._unable += 1
        if self._unable >= MAX_FATAL and not self._room:
            raise CatalogStopped(f"no worker can start: {reason}")

    def _settle_or_retry(self, song: _Song, outcome: Outcome) -> None:
        if outcome.state == "retry":
            self._charge(song, outcome.error, suspect=False, last=outcome)
            return
        self._settle(outcome)
        if self.counts["fatal"] >= MAX_FATAL:
            raise CatalogStopped(f"stopped, since every song would fail so: {outcome.error}")

    def _charge(self, song: _Song, reason: str, *, suspect: bool, last: Outcome | None = None) -> None:
        song.tries += 1
        song.suspect = suspect
        if song.tries < MAX_TRIES:
            self.counts["retried"] += 1
            self._again.append(song)
        else:
            reason = f"{song.tries} tries: {reason}"
            self._settle(replace(last or Outcome(song=song.planned, state="failed"), state="failed", error=reason))

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
        for worker, running in list(self._running.items()):
            late = [song for song in running.values() if now - song.begun_s > self.deadline_s]
            if not late:
                continue
            self.counts["late"] += len(late)
            self._room.pop(worker, None)
            del self._running[worker]
            self.crew.restart(worker)
            for song in running.values():
                if song in late:
                    self._charge(song, f"took longer than {self.deadline_s:g} s", suspect=True)
                else:
                    self._again.append(song)  # it was only beside a late one
