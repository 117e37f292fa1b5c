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


class Peer:
    """The client at the other end, in a process of its own (`jack_peer.py` says why)."""

    def __init__(self, *arguments: str | int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("jack_peer.py")), SERVER, *map(str, arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=240)

    def ask(self, question: str) -> Any:
        """What a method of the client returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def wire(self, program: subprocess.Popen[str]) -> None:
        """Wait for the program's ports and put the client in the place of the sound card."""
        while program.poll() is None:
            if self.ask("wire"):
                return
            time.sleep(0.1)
        raise AssertionError("daw-bridge live never opened its JACK ports")


def test_an_impulse_through_jack_comes_back_within_50_ms(live: subprocess.Popen[str]) -> None:
    """In samples of the server, which waits for its clients: a busy machine is slower, not later."""
    with Peer("probe") as probe:
        probe.wire(live)
        while len(delays := probe.ask("delays")) < 5 and live.poll() is None:
            time.sleep(0.2)
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
    with Peer("probe") as probe:
        probe.wire(live)
        while live.poll() is None and not probe.ask("hears"):
            time.sleep(0.01)  # until it plays: in the middle of its start a server takes PortAudio down with it
        jack_server.kill()
    _, errors = live.communicate(timeout=200)
    ours = [line for line in errors.splitlines() if line.startswith("daw-bridge:")]
    assert live.returncode == 8, errors
    assert len(ours) == 1
    assert "went away" in ours[0]
    assert "Traceback" not in errors


def measured_samples(delay_samples: int) -> int:
    """On a busy machine JACK loses periods; the program then says so and asks for another try."""
    for _ in range(12):
        program = start_live("--measure")
        with Peer("cable", delay_samples) as cable:
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
