"""A catalog in parts, without Ray: by hand, and as an array of a real SLURM of which a node is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import NEEDED, Slurm
from tests.cluster.songs import (
    ROOT,
    SONGS,
    Faults,
    catalog_alone,
    command,
    commits,
    planned,
    require_whole,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]
PARTS = 3


def test_parts_in_an_environment_without_ray_make_every_song_once(
    music: Path, expected: dict[str, set[str]], tmp_path: Path
) -> None:
    faults = Faults(tmp_path / "faults")
    env = {**os.environ, **faults.environment, "DAW_BRIDGE_TEST_NO_RAY": "1"}
    out = planned(music, tmp_path / "out", shard_songs=5)
    said = catalog_alone("run", out, "--engine", "ray", env=env, code=9)["error"]
    assert "pip install 'daw-bridge[ray]'" in said
    assert said.count("\n") == 1
    runs = [
        subprocess.Popen(
            command("run", out, "--shard", part, "--of", PARTS, "--scratch", tmp_path),
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(PARTS)
    ]
    counts = [json.loads(run.communicate(timeout=600)[0].splitlines()[-1]) for run in runs]
    assert counts == [{"done": SONGS // PARTS}] * PARTS
    require_whole(out, expected)


@pytest.fixture
def slurm() -> Iterator[Slurm]:
    if os.geteuid() != 0 or not all(Path(each).exists() for each in NEEDED):
        pytest.skip("needs root, and Debian's slurmd, slurmctld, slurm-client and munge")
    place = Path(tempfile.mkdtemp(prefix="dbs-"))
    found = Slurm(place)
    try:
        found.start()
        yield found
    finally:
        found.end()
        shutil.rmtree(place, ignore_errors=True)


def test_a_slurm_array_of_which_a_node_is_killed_makes_every_song_once(
    slurm: Slurm, music: Path, expected: dict[str, set[str]], tmp_path: Path
) -> None:
    out = planned(music, tmp_path / "out", shard_songs=5)
    faults = Faults(tmp_path / "faults")
    faults.folder.mkdir()
    faults.hold_after(3)
    wait_for(lambda: slurm.call("sinfo", "--noheader", "--format=%T").split() == ["idle"], "three nodes")
    program = Path(sys.executable).with_name("daw-bridge")
    env = {
        **faults.environment,
        "DAW_BRIDGE_TEST_NO_RAY": "1",
        "CATALOG": str(out),
        "DAW_BRIDGE": str(program),
        "TMPDIR": str(tmp_path),
    }
    slurm.call(
        "sbatch",
        f"--array=0-{PARTS - 1}",
        "--mem=0",
        "--cpus-per-task=1",
        f"--output={tmp_path}/%a.log",
        str(ROOT / "deploy" / "slurm.sbatch"),
        **env,
    )
    wait_for(lambda: faults.waiting() == PARTS, "a song in work in each part")
    slurm.kill(slurm.node_of(1))
    wait_for(
        lambda: "COMPLETING" not in slurm.states() and slurm.states().count("RUNNING") == PARTS - 1,
        "the death of a node is noticed",
    )
    faults.let_go()
    wait_for(lambda: not slurm.states(), "the array ends")
    assert len(commits(out)) == SONGS, subprocess.list2cmdline([each.read_text() for each in tmp_path.glob("*.log")])
    require_whole(out, expected)
