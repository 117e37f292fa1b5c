"""The real thing end to end: liblo's oscsend, or a pad over mido's socket port, asks `daw-bridge serve` for a build.

The demo song and the real model; the daemon is killed -9 in the middle and started again, and the stems are those of a
run that nobody disturbed.
"""

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

from tests.sweeps import sweep
from tests.waiting import wait_until_taken

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
def _serve(folder: Path, port: int, cache: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon of the real command line, with a cache of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "adapters"))),
        "DAW_BRIDGE_CACHE": str(folder / cache),
        "DAW_BRIDGE_CONFIG": str(folder / "config"),
    }
    argv = [sys.executable, "-m", "daw_bridge", "serve", "--port", str(port), "--music", str(folder / "music")]
    argv += ["--queue", str(folder / "queue.sqlite"), "--model", "preview", "--template", "neutral", *more]
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
        wait_until_taken(port)  # it prints nothing when it is ready
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


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, str]:
    """The stems of `music/whole`, built in one go by liblo's oscsend; `music/killed` holds the same mix."""
    samples, rate = soundfile.read(DEMO, frames=EXCERPT_S * 44_100, dtype="float32")
    for name in ("whole", "killed"):
        (tmp_path / "music" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "music" / name / "song.wav", samples, rate, subtype="FLOAT")
    port, dump_port = _free_port(), _free_port()
    with _dump(dump_port) as lines, _serve(tmp_path, port, "cache-1"):
        _send(port, "/dawbridge/subscribe", "i", str(dump_port))
        _send(port, "/dawbridge/build", "ss", "whole/song.wav", "#pad 1")
        seen = _until(lines, "/dawbridge/state", '"done"')
    progress = [line for line in seen if "/dawbridge/progress" in line]
    assert '"pad 1"' in progress[0]
    percents = [float(line.split('"pad 1"')[1].split()[1]) for line in progress]
    assert percents == sorted(percents) and percents[-1] == 100.0
    assert str(tmp_path / "music" / "whole" / "song.session") in seen[-1] and ".rpp" in seen[-1]
    stems = _stems(tmp_path / "music" / "whole" / "song.session")
    assert len(stems) == 6
    return stems


def _press_pad(port: int) -> None:
    """Note 60, over mido's own socket port."""
    mido = pytest.importorskip("mido")
    sockets = pytest.importorskip("mido.sockets")
    with sockets.connect("127.0.0.1", port) as pad:
        pad.send(mido.Message("note_on", note=60, velocity=100))
        time.sleep(0.3)  # a goodbye right behind the note may overtake it in mido's server


@pytest.mark.parametrize("by", sweep(["oscsend"], ["MIDI"]))
def test_a_build_that_was_killed_in_the_middle_ends_with_identical_stems(
    by: str, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    port, dump_port, midi_port = _free_port(), _free_port(), _free_port()
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "mappings:\n  - {on: note, number: 60, send: /dawbridge/build, arguments: [killed/song.wav]}\n", "utf-8"
    )
    midi = ["--midi", f"tcp:127.0.0.1:{midi_port}", "--midi-map", str(mapping)] if by == "MIDI" else []
    with _dump(dump_port) as lines:
        with _serve(tmp_path, port, "cache-2", *midi) as daemon:
            _send(port, "/dawbridge/subscribe", "i", str(dump_port))
            if by == "MIDI":
                _press_pad(midi_port)
            else:
                _send(port, "/dawbridge/build", "s", "killed/song.wav")
            _until(lines, "/dawbridge/progress", '"separate"')
            daemon.kill()
        assert not list((tmp_path / "music" / "killed" / "song.session").glob("*.rpp"))
        with _serve(tmp_path, port, "cache-2", *midi):
            _send(port, "/dawbridge/subscribe", "i", str(dump_port))
            seen = _until(lines, "/dawbridge/state", " 2 ", '"done"')
    assert [line for line in seen if "/dawbridge/progress" in line and "100.000000" in line]
    assert str(tmp_path / "music" / "killed" / "song.session") in seen[-1] and ".rpp" in seen[-1]
    assert _stems(tmp_path / "music" / "killed" / "song.session") == undisturbed
