"""kill -9 before every rename, unlink, link, fsync and database statement in turn: nothing is lost, nothing is wrong.

After each kill the folder says the truth about itself: it is the song that was there, whole, or it is being built. The
same command then ends well, with the samples of a run that nobody killed, and leaves nothing besides.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest
from daw_bridge.takeover import settled_manifest

ROOT = Path(__file__).resolve().parents[2]
FROM_STEP = int(os.environ.get("DAW_BRIDGE_EVERY_STEP") or 0)
"""Set by `make kills` to 1: every step from that one on. The plain test run takes a few of them."""
STRIDE = 1 if FROM_STEP else 19
MOST_STEPS = 400

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Runs:
    """The process that forks a child for each order."""

    def __init__(self) -> None:
        paths = f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("steps.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    def run(self, do: str, mix: Path, folder: Path, *, kill_at: int = 0, **options: Any) -> int:
        """The exit status as `os.waitpid` gives it: 0 done, 9 killed."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        order = {"do": do, "mix": str(mix), "folder": str(folder), "kill_at": kill_at, "options": options}
        order["cache"] = os.environ["DAW_BRIDGE_CACHE"]
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    started = Runs()
    yield started
    started.close()


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))


def write_mix(path: Path, seed: int = 7) -> Path:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, (0.2 * rng.standard_normal((3_000, 2))).astype(np.float32), 44_100)
    return path


def stems(folder: Path) -> dict[str, str]:
    manifest = read_manifest(folder)
    assert manifest is not None
    return {stem.file: stem.sha256 for stem in manifest.stems}


def faults(folder: Path, manifest: Manifest) -> list[str]:
    """What is not as a finished song folder's manifest says."""
    listed = {stem.file: stem.sha256 for stem in manifest.stems}
    assert manifest.original is not None
    assert manifest.reference is not None
    listed |= {part.file: part.sha256 for part in (manifest.original, manifest.reference)}
    wrong = [file for file, digest in listed.items() if sha256_of_file(folder / file) != digest]
    total = sum(sf.read(folder / stem.file, always_2d=True)[0] for stem in manifest.stems)
    rest = np.abs(total - sf.read(folder / manifest.reference.file, always_2d=True)[0]).max()
    return wrong + ([f"null {20 * np.log10(rest):.1f} dB"] if rest > 1e-6 else [])


def leftovers(folder: Path) -> list[str]:
    marks = (".part", ".replaced", ".lock")
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.endswith(marks) or path.name.startswith((".work-", ".replacement"))
    ]


def kill_points(first: int) -> range:
    return range(FROM_STEP or 1 + first % STRIDE, MOST_STEPS, STRIDE)


def test_a_build_from_nothing(tmp_path: Path, runs: Runs) -> None:
    mix = write_mix(tmp_path / "mix.wav")
    assert runs.run("build", mix, tmp_path / "gold" / "mix.session") == 0
    gold = stems(tmp_path / "gold" / "mix.session")
    for kill_at in kill_points(0):
        folder = tmp_path / str(kill_at) / "mix.session"
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        status = runs.run("build", mix, folder, kill_at=kill_at)
        left = read_manifest(folder) if folder.is_dir() else None
        if left is not None and left.state == "complete":
            assert faults(folder, left) == [], kill_at
        finished = left is not None and left.state == "complete"
        assert runs.run("build", mix, folder) == (256 if finished else 0), kill_at  # 256: it needs --force now
        again = read_manifest(folder)
        assert again is not None and again.state == "complete" and faults(folder, again) == [], kill_at
        assert stems(folder) == gold and leftovers(folder) == [], kill_at
        other = tmp_path / str(kill_at) / "from the cache"
        assert runs.run("build", mix, other) == 0, "the cache that a kill left is whole"
        assert stems(other) == gold
        shutil.rmtree(tmp_path / str(kill_at))
        if status == 0:
            assert kill_at > 30, "the run has far more steps"
            return
    raise AssertionError("the run never came to its end")


