"""Real raylets and real deaths: thirty songs are thirty commits, none twice, every stem that of `batch`.

One cluster after the other serves all tests; each leaves it with the nodes that the next one names.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.catalog.local import WorkerOrder
from daw_bridge.catalog.plan import require_plan
from daw_bridge.catalog.store import Store
from daw_bridge.errors import AdapterMissing, DeviceError
from tests.cluster.ray_cluster import ADDRESS, RayCluster
from tests.cluster.songs import (
    ROOT,
    SONGS,
    Faults,
    command,
    commits,
    planned,
    require_whole,
    wait_for,
    write_songs,
)

pytest.importorskip("ray", reason="the extra `ray` is not installed: make cluster")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # for a machine that does much else
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a network namespace needs root"),
]


@dataclass
class Place:
    """The music, what `batch` makes of it, and a cluster of three nodes."""

    root: Path
    music: Path
    expected: dict[str, set[str]]
    faults: Faults
    cluster: RayCluster

    def plan(self, name: str, music: Path | None = None) -> Path:
        return planned(music or self.music, self.root / name)

    def run(self, out: Path, actors: int, *more: str) -> subprocess.Popen[str]:
        arguments = ("--engine", "ray", "--address", ADDRESS, "--actors", actors, "--scratch", self.root / "scratch")
        return subprocess.Popen(
            self.cluster.inside(*command("run", out, *arguments, *more)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.cluster.env,
            cwd=ROOT,
            start_new_session=True,
        )

    def open_cluster(self) -> None:
        """One node that takes commands from anybody."""
        if self.cluster.token:
            self.cluster.end()
            self.cluster.token = False
            self.cluster.start(2)

    def ended(self, run: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
        import json

        said, wrong = run.communicate(timeout=900)
        assert run.returncode == code, said + wrong
        return dict(json.loads(said.splitlines()[-1]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, music: Path, expected: dict[str, set[str]]) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("ray")
    faults = Faults(root / "faults")
    faults.folder.mkdir()
    short = Path(tempfile.mkdtemp(prefix="dbr-"))
    cluster = RayCluster(short, faults.environment)
    try:
        cluster.start(2, 3, 4)
        yield Place(root, music, expected, faults, cluster)
    finally:
        cluster.end()
        shutil.rmtree(short, ignore_errors=True)


def test_a_node_that_is_killed_costs_no_song_and_charges_none(place: Place) -> None:
    out = place.plan("node-killed")
    place.faults.hold_after(6)
    run = place.run(out, 3)
    wait_for(lambda: place.faults.waiting() == 3, "three songs in work", process=run)
    place.cluster.kill(4)
    place.faults.let_go()
    counts = place.ended(run)
    assert counts["done"] == SONGS
    assert counts["workers lost"] >= 1
    assert "retried" not in counts
    require_whole(out, place.expected)


def test_a_driver_that_is_killed_leaves_exactly_the_rest_to_the_same_command(place: Place) -> None:
    out = place.plan("driver-killed")
    place.faults.hold_after(11)
    run = place.run(out, 2)
    wait_for(lambda: len(commits(out)) == 11 and place.faults.waiting() == 2, "eleven songs", process=run)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    wait_for(lambda: not place.cluster.actors(), "Ray ends the actors of a driver that died")
    place.faults.let_go()
    require_only_done(place.ended(place.run(out, 2)), SONGS - 11)
    require_whole(out, place.expected)


def require_only_done(counts: dict[str, Any], songs: int) -> None:
    """So many songs, each at once: none was there already, none was lost to another attempt."""
    assert counts["done"] == songs
    assert not counts.keys() & {"skipped", "lost", "failed"}, counts


def test_a_poisonous_song_is_set_aside_after_three_tries(place: Place) -> None:
    place.faults.clear()
    out = place.plan("poison", write_songs(place.root / "poison", poison=True))
    counts = place.ended(place.run(out, 2), code=11)
    assert (counts["done"], counts["failed"]) == (SONGS - 1, 1)
    assert counts["workers lost"] <= 3
    assert commits(out).keys() == place.expected.keys() - {"song-29.wav"}


def test_a_frozen_node_is_not_waited_for(place: Place) -> None:
    out = place.plan("frozen")
    place.faults.hold_after(6)
    run = place.run(out, 2, "--deadline", "20")
    wait_for(lambda: place.faults.waiting() == 2, "two songs in work", process=run)
    place.cluster.freeze(3)
    place.faults.let_go()
    counts = place.ended(run)
    place.cluster.thaw(3)
    assert counts["done"] == SONGS
    assert counts["late"] >= 1
    wait_for(lambda: not place.cluster.actors(), "the thawed worker learns that its driver is gone")
    require_whole(out, place.expected)


def test_more_gpus_than_the_cluster_has_are_refused_and_nothing_is_done_on_the_cpu(place: Place) -> None:
    out = place.plan("gpus")
    run = place.run(out, 1, "--gpus-per-actor", "0.5")
    _, wrong = run.communicate(timeout=600)
    assert run.returncode == 8
    assert "the Ray cluster has 0" in wrong
    assert not commits(out)


def test_a_new_cluster_goes_on_where_head_nodes_and_driver_were_killed(place: Place) -> None:
    out = place.plan("all-killed")
    place.faults.hold_after(13)
    run = place.run(out, 1)
    wait_for(lambda: len(commits(out)) == 13 and place.faults.waiting() == 1, "thirteen songs", process=run)
    place.cluster.end()
    run.kill()
    run.communicate()
    place.faults.let_go()
    place.open_cluster()  # without a token, as a test below needs it
    require_only_done(place.ended(place.run(out, 1, "--insecure-cluster")), SONGS - 13)
    require_whole(out, place.expected)


def test_a_cluster_that_takes_commands_from_anybody_is_refused_unless_insisted_on(place: Place) -> None:
    """That it is used when one insists is seen above."""
    place.open_cluster()
    out = place.plan("open")
    run = place.run(out, 1)
    _, wrong = run.communicate(timeout=600)
    assert run.returncode == 2
    assert "takes commands from anybody" in wrong
    assert sum(line.startswith("daw-bridge:") for line in wrong.splitlines()) == 1  # Ray has warnings of its own
    assert "Traceback" not in wrong
    assert not commits(out)


def test_ray_of_another_version_is_refused_with_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from daw_bridge.catalog.ray_engine import Cluster, RayCrew

    monkeypatch.setattr("ray.__version__", "2.51.1")  # the last one without tokens
    order = WorkerOrder(plan=require_plan(Store(planned(write_songs(tmp_path / "m", songs=1), tmp_path))), out_url="x")
    with pytest.raises(AdapterMissing, match=r"Ray 2\.51\.1 is installed, catalogs need 2\.60: pip install"):
        RayCrew(order, 1, cluster=Cluster())


def test_a_head_that_is_gone_ends_the_run_before_ray_ends_the_process() -> None:
    from daw_bridge.catalog.ray_engine import _Head

    head = _Head("127.0.0.1:1")
    head.require()
    assert head.silent_since_s is not None, "nobody answers there"
    head.asked_at_s -= 10.0
    head.require()
    head.asked_at_s -= 10.0
    head.silent_since_s -= 30.0
    with pytest.raises(DeviceError, match=r"head of the Ray cluster 127\.0\.0\.1:1 is gone; what is done is kept"):
        head.require()
