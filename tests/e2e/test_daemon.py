"""The real thing end to end: liblo's oscsend asks `daw-bridge serve` for a build of the demo song with the real model;
the daemon is killed -9 in the middle, started again, and the stems are those of a run that nobody disturbed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent.parent
DEMO = ROOT / "examples" / "demo_song" / "mix.flac"
EXCERPT_S = 5

pytestmark = pytest.mark.skipif(
    not shutil.which("oscsend") or not shutil.which("oscdump"), reason="liblo-tools are not installed"
)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serve(folder: Path, port: int, cache: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon of the real command line, with a cache of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "adapters"))),
        "DAW_BRIDGE_CACHE": str(folder / cache),
        "DAW_BRIDGE_CONFIG": str(folder / "config"),
    }
    argv = [sys.executable, "-m", "daw_bridge", "serve", "--port", str(port), "--music", str(folder / "music")]
    argv += ["--queue", str(folder / "queue.sqlite"), "--model", "preview", "--template", "neutral"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as daemon:
        assert daemon.stdout is not None and "serves OSC" in daemon.stdout.readline()
        try:
            yield daemon
        finally:
            daemon.terminate()


@contextmanager
def _dump(port: int) -> Iterator[Iterator[str]]:
    """The lines of liblo's oscdump."""
    with subprocess.Popen(["stdbuf", "-oL", "oscdump", str(port)], stdout=subprocess.PIPE, text=True) as dump:
        time.sleep(0.3)  # it prints nothing when it is ready
        try:
            assert dump.stdout is not None
            yield iter(dump.stdout)
        finally:
            dump.terminate()


def _send(port: int, *arguments: str) -> None:
    subprocess.run(["oscsend", "127.0.0.1", str(port), *arguments], check=True)


def _until(lines: Iterator[str], *words: str) -> list[str]:
    """Lines up to the first that has all `words`."""
    seen = []
    for line in lines:
        seen.append(line)
        assert '"failed"' not in line, line
        if all(word in line for word in words):
            return seen
    raise AssertionError(f"oscdump ended before {words}")


def _stems(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("audio/*.wav"))}


def test_a_build_by_oscsend_and_one_that_was_killed_end_with_identical_stems(tmp_path: Path) -> None:
    samples, rate = soundfile.read(DEMO, frames=EXCERPT_S * 44_100, dtype="float32")
    for name in ("whole", "killed"):
        (tmp_path / "music" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "music" / name / "song.wav", samples, rate, subtype="FLOAT")
    port, dump_port = _free_port(), _free_port()

    with _dump(dump_port) as lines:
        with _serve(tmp_path, port, "cache-1"):
            _send(port, "/dawbridge/subscribe", "i", str(dump_port))
            _send(port, "/dawbridge/build", "ss", "whole/song.wav", "#pad 1")
            seen = _until(lines, "/dawbridge/state", '"done"')
            progress = [line for line in seen if "/dawbridge/progress" in line]
            assert '"pad 1"' in progress[0]
            percents = [float(line.split('"pad 1"')[1].split()[1]) for line in progress]
            assert percents == sorted(percents) and percents[-1] == 100.0
            assert str(tmp_path / "music" / "whole" / "song.session") in seen[-1] and ".rpp" in seen[-1]

        with _serve(tmp_path, port, "cache-2") as daemon:
            _send(port, "/dawbridge/subscribe", "i", str(dump_port))
            _send(port, "/dawbridge/build", "s", "killed/song.wav")
            _until(lines, "/dawbridge/progress", '"separate"')
            daemon.kill()
        assert not list((tmp_path / "music" / "killed" / "song.session").glob("*.rpp"))

        with _serve(tmp_path, port, "cache-2"):
            _send(port, "/dawbridge/subscribe", "i", str(dump_port))
            _until(lines, "/dawbridge/state", " 2 ", '"done"')

    whole, killed = (_stems(tmp_path / "music" / name / "song.session") for name in ("whole", "killed"))
    assert len(whole) == 6
    assert killed == whole
