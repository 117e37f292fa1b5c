"""What C libraries print by themselves (libmpg123, FFmpeg, torch's kernels): kept off the terminal.

They write to file descriptor 2, below Python. While a command works, our own lines go to a copy of it, and the
descriptor itself leads nowhere. What a library complains of is in our words by then: an error with its place, or a
remark. With -v nothing is held back.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO, cast

from daw_bridge.cli.streams import Forgiving

_STDERR = 2


@contextlib.contextmanager
def kept_off_stderr(*, verbose: bool) -> Iterator[None]:
    """For the time of the block file descriptor 2 leads nowhere, and `sys.stderr` still to where it led."""
    if verbose or sys.__stderr__ is None:  # started without one: the descriptor may be any file's by now
        yield
        return
    real = os.dup(_STDERR)
    before, own = sys.stderr, _rewired(sys.stderr, real)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  a device, by its descriptor
            os.dup2(nowhere.fileno(), _STDERR)
        if own is not None:
            sys.stderr = own
        yield
    finally:
        if own is not None:
            sys.stderr = before
            with contextlib.suppress(OSError, ValueError):
                own.flush()
        os.dup2(real, _STDERR)
        if own is None:
            os.close(real)
        else:
            with contextlib.suppress(OSError, ValueError):
                own.close()


def _rewired(stream: TextIO | None, descriptor: int) -> TextIO | None:
    """The same kind of stream on another descriptor; None where it does not write to file descriptor 2."""
    try:
        if stream is None or stream.fileno() != _STDERR:
            return None
        stream.flush()
    except (OSError, ValueError):
        return None
    own = os.fdopen(descriptor, "w", encoding=stream.encoding, errors=stream.errors, buffering=1, newline=None)
    return cast("TextIO", Forgiving(own))
