"""Large imports, made as quick and as little in the way of other threads as they can be."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TURN_S = 2e-4
_importing = threading.Lock()
"""One import at a time: each changes settings of the interpreter and puts back what it found."""


def import_heavy(module: str) -> None:
    """Import a module that brings torch; waits for a thread that is already doing so."""
    with _importing, _no_garbage_collection(), _short_turns():
        importlib.import_module(module)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads take turns often: else whoever reads audio meanwhile waits 5 ms for the interpreter after every block."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """For a large import: a tenth of the time of `import torch` goes into looking for cycles that are not there."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
