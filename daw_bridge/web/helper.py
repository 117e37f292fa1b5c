"""Helper processes at low priority for what takes the processor: renders, spectrograms, loudness.

The daemon's loop and its threads stay free for sound; a helper that dies is started anew at the next question.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar, cast

from daw_bridge.errors import DawBridgeError

P = ParamSpec("P")
T = TypeVar("T")


class Helper:
    """One process that answers one question after another; equal questions at the same time are asked once."""

    def __init__(self, niceness: int) -> None:
        self._niceness = niceness
        self._pool: ProcessPoolExecutor | None = None
        self._asked: dict[object, asyncio.Future[object]] = {}

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `question(*args)` returns or raises. The arguments are plain values."""
        key = (question, args, tuple(kwargs.items()))
        future = self._asked.get(key)
        if future is None:
            task: asyncio.Task[object] = asyncio.create_task(self._answer(question, *args, **kwargs))
            future = task
            self._asked[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        return cast("T", await asyncio.shield(future))

    def _forget(self, key: object, done: asyncio.Future[object]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            done.exception()  # looked at, so that a page that left in the meantime makes no noise

    async def _answer(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            pool = self._pool = self._pool or self._start()
            try:
                return await loop.run_in_executor(pool, _call, question, args, kwargs)
            except BrokenProcessPool:
                if self._pool is pool:
                    self._pool = None
        raise DawBridgeError("the helper process died twice at this; is there enough memory?")

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_lower_priority,
            initargs=(self._niceness,),
        )

    def close(self) -> None:
        """End the process; whoever still waits gets an error."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _call(question: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
    return question(*args, **kwargs)


def _lower_priority(niceness: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the daemon, and the daemon ends this process
    if hasattr(os, "nice"):
        os.nice(niceness)
