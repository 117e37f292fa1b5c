"""A real, headless Ardour with its OSC server on, for tests and measurements."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from daw_bridge.model import SessionPlan
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, environment

OSC_ON = '<ControlProtocols><Protocol name="Open Sound Control (OSC)" active="1" remote-port="0"/></ControlProtocols>'
SERVER = Path(__file__).resolve().parent.parent / "tests" / "ardour" / "server.lua"


OSC_PORT = 3819
ATTEMPTS = 4


@contextmanager
def _alone(wait_s: float = 120.0) -> Iterator[None]:
    """Wait until nobody else's Ardour holds the port: a second one would silently take the next, and we the first."""
    import fcntl

    with (Path(tempfile.gettempdir()) / "daw-bridge-ardour-osc.lock").open("w") as lock:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("", OSC_PORT))
                break
            except OSError:
                assert time.monotonic() < end, f"UDP port {OSC_PORT} is taken, perhaps by another Ardour"
                time.sleep(0.5)
        yield


@contextmanager
def ardour_with_osc(ardour: Ardour, plan: SessionPlan, folder: Path) -> Iterator[Path]:
    """Write the plan into `folder` and keep Ardour running with it on UDP port 3819; the session file."""
    report = ADAPTER.write(plan, folder, "Song")
    file = report.files[0]
    file.write_text(file.read_text("utf-8").replace("</Session>", f"{OSC_ON}</Session>"), "utf-8")
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache")}
    stop, log_file = folder / "stop", folder / "log.txt"
    command = [ardour.lua, SERVER, report.session_path, "Song", stop]
    with _alone(), log_file.open("w") as log:
        server = _started(command, log, log_file, environment() | home)
        try:
            yield file
        finally:
            stop.touch()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _started(command: list[object], log: TextIO, log_file: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Ardour with the session open. Its tools crash now and then while they start; that is tried again."""
    for _ in range(ATTEMPTS):
        log.truncate(0)
        log.seek(0)
        server = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env
        )
        end = time.monotonic() + 240.0
        while server.poll() is None:
            if "READY" in log_file.read_text():
                return server
            if time.monotonic() > end:
                server.kill()
                server.wait()
                raise AssertionError("Ardour did not start")
            time.sleep(0.1)
    raise AssertionError(f"Ardour ended {ATTEMPTS} times while it started: {log_file.read_text()}")
