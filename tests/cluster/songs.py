"""Thirty short songs, a catalog of them, and what every engine must leave behind."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from daw_bridge import BuildOptions, batch
from daw_bridge.catalog.checks import verify
from daw_bridge.catalog.plan import make_plan
from daw_bridge.catalog.recipe import recipe_of
from daw_bridge.catalog.run import RunOptions, run_catalog
from daw_bridge.catalog.store import Store
from daw_bridge.cli.main import main
from tests.catalog.here import HereCrew

ROOT = Path(__file__).resolve().parent.parent.parent
FAULTS = Path(__file__).resolve().parent / "faults"
SONGS = 30
OPTIONS = ("-m", "preview", "--template", "neutral")


def write_songs(folder: Path, *, songs: int = SONGS, poison: bool = False) -> Path:
    folder.mkdir()
    for number in range(songs - poison):
        noise = np.random.default_rng(number).standard_normal((11_025, 2)) * 0.1
        soundfile.write(folder / f"song-{number:02d}.wav", noise, 44_100, subtype="FLOAT")
    if poison:
        soundfile.write(folder / "poison.wav", np.full((11_025, 2), 0.1), 44_100, subtype="FLOAT")
    return folder


def stems_of_batch(music: Path, into: Path) -> dict[str, set[str]]:
    """Name of the mix -> sha256 of each of its stems, as `batch` makes them."""
    options = BuildOptions(model="preview", template="neutral", daws=(), output=into)
    outcomes = batch(music, options)
    found = {}
    for outcome in outcomes:
        assert outcome.folder is not None, outcome.error
        manifest = json.loads((outcome.folder / "manifest.json").read_text())
        found[outcome.mix.name] = {stem["sha256"] for stem in manifest["stems"]}
    return found


@dataclass
class Faults:
    """The folder that worker processes look into."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DAW_BRIDGE_TEST_FAULTS": str(self.folder),
            "PYTHONPATH": os.pathsep.join((str(FAULTS), str(ROOT), str(ROOT / "adapters"))),
        }

    def hold_after(self, songs: int) -> None:
        for each in self.folder.iterdir():
            each.unlink()
        (self.folder / "gate").write_text(str(songs))

    def let_go(self) -> None:
        (self.folder / "open").touch()

    def waiting(self) -> int:
        return len(list(self.folder.glob("waits-*")))

    def clear(self) -> None:
        self.let_go()
        (self.folder / "gate").unlink(missing_ok=True)


def planned(music: Path, out: Path, *, shard_songs: int = 1000) -> Path:
    options = BuildOptions(model="preview", template="neutral")
    make_plan(Store(music), Store(out), recipe_of(options), shard_songs=shard_songs)
    return out


def commits(out: Path) -> dict[str, dict[str, Any]]:
    """Mix -> commit; each mix once."""
    records = [json.loads(path.read_text()) for path in out.glob("commits/*/*")]
    assert max(Counter(record["mix"] for record in records).values(), default=0) <= 1
    return {record["mix"]: record for record in records}


def require_whole(out: Path, expected: Mapping[str, set[str]]) -> None:
    """Every song once, every stem that of `batch`, every file as its commit says, and after a sweep nothing else."""
    made = commits(out)
    assert made.keys() == expected.keys()
    for mix, record in made.items():
        assert expected[mix] <= set(record["sha256"].values()), mix
    first = verify(Store(out), full=True, sweep=True)
    assert (first.committed, first.problems) == (len(expected), ())
    second = verify(Store(out), full=True, sweep=True)
    assert (second.stray_attempts, second.problems) == (0, ())


def command(what: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "daw_bridge", "catalog", what, *map(str, arguments), "--json"]


@contextmanager
def surroundings(env: Mapping[str, str]) -> Iterator[None]:
    """This process with these variables of its environment and no others."""
    wanted, before = dict(env), dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def catalog(what: str, *arguments: object, code: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the command answers, in this process: nothing has to be imported again."""
    said, wrong = io.StringIO(), io.StringIO()
    with surroundings(env or os.environ), redirect_stdout(said), redirect_stderr(wrong):
        ended = main(["catalog", what, *map(str, arguments), "--json"])
    assert ended == code, said.getvalue() + wrong.getvalue()
    return dict(json.loads(said.getvalue().splitlines()[-1])) if code in (0, 11) else {"error": wrong.getvalue()}


def catalog_alone(what: str, *arguments: object, code: int = 0, **more: Any) -> dict[str, Any]:
    """The same as a process of its own."""
    done = subprocess.run(
        command(what, *arguments), capture_output=True, text=True, timeout=600, check=False, cwd=ROOT, **more
    )
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1])) if code in (0, 11) else {"error": done.stderr}


def run_here(out: str, scratch: Path, env: Mapping[str, str]) -> dict[str, int]:
    """A run with a worker of this process: how many songs ended how."""
    with surroundings(env):
        return dict(run_catalog(Store(out), RunOptions(scratch=scratch), start_crew=HereCrew))


def wait_for(condition: Callable[[], object], what: str, *, process: subprocess.Popen[str] | None = None) -> None:
    """Until the condition holds. The limit is for a machine that hangs, not for a slow one."""
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end, what
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: it ended before, {process.communicate()}")
        time.sleep(0.05)
