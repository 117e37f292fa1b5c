"""The process between the daemon and a job: runs one command, ends it on request, and never outlives the daemon.

Run as `python -m daw_bridge.control.queue.worker COMMAND...`. Its standard input is a pipe from the daemon: a line
`cancel` asks the command to stop (Ctrl-C, then by force after a grace time); the end of the pipe means that the daemon
is gone, however it died, and ends the command at once, so that a restarted daemon finds the song folder free.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

CANCEL_GRACE_S = 15.0


def run(argv: Sequence[str], control: int) -> int:
    """Run `argv` under the orders on the descriptor `control`; its exit code, or 128 + N when signal N killed it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a daemon in the background of a script; `cancel` needs it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_obey, args=(control, child), daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def _obey(control: int, child: subprocess.Popen[bytes]) -> None:
    # Read without a buffer object: the interpreter cannot end while a thread holds one's lock.
    while orders := os.read(control, 1024):
        if b"cancel" in orders:
            _signal(child, signal.SIGINT)
            timer = threading.Timer(CANCEL_GRACE_S, _kill, [child])
            timer.daemon = True
            timer.start()
    _kill(child)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To the whole process group where the system has such groups."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, number)
        else:
            child.terminate()
    except ProcessLookupError:
        pass


def _kill(child: subprocess.Popen[bytes]) -> None:
    _signal(child, getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], sys.stdin.fileno()))
