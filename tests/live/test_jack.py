"""The whole live chain on a real audio server: an impulse goes into JACK, through `daw-bridge live`, and is timed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytestmark = pytest.mark.daw

ROOT = Path(__file__).resolve().parents[2]
SERVER = f"daw-bridge-test-{os.getpid()}"
RATE_HZ, PERIOD = 44_100, 128


@pytest.fixture
def jack_server(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A JACK server of its own with the dummy driver: no sound card needed. Its rate is the test's parameter."""
    if shutil.which("jackd") is None:
        pytest.skip("no JACK here (Debian: apt install jackd2 libportaudio2)")
    pytest.importorskip("jack", reason="no JACK-Client (dev group)", exc_type=cast("Any", (ImportError, OSError)))
    pytest.importorskip(
        "sounddevice", reason="no sounddevice (extra live)", exc_type=cast("Any", (ImportError, OSError))
    )
    command = [
        "jackd",
        "-n",
        SERVER,
        "--no-realtime",
        "-d",
        "dummy",
        "-r",
        str(getattr(request, "param", RATE_HZ)),
        "-p",
        str(PERIOD),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not answers(server):
        pytest.skip("the JACK server does not start here")
    try:
        yield server
    finally:
        if server.poll() is not None:  # killed: only a server of its name gives back its place, one of eight
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            answers(server)
        server.terminate()
        server.wait(240)


def answers(server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server takes a client; False when it ends instead."""
    import jack

    while server.poll() is None:
        try:
            jack.Client("knock", servername=SERVER, no_start_server=True).close()
        except jack.JackError:
            time.sleep(0.05)
        else:
            return True
    return False


def start_live(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "JACK_DEFAULT_SERVER": SERVER,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "daw_bridge", "live", "--input", "system", "--output", "system",
               "--block", str(PERIOD), "--json", *arguments]  # fmt: skip
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def live(jack_server: subprocess.Popen[bytes], request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """The program, with what options the test's parameter says."""
    program = start_live(*getattr(request, "param", ()))
    try:
        yield program
    finally:
        program.kill()
        program.wait(240)


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

    def wire(self, program: subprocess.Popen[str]) -> None:
        """Wait for the program's ports and put the probe in the place of the sound card."""
        while program.poll() is None:
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

    def delays(self) -> list[int]:
        """Samples from each click that was sent to its return, as far as it has come back."""
        audio, found = np.abs(np.concatenate([*self.heard, np.zeros(0)])), []
        for position in list(self.sent):
            window = audio[position : position + RATE_HZ // 4]
            if window.size == RATE_HZ // 4 and window.max() > 0.1:
                found.append(int(window.argmax()))
        return found


def test_an_impulse_through_jack_comes_back_within_50_ms(live: subprocess.Popen[str]) -> None:
    """In samples of the server, which waits for its clients: a busy machine is slower, not later."""
    probe = Probe(SERVER)
    with probe.client:
        probe.wire(live)
        while len(probe.delays()) < 5 and live.poll() is None:
            time.sleep(0.2)
        delays = probe.delays()
    live.send_signal(signal.SIGINT)
    delay_ms = 1e3 * float(np.median(delays)) / RATE_HZ
    output, errors = live.communicate(timeout=200)
    assert live.returncode == 0, errors
    answer = json.loads(output.strip().splitlines()[-1])
    print(f"JACK loop: {delay_ms:.1f} ms measured ({delays} samples), {answer}")
    assert answer["host_ms"] <= delay_ms < 50.0


@pytest.mark.parametrize("live", [(), ("--measure",)], ids=["playing", "measuring"], indirect=True)
def test_a_server_that_dies_ends_the_command_with_one_line(
    jack_server: subprocess.Popen[bytes], live: subprocess.Popen[str]
) -> None:
    """The same as a card that is unplugged."""
    probe = Probe(SERVER)
    with probe.client:
        probe.wire(live)
        while live.poll() is None and not any(block.any() for block in list(probe.heard)):
            time.sleep(0.01)  # until it plays: in the middle of its start a server takes PortAudio down with it
    jack_server.kill()
    _, errors = live.communicate(timeout=200)
    ours = [line for line in errors.splitlines() if line.startswith("daw-bridge:")]
    assert live.returncode == 8, errors
    assert len(ours) == 1
    assert "went away" in ours[0]
    assert "Traceback" not in errors


class Cable(Probe):
    """A JACK client as the cable from the program's output to its input: what comes in goes out, some samples late."""

    def __init__(self, server: str, delay_samples: int) -> None:
        self.line = np.zeros(delay_samples, np.float32)
        super().__init__(server)

    def _process(self, frames: int) -> None:
        self.line = np.concatenate((self.line, self.back.get_array()))
        self.out.get_array()[:] = self.line[:frames]
        self.line = self.line[frames:]


def measured_samples(delay_samples: int) -> int:
    """On a busy machine JACK loses periods; the program then says so and asks for another try."""
    for _ in range(12):
        program = start_live("--measure")
        cable = Cable(SERVER, delay_samples)
        with cable.client:
            cable.wire(program)
            output, errors = program.communicate(timeout=200)
        if "the card loses sound" not in errors:
            break
    assert program.returncode == 0, errors
    return int(json.loads(output.strip().splitlines()[-1])["measured_card_samples"])


@pytest.mark.usefixtures("jack_server")
def test_measure_times_the_way_through_the_card_to_the_sample() -> None:
    """A cable that is 1,000 samples longer takes 1,000 samples more, and JACK itself a few whole periods."""
    short, long = measured_samples(77), measured_samples(1_077)
    assert long - short == 1_000
    assert (short - 77) % PERIOD == 0
    assert 0 <= short - 77 <= 4 * PERIOD


@pytest.mark.usefixtures("jack_server")
def test_measure_without_a_cable_says_what_to_connect() -> None:
    program = start_live("--measure")
    _, errors = program.communicate(timeout=200)
    assert program.returncode == 8, errors
    assert "connect the output to the input" in errors
    assert errors.count("\n") == 1


@pytest.mark.usefixtures("jack_server")
@pytest.mark.parametrize("jack_server", [48_000], indirect=True)
def test_a_card_at_another_rate_is_refused_with_what_to_set() -> None:
    program = start_live("--seconds", "1")
    _, errors = program.communicate(timeout=200)
    ours = [line for line in errors.splitlines() if line.startswith("daw-bridge:")]
    assert program.returncode == 8, errors
    assert ours == ["daw-bridge: the sound card refused: it does not run at 44100 Hz; set the device (or the JACK "
                    "server) to 44100 Hz"]  # fmt: skip
    assert "Traceback" not in errors