def test_a_forced_build_over_a_finished_song(tmp_path: Path, runs: Runs) -> None:
    mix, base = write_mix(tmp_path / "mix.wav"), tmp_path / "base"
    first: dict[str, Any] = {"stems": ("drums", "bass")}
    assert runs.run("build", mix, base, **first) == 0
    (base / "audio" / "mine.wav").write_bytes(b"mine")
    assert runs.run("build", mix, tmp_path / "gold") == 0
    old, gold = stems(base), stems(tmp_path / "gold")
    assert old.keys() != gold.keys()
    for kill_at in kill_points(3):
        folder = tmp_path / str(kill_at)
        shutil.copytree(base, folder, symlinks=True)
        status = runs.run("build", mix, folder, kill_at=kill_at, force=True)
        now = settled_manifest(folder)  # what any command does first
        assert now is not None and faults(folder, now) == [], kill_at
        assert stems(folder) in (old, gold), kill_at
        if now.state == "complete":
            assert runs.run("rebuild", mix, folder) == 0, kill_at
            rebuilt = read_manifest(folder)
            assert rebuilt is not None and faults(folder, rebuilt) == [], kill_at
        assert runs.run("build", mix, folder, force=True) == 0, kill_at
        done = read_manifest(folder)
        assert done is not None and done.state == "complete" and faults(folder, done) == [], kill_at
        assert stems(folder) == gold and leftovers(folder) == [], kill_at
        assert {path.name for path in (folder / "audio").iterdir()} == {
            "mine.wav",
            "mix_reference.wav",
            *(Path(file).name for file in gold),
        }, kill_at
        assert (folder / "audio" / "mine.wav").read_bytes() == b"mine"
        shutil.rmtree(folder)
        if status == 0:
            return
    raise AssertionError("the run never came to its end")


def test_a_rebuild(tmp_path: Path, runs: Runs) -> None:
    mix, base = write_mix(tmp_path / "mix.wav"), tmp_path / "base"
    assert runs.run("build", mix, base, daws=("reaper", "ardour")) == 0
    old = stems(base)
    for kill_at in kill_points(5):
        folder = tmp_path / str(kill_at)
        shutil.copytree(base, folder, symlinks=True)
        status = runs.run("rebuild", mix, folder, kill_at=kill_at)
        assert runs.run("rebuild", mix, folder) == 0, kill_at
        done = read_manifest(folder)
        assert done is not None and done.state == "complete" and faults(folder, done) == [], kill_at
        assert stems(folder) == old and leftovers(folder) == [], kill_at
        assert all((folder / record.file).exists() for record in done.sessions), kill_at
        assert {record.adapter for record in done.sessions if record.template == "band"} == {"reaper", "ardour"}
        shutil.rmtree(folder)
        if status == 0:
            return
    raise AssertionError("the run never came to its end")


def test_a_batch(tmp_path: Path, runs: Runs) -> None:
    songs = tmp_path / "songs"
    for number in range(2):
        write_mix(songs / f"{number}.wav", seed=number)
    assert runs.run("batch", songs, tmp_path / "gold") == 0
    gold = {name: stems(tmp_path / "gold" / f"{name}.session") for name in ("0", "1")}
    for kill_at in kill_points(1):
        folder = tmp_path / str(kill_at)
        status = runs.run("batch", songs, folder, kill_at=kill_at)
        assert runs.run("batch", songs, folder) == 0, kill_at
        for name, expected in gold.items():
            done = read_manifest(folder / f"{name}.session")
            assert done is not None and done.state == "complete", kill_at
            assert faults(folder / f"{name}.session", done) == [], kill_at
            assert stems(folder / f"{name}.session") == expected, kill_at
        assert leftovers(folder) == [], kill_at
        shutil.rmtree(folder)
        if status == 0:
            return
    raise AssertionError("the run never came to its end")


def test_a_job_of_the_daemon(tmp_path: Path, runs: Runs) -> None:
    mix = write_mix(tmp_path / "mix.wav")
    assert runs.run("job", mix, tmp_path / "gold") == 0
    gold = stems(tmp_path / "gold" / "song")
    for kill_at in kill_points(2):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        status = runs.run("job", mix, folder, kill_at=kill_at)
        assert runs.run("job", mix, folder) == 0, kill_at
        queue = sqlite3.connect(folder / "queue.sqlite")
        assert queue.execute("select distinct state from jobs").fetchall() == [("done",)], kill_at
        queue.close()
        assert stems(folder / "song") == gold and leftovers(folder) == [], kill_at
        shutil.rmtree(folder)
        if status == 0:
            return
    raise AssertionError("the run never came to its end")
