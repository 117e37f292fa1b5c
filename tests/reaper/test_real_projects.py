"""Projects that REAPER 5 to 7 saved: they survive byte for byte, and what they say is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import VstFx
from daw_bridge_reaper.stock_state import ReaComp

pytestmark = pytest.mark.shared


@pytest.fixture
def projects(shared_dir: Path) -> list[Path]:
    return sorted(path for path in (shared_dir / "rpp").iterdir() if path.suffix.lower() == ".rpp")


def test_every_project_round_trips_byte_for_byte(projects: list[Path]) -> None:
    assert len(projects) >= 9
    for path in projects:
        assert rpp.to_bytes(rpp.load(path)) == path.read_bytes(), path.name


def test_only_the_damaged_project_is_called_damaged(projects: list[Path]) -> None:
    damaged = {path.name: rpp.load(path).problems for path in projects}
    named = [name for name, problems in damaged.items() if problems]
    assert named == ["7.18_LazyBone2017_project.rpp"]
    assert any("<SOURCE is never closed" in problem for problem in damaged[named[0]])


def test_every_project_says_what_is_in_it(projects: list[Path]) -> None:
    for path in projects:
        project = read_project(rpp.load(path))
        assert project.tracks, path.name
        for track in project.tracks:
            for receive in track.receives:
                assert 0 <= receive.source < len(project.tracks), path.name


def test_a_side_chained_compressor_is_understood(projects: list[Path]) -> None:
    path = next(path for path in projects if path.name.startswith("6.69"))
    project = read_project(rpp.load(path))
    chained = [
        (track, fx)
        for track in project.tracks
        for fx in track.fx
        if isinstance(fx, VstFx) and fx.sidechain_channel is not None
    ]
    [(track, fx)] = chained
    assert ReaComp.decode(fx.data).auxiliary
    assert fx.sidechain_channel in [receive.target_channel for receive in track.receives]


def test_stock_plugins_decode_to_round_numbers(projects: list[Path]) -> None:
    path = next(path for path in projects if path.name.startswith("6.11"))
    states = [
        ReaComp.decode(fx.data)
        for track in read_project(rpp.load(path)).tracks
        for fx in track.fx
        if isinstance(fx, VstFx) and fx.plugin == "ReaComp"
    ]
    assert states
    for state in states:
        assert -60.0 <= state.threshold_db <= 6.0
        assert state.ratio >= 1.0
        assert 0.0 <= state.attack_ms <= 500.0
