"""Standard streams that are closed, full or gone: the work is done all the same, and the exit code says how it went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.sweeps import sweep

RUN = f"{sys.executable} -m daw_bridge"

pytestmark = [pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full"), pytest.mark.slow]


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("models list | head -1", 0, ""),
        ("templates schema | head -c 1", 0, ""),
        ("models list | true", 0, ""),
        ("models list >&-", 0, ""),
        ("models list > /dev/full", 4, "daw-bridge: standard output: cannot be written (No space left on device)"),
        ("models info nope >&-", 6, "daw-bridge: no model called"),
        ("models info nope 2>&-", 6, ""),
        ("models info nope 2> /dev/full", 6, ""),
        ("models info nope <&- >&- 2>&-", 6, ""),
        ("models info nope 2>&1 | true", 6, ""),
    ],
)
def test_what_cannot_be_said_hides_neither_the_code_nor_a_traceback(line: str, code: int, said: str) -> None:
    done = shell(f"{RUN} {line}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == bool(said), done.stderr


@pytest.mark.parametrize(
    "way", sweep(["--json >&- 2>&-"], ["--progress jsonl 2>&1 | head -1", "--progress lines 2>&-"])
)
def test_a_song_is_made_though_nobody_listens(tmp_path: Path, way: str) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal((20_000, 2))
    sf.write(tmp_path / "mix.wav", noise, 44_100)
    line = f"{RUN} separate {tmp_path}/mix.wav --model preview -o {tmp_path}/song {way}; exit ${{PIPESTATUS[0]}}"
    done = shell(line, DAW_BRIDGE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert json.loads((tmp_path / "song" / "manifest.json").read_text())["state"] == "complete"


def test_what_is_opened_with_standard_error_closed_does_not_take_its_place(tmp_path: Path) -> None:
    program = "from daw_bridge.cli.streams import open_closed; open_closed(); print(open('x', 'w').fileno() > 2)"
    done = shell(f'cd {tmp_path}; {sys.executable} -c "{program}" 2>&- <&-', PYTHONPATH=os.pathsep.join(sys.path))
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("templates check PIPE.yaml", 5),
        ("build MIX -t PIPE.yaml", 5),
        ("build PIPE.wav", 3),
        ("templates extract PIPE.rpp", 3),
        ("templates extract PIPE.dawproject", 3),
        ("rebuild FOLDER", 3),
        ("batch PIPE.txt", 3),
        ("build MIX -m htdemucs --weights PIPE.th", 6),
        ("build MIX -m preview --weights PIPE.safetensors", 6),
        ("serve --token-file PIPE", 3),
        ("templates check /dev/zero", 5),
        ("separate /dev/zero", 3),
        ("probe PIPE.wav", 3),
    ],
)
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path, command: str, code: int) -> None:
    """Reading it would wait for ever."""
    sf.write(tmp_path / "MIX", np.zeros((1000, 2)), 44_100, format="WAV")
    (tmp_path / "FOLDER").mkdir()
    os.mkfifo(tmp_path / "FOLDER" / "manifest.json")
    for word in command.split():
        if word.startswith("PIPE"):
            os.mkfifo(tmp_path / word)
    done = subprocess.run(
        [sys.executable, "-m", "daw_bridge", *command.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=120,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert "regular file" in done.stderr
