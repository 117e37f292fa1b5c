"""The example with python-osc, a real client that shares no code with the daemon, against the daemon."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.mixer import MixerAddress
from tests.osc.simulated_daw import SimulatedDaw, slashes

EXAMPLE = Path(__file__).parents[2] / "examples" / "osc_remote.py"


def run(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *arguments, str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_the_remote_of_the_examples_moves_a_fader_and_says_what_is_wrong(make_daemon: Callable[..., Any]) -> None:
    pytest.importorskip("pythonosc")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        reply_port = int(probe.getsockname()[1])
    daw = SimulatedDaw(slashes, ["vocals", "drums"], reply_port=reply_port)
    try:
        address = MixerAddress(port=daw.port, reply_port=reply_port)
        port = make_daemon(mixers={"reaper": address}).port
        ended = run(port, "reaper", "vocals", "-6")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert daw.values[1, "volume/db"] == -6.0
        assert "/dawbridge/reply fader /dawbridge/stem/vocals/gain_db -6.0" in ended.stdout
        wrong = run(port, "reaper", "violin", "-6")
        assert wrong.returncode == 1 and "the DAW has no stem called 'violin'" in wrong.stdout
    finally:
        daw.close()
