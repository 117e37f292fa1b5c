"""A song, the actions as setup installs them, and a project: for the tests of the Lua actions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.reaper_job import run_job
from daw_bridge_reaper.configure import host
from daw_bridge_reaper.configure.changes import SetupOptions
from daw_bridge_reaper.configure.setup import setup
from tests.reaper.acting import RATE_HZ, Place, answer_with
from tests.reaper.simulator.model import Track, World


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The real worker runs once here and once from Lua; the other tests get its answer from a file."""
    root = tmp_path_factory.mktemp("actions")
    song = root / "project \"x\" 'y'" / "my #1 song; it's é.wav"
    song.parent.mkdir()
    rng = np.random.default_rng(3)
    soundfile.write(song, 0.2 * rng.standard_normal((RATE_HZ, 2)), RATE_HZ, subtype="PCM_16")
    job = root / "job" / "job.json"
    job.parent.mkdir()
    sources = [{"file": str(song), "folder": str(song.parent / "first stems"), "seconds": 1.0}]
    content = {"version": 1, "kind": "separate", "model": "preview", "template": "neutral", "sources": sources}
    job.write_text(json.dumps(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAW_BRIDGE_CACHE", str(root / "cache"))
        patch.setenv("DAW_BRIDGE_CONFIG", str(root / "config"))
        assert run_job(job) == 0
    return Place(song, (job.parent / "result.json").read_text(), root)


@pytest.fixture
def song(place: Place) -> Path:
    return place.song


@pytest.fixture
def scripts(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The actions as `reaper setup` installs them, with the real worker."""
    monkeypatch.setattr(host, "running_programs", lambda: [])
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(place.root / "cache"))
    resource = tmp_path / "REAPER é"
    resource.mkdir()
    (resource / "reaper.ini").write_text("[REAPER]\n")
    setup(SetupOptions(resource_path=resource))
    return resource / "Scripts" / "daw-bridge"


@pytest.fixture
def answered(scripts: Path, place: Place) -> Path:
    """The actions with a worker that gives the prepared answer."""
    answer_with(scripts, json.loads(place.result))
    return scripts


@pytest.fixture
def world(song: Path) -> World:
    """A saved project: a folder with the song's track in it, and one more track."""
    world = World()
    world.project.path = str(song.parent / "mine.rpp")
    for name, depth in (("Band", 1.0), ("song", -1.0), ("after", 0.0)):
        track = Track()
        track.texts["P_NAME"] = name
        track.values["I_FOLDERDEPTH"] = depth
        world.content.tracks.append(track)
    return world


@pytest.fixture
def source_track(world: World) -> Track:
    world.ext_state["daw-bridge", "model"] = "preview"
    world.ext_state["daw-bridge", "template"] = "neutral"
    return world.content.tracks[1]
