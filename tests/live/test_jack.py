"""The whole live chain on a real audio server: an impulse goes into JACK, through `daw-bridge live`, and is timed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.daw

ROOT = Path(__file__).resolve().parents[2]
SERVER = f"daw-bridge-test-{os.getpid()}"
RATE_HZ, PERIOD = 44_100, 128


@pytest.fixture
def jack_server() -> Iterator[subprocess.Popen[bytes]]:
    """A JACK server of its own with the dummy driver: no sound card needed."""
    if shutil.which("jackd") is None:
        pytest.skip("no JACK here (Debian: apt install jackd2 libportaudio2)")
    pytest.importorskip("jack", reason="no JACK-Client (dev group)", exc_type=(ImportError, OSError))
    pytest.importorskip("sounddevice", reason="no sounddevice (extra live)", exc_type=(ImportError, OSError))
    command = ["jackd", "-n", SERVER, "--no-realtime", "-d", "dummy", "-r", str(RATE_HZ), "-p", str(PERIOD)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    if server.poll() is not None:
        pytest.skip("the JACK server does not start here")
    try:
        yield server
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def live(jack_server: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "JACK_DEFAULT_SERVER": SERVER,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "daw_bridge", "live", "--input", "system", "--output", "system",
               "--block", str(PERIOD), "--seconds", "9", "--json"]  # fmt: skip
    program = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield program
    finally:
        program.kill()
        program.wait(10)


class Probe:
    """A JACK client that sends a click every half second and keeps all that comes back."""

    def __init__(self, server: str) -> None:
        import jack

        self.client = jack.Client("probe", servername=server, no_start_server=True)
        self.out = self.client.outports.register("out")
        self.back = self.client.inports.register("in")
        self.sent: list[int] = []
        self.heard: list[np.ndarray] = []
        self.frames = 0
        self.client.set_process_callback(self._process)

    def _process(self, frames: int) -> None:
        block = np.zeros(frames, np.float32)
        if self.frames // (RATE_HZ // 2) != (self.frames + frames) // (RATE_HZ // 2):
            block[7] = 0.5
            self.sent.append(self.frames + 7)
        self.out.get_array()[:] = block
        self.heard.append(self.back.get_array().copy())
        self.frames += frames

    def wire(self, deadline_s: float = 60.0) -> None:
        """Wait for the program's ports and put the probe in the place of the sound card."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            ins = self.client.get_ports("PortAudio.*", is_input=True, is_audio=True)
            outs = self.client.get_ports("PortAudio.*", is_output=True, is_audio=True)
            if len(ins) == 2 and len(outs) == 2:
                for port in (*ins, *outs):
                    for other in self.client.get_all_connections(port):
                        pair = (other, port) if port in ins else (port, other)
                        self.client.disconnect(*pair)
                for port in ins:
                    self.client.connect(self.out, port)
                self.client.connect(outs[0], self.back)
                return
            time.sleep(0.1)
        raise AssertionError("daw-bridge live never opened its JACK ports")


def test_an_impulse_through_jack_comes_back_within_50_ms(live: subprocess.Popen[str]) -> None:
    probe = Probe(SERVER)
    with probe.client:
        probe.wire()
        time.sleep(4)
        sent = list(probe.sent)
    audio = np.abs(np.concatenate(probe.heard))
    delays = []
    for position in sent:
        window = audio[position : position + RATE_HZ // 4]
        if window.size == RATE_HZ // 4 and window.max() > 0.1:
            delays.append(int(window.argmax()))
    assert len(delays) >= 3, "no click came back"
    delay_ms = 1e3 * float(np.median(delays)) / RATE_HZ
    output, errors = live.communicate(timeout=60)
    assert live.returncode == 0, errors
    answer = json.loads(output.strip().splitlines()[-1])
    print(f"JACK loop: {delay_ms:.1f} ms measured ({delays} samples), {answer}")
    assert answer["host_ms"] <= delay_ms < 50.0


def test_a_server_that_dies_ends_the_command_with_one_line(
    jack_server: subprocess.Popen[bytes], live: subprocess.Popen[str]
) -> None:
    """The same as a card that is unplugged."""
    probe = Probe(SERVER)
    with probe.client:
        probe.wire()
    jack_server.kill()
    _, errors = live.communicate(timeout=60)
    ours = [line for line in errors.splitlines() if line.startswith("daw-bridge:")]
    assert live.returncode == 8, errors
    assert len(ours) == 1
    assert "went away" in ours[0]
    assert "Traceback" not in errors
