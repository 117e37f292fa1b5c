"""Faults on purpose in worker processes, for tests: read by Python at its start, from PYTHONPATH.

DAW_BRIDGE_TEST_FAULTS names a folder. A worker that fetches `poison.wav` kills itself, as a decoder with a fault would.
The file `gate` holds a number: so many songs pass, whichever come first; others say that they wait, until the file
`open` is there. With DAW_BRIDGE_TEST_NO_RAY nothing imports Ray.
"""

import os
import pathlib
import re
import signal
import sys
import time

if os.environ.get("DAW_BRIDGE_TEST_NO_RAY"):
    sys.modules["ray"] = None  # type: ignore[assignment]

_faults = os.environ.get("DAW_BRIDGE_TEST_FAULTS")
_command = " ".join(getattr(sys, "orig_argv", []))


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str) or "w" not in str(arguments[1]):
        return
    name = os.path.basename(arguments[0])  # noqa: PTH119
    if name == "poison.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    if re.fullmatch(r"song-\d+\.wav", name):
        _pass_or_wait(pathlib.Path(str(_faults)), name)


def _pass_or_wait(folder: pathlib.Path, name: str) -> None:
    try:
        passes = int((folder / "gate").read_text())
    except (OSError, ValueError):
        return
    for number in range(passes):
        try:
            os.close(os.open(folder / f"passed-{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return
    (folder / f"waits-{name}").touch()
    while not (folder / "open").exists():
        time.sleep(0.05)


if _faults and ("default_worker.py" in _command or "spawn_main" in _command):
    sys.addaudithook(_hook)
