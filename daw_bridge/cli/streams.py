"""Standard streams that may be closed, full or gone: what cannot be said never ends the work, nor hides how it went.

A stream that is closed when the program starts becomes the null device: else the next file that is opened takes its
number, and what a library prints goes into it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


def open_closed() -> None:
    """Give the three streams that are closed somewhere to go."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))


class OutputLost(OSError):
    """What a command says cannot be written: its reader went away (EPIPE), or the disk is full."""


class Telling:
    """Standard output, whose failures are told from those of files and sockets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as exc:
            return self._failed(exc, text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as exc:
            self._failed(exc, "")

    def _failed(self, exc: OSError, _text: str) -> int:
        silence(self._stream)
        raise OutputLost(exc.errno, exc.strerror) from exc


class Forgiving(Telling):
    """A text stream whose reader may go away: what is written after that is dropped."""

    def _failed(self, exc: OSError, text: str) -> int:  # noqa: ARG002  as above
        silence(self._stream)
        return len(text)


@contextmanager
def forgiving_stdout() -> Iterator[None]:
    """While work is done, a reader of its lines that goes away (`| head -1`) does not end it."""
    before = sys.stdout
    sys.stdout = cast("TextIO", Forgiving(before))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before


def silence(stream: TextIO) -> None:
    """Send what a stream still holds, and all that comes, nowhere."""
    try:
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
    except (OSError, ValueError):
        pass
