"""A chain of three levels from the command to the sessions of three DAWs: buses in buses, and a tree that nulls."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge.audio.null import null_depth_db
from daw_bridge.cli.main import main
from daw_bridge.manifest import read_manifest
from daw_bridge_dawproject.adapter import ADAPTER as DAWPROJECT
from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_project
from tests.ardour.read_back import read_session
from tests.separation.test_recipe import DEEPEST_DB, made, mix, models

__all__ = ["made", "models"]  # fixtures

WAYS = {
    "dry": ["LEAD", "VOCALS", "MIX BUS"],
    "reverb": ["REVERB", "LEAD", "VOCALS", "MIX BUS"],
    "vocals-rest": ["BACKING", "VOCALS", "MIX BUS"],
    "kick": ["KICK", "DRUMS", "MIX BUS"],
    "snare": ["SNARE", "DRUMS", "MIX BUS"],
    "bass": ["BASS", "MIX BUS"],
}
"""Of some stems of the tree the buses around them, the innermost first."""


@pytest.fixture
def built(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mix -> vocals -> lead -> dry and reverb; mix -> drums -> pieces."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    asked = ["--model", "band", "--chain", "vocals:lead,lead:room,drums:kit", "--device", "cpu"]
    session = ["--template", "lead-backing", "--daw", "reaper,ardour,dawproject", "-o", str(tmp_path / "song")]
    assert main(["build", str(mix(tmp_path)), *asked, *session]) == 0
    return tmp_path / "song"


def test_a_chain_of_three_levels_is_in_every_session_and_nulls(built: Path, tmp_path: Path) -> None:
    manifest = read_manifest(built)
    assert manifest is not None and manifest.separation is not None
    leaves = [stem for stem in manifest.stems if stem.role != "reference"]
    assert set(WAYS) < {stem.name for stem in leaves}
    assert manifest.separation.null_depth_db <= DEEPEST_DB
    assert null_depth_db(tmp_path / "mix.wav", [built / stem.file for stem in leaves]) <= DEEPEST_DB
    for way_of in (_reaper, _ardour, _dawproject):
        assert {name: way_of(built, name) for name in WAYS} == WAYS, way_of.__name__


def _only(folder: Path, pattern: str) -> Path:
    [found] = folder.rglob(pattern)
    return found


def _reaper(song: Path, stem: str) -> list[str]:
    """The folders around a track."""
    project = read_project(rpp.load(_only(song, "*.rpp")))
    parents, names = project.parents(), [track.name for track in project.tracks]
    place, found = parents[names.index(stem)], []
    while place is not None:
        found.append(names[place])
        place = parents[place]
    return found


def _ardour(song: Path, stem: str) -> list[str]:
    """The strips that a track feeds, one after the other, up to the master."""
    strips = read_session(_only(song, "*.ardour")).strips
    found: list[str] = []
    while (place := strips[found[-1] if found else stem].outputs[0].partition("/")[0]) != "Master":
        found.append(place)
    return found


def _dawproject(song: Path, stem: str) -> list[str]:
    """The buses that a track is routed through."""
    plan = DAWPROJECT.read_plan(_only(song, "*.dawproject")).plan
    buses = {bus.name: bus for bus in plan.buses}
    place: str | None = next(track.output for track in plan.tracks if track.name == stem)
    found: list[str] = []
    while place in buses:
        found.append(buses[place].label)
        place = buses[place].parent
    return [*found, plan.mix_bus.label]
