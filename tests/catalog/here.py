"""A crew of one worker in this process, for tests that ask nothing of processes."""

from __future__ import annotations

from daw_bridge.catalog.dispatch import Event
from daw_bridge.catalog.local import WorkerOrder
from daw_bridge.catalog.plan import PlannedSong
from daw_bridge.catalog.worker import SongWorker


class HereCrew:
    """Does each song at once."""

    size = 1

    def __init__(self, order: WorkerOrder, _size: int) -> None:
        self._worker = SongWorker(order.plan, order.out_url, scratch=order.scratch)
        self._events = [Event(0, "ready")]

    def give(self, worker: int, song: PlannedSong) -> None:
        self._events.append(Event(worker, "ended", outcome=self._worker.process(song)))

    def wait(self, timeout_s: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def restart(self, worker: int) -> None:
        raise AssertionError("nothing hangs here")

    def close(self) -> None:
        self._worker.close()
