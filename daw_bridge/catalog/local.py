"""Workers as processes of this machine: a song that kills its process ends neither the run nor the others."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock
from typing import Any

from daw_bridge.catalog.dispatch import Event
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import Plan, PlannedSong
from daw_bridge.errors import DawBridgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """What a worker needs to begin; travels to its process."""

    plan: Plan
    out_url: str
    device: str = "auto"
    scratch: Path | None = None


class LocalCrew:
    """A crew of processes, each with a model of its own."""

    def __init__(self, order: WorkerOrder, size: int) -> None:
        self._order = order
        self._context = get_context("spawn")
        self._workers: list[tuple[BaseProcess, Any]] = [self._start() for _ in range(size)]

    @property
    def size(self) -> int:
        return len(self._workers)

    def give(self, worker: int, song: PlannedSong) -> None:
        with suppress(OSError):  # it has just died: `wait` tells
            self._workers[worker][1].send(song)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        places: dict[Any, int] = {pipe: number for number, (_, pipe) in enumerate(self._workers)}
        return [self._event(places[pipe], pipe) for pipe in wait(list(places), timeout_s)]

    def restart(self, worker: int) -> None:
        self._end(worker)
        self._workers[worker] = self._start()

    def close(self) -> None:
        for worker in range(self.size):
            self._end(worker)

    def _event(self, worker: int, pipe: Any) -> Event:
        try:
            said = pipe.recv()
        except (EOFError, OSError):
            process = self._workers[worker][0]
            process.join()
            code = process.exitcode or 0
            reason = (
                f"its worker process was ended by {signal.Signals(-code).name}"
                if code < 0
                else f"its worker ended with {code}"
            )
            self._workers[worker] = self._start()
            return Event(worker, "gone", reason=reason)
        if isinstance(said, Outcome):
            return Event(worker, "ended", outcome=said)
        if isinstance(said, int):
            return Event(worker, "ready", room=said)
        self.restart(worker)
        return Event(worker, "unable", reason=str(said))

    def _start(self) -> tuple[BaseProcess, Any]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._order, theirs), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def _end(self, worker: int) -> None:
        process, pipe = self._workers[worker]
        pipe.close()
        process.kill()
        process.join()


def _work(order: WorkerOrder, pipe: Any) -> None:
    """The process: how many songs it has room for, or why none; then songs in, outcomes out, until the pipe closes."""
    from daw_bridge.catalog.worker import SongWorker  # the driver itself separates nothing

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's
    try:
        worker = SongWorker(order.plan, order.out_url, device=order.device, scratch=order.scratch)
    except DawBridgeError as exc:
        pipe.send(str(exc))
        return
    speaking = Lock()

    def process(song: PlannedSong) -> None:
        outcome = worker.process(song)
        with speaking, suppress(OSError):
            pipe.send(outcome)

    pipe.send(worker.room)
    with ThreadPoolExecutor(worker.room, thread_name_prefix="song") as pool, suppress(EOFError, OSError):
        while True:
            pool.submit(process, pipe.recv())
    worker.close()
