"""Writing while the next segments are computed: one thread, a short queue, errors handed back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from daw_bridge.separation.engine.separator import FloatArray

_QUEUE_BLOCKS = 4


class BackgroundWriter:
    """Calls `write` with every block, in order, in a thread of its own. An error of it comes out of `put` or the exit.

    Leaving the block waits until everything that was put is written, also when an exception passes through.
    """

    def __init__(self, write: Callable[[FloatArray], None]) -> None:
        self._write = write
        self._queue: queue.Queue[FloatArray | None] = queue.Queue(_QUEUE_BLOCKS)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="write-stems", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()
        if exc is None:
            self._raise_error()

    def put(self, block: FloatArray) -> None:
        self._raise_error()
        self._queue.put(block)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (block := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep taking, so that the producer never waits for a writer that has given up
            try:
                self._write(block)
            except BaseException as exc:  # noqa: BLE001  (it is raised again in the producer's thread)
                self._error = exc
