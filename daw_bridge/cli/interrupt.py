"""Ctrl-C from the first moment on. Imports next to nothing, so that it is in place before anything slow is loaded.

While the program loads, nothing of the user's is half done, and a library that is being imported may swallow the
exception or turn it into another one: so Ctrl-C ends the process at once. Later it raises KeyboardInterrupt, which
cleans up, and is remembered. `daw_bridge.cli.console.working` replaces both while a command works.
"""

import os
import signal
import sys
from types import FrameType

EXIT_CODE = 130
_loading, _seen = False, False


def leave_at_once() -> None:
    """From now on until `loaded()`: Ctrl-C ends the process. Left alone where Ctrl-C is ignored or somebody else's."""
    global _loading  # noqa: PLW0603  (a signal handler has nothing but globals)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        _loading = True
        signal.signal(signal.SIGINT, _on_interrupt)


def loaded() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt."""
    global _loading  # noqa: PLW0603
    _loading = False


def seen() -> bool:
    """Whether Ctrl-C was pressed, whatever became of its exception."""
    return _seen


def leave(code: int) -> int:
    """End the process with exactly this exit code, once all that was printed is out; never comes back."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or there is none
            pass
    os._exit(code)


def _on_interrupt(_number: int, _frame: FrameType | None) -> None:
    global _seen  # noqa: PLW0603
    _seen = True
    if _loading:
        if sys.stderr is not None:
            os.write(2, b"daw-bridge: cancelled\n")
        os._exit(EXIT_CODE)
    raise KeyboardInterrupt
