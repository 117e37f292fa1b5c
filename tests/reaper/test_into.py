"""Stems into a project of the user: at a marker, onto tracks of theirs, and again for a song that is built already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.adapter import Feature, MergePlace
from daw_bridge.cli.main import main
from daw_bridge.errors import UsageError
from daw_bridge.manifest import read_manifest
from daw_bridge.model import Compressor
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import ReaperProject
from tests.reaper.plans import full_plan, neutral_plan

THEIRS = """<REAPER_PROJECT 0.1 "7.24/win64" 1 0
  SAMPLERATE 44100 1 0
  MARKER 1 12.5 "Verse 1" 0 0 1 B {A} 0
  MARKER 1 30 Chorus 1 0 1 B {B} 0
  MARKER 1 40 "" 1
  <TRACK {1}
    NAME MyVox
    PERF 0
    MIDIOUT -1
    MAINSEND 1 0
    <FXCHAIN
    >
  >
  <TRACK {2}
    NAME Twice
  >
  <TRACK {3}
    NAME twice
    <ITEM
    >
  >
>
"""


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.rpp"
    path.write_text(THEIRS)
    return path


def merged(theirs: Path, place: MergePlace) -> ReaperProject:
    target = theirs.with_name("new.rpp")
    target.unlink(missing_ok=True)
    ADAPTER.merge(neutral_plan(theirs.parent, ("drums", "vocals")), theirs, target, place)
    rest = iter(target.read_text().split("\n"))
    assert all(line in rest for line in THEIRS.split("\n")), "a line of theirs is gone"
    return read_project(rpp.load(target))


@pytest.mark.parametrize(
    ("at", "expected_s"),
    [("verse 1", 12.5), ("Chorus", 30.0), ("7.25", 7.25), ("1:02.5", 62.5), ("1:00:01", 3601.0), ("0", 0.0)],
)
def test_stems_begin_at_a_marker_a_region_or_a_time(at: str, expected_s: float, theirs: Path) -> None:
    project = merged(theirs, MergePlace(at=at))
    ours = [item.position_s for track in project.tracks[3:] for item in track.items]
    assert ours == [expected_s] * 3


def test_our_markers_move_with_the_stems(theirs: Path) -> None:
    target = theirs.with_name("new.rpp")
    ADAPTER.merge(full_plan(theirs.parent), theirs, target, MergePlace(at="Chorus"))
    found = {marker.name: (marker.position_s, marker.end_s) for marker in read_project(rpp.load(target)).markers}
    assert (found["Start"], found["Chorus 'x'"]) == ((30.0, None), (30.25, 30.75))
    assert found["Verse 1"] == (12.5, None)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (MergePlace(at="Verse 2"), "no marker or region called 'Verse 2'.*did you mean"),
        (MergePlace(at="1:2:3:4"), "or give a time"),
        (MergePlace(bus_map=(("vocals", "MyVoxx"),)), "no track is called so.*did you mean"),
        (MergePlace(bus_map=(("vocals", "Twice"),)), "several tracks are called so"),
    ],
)
def test_a_place_that_is_not_there_is_told_before_anything_is_separated(
    place: MergePlace, message: str, theirs: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        ADAPTER.check_merge(theirs, theirs.with_name("new.rpp"), place)


def test_a_stem_goes_onto_a_track_of_theirs_and_its_bus_does_not_come(theirs: Path) -> None:
    project = merged(theirs, MergePlace(bus_map=(("Vocals", "myvox"),)))
    names = [track.name for track in project.tracks]
    assert names == ["MyVox", "Twice", "twice", "Mix", "Drums", "drums", "Reference", "vocals"]
    stem = project.tracks[-1]
    assert not stem.main_send and stem.items[0].path == "audio/vocals.wav"
    [receive] = project.tracks[0].receives
    assert (receive.source, receive.gain_linear, receive.pan_law, receive.mode) == (7, 1.0, 1.0, 0)
    with pytest.raises(UsageError, match="no stem called 'vocls'"):
        ADAPTER.merge(
            neutral_plan(theirs.parent, ("vocals",)),
            theirs,
            theirs.with_name("x.rpp"),
            MergePlace(bus_map=(("vocls", "MyVox"),)),
        )


def test_what_listens_to_a_bus_that_does_not_come_is_said(theirs: Path) -> None:
    plan = neutral_plan(theirs.parent, ("drums", "bass"))
    keyed = replace(plan.buses[1], effects=(Compressor(threshold_db=-20.0, ratio=4.0, sidechain_bus="drums"),))
    report = ADAPTER.merge(
        replace(plan, buses=(plan.buses[0], keyed)),
        theirs,
        theirs.with_name("x.rpp"),
        MergePlace(bus_map=(("drums", "MyVox"),)),
    )
    assert [limit.what for limit in report.limits if limit.feature is Feature.SIDECHAIN] == [
        "Bass: the compressor that listens to drums"
    ]


def test_a_built_song_goes_into_a_project_without_separating_it_again(
    tmp_path: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    mix = tmp_path / "song.wav"
    soundfile.write(mix, 0.1 * np.random.default_rng(1).standard_normal((22_050, 2)), 44_100)
    build = ["build", str(mix), "-m", "preview", "--template", "neutral"]
    assert main(build) == 0
    before = (tmp_path / "song.session" / "manifest.json").read_bytes()
    for number, more in enumerate(([], ["--at", "Chorus"], ["--bus-map", "vocals=MyVox"])):
        target = tmp_path / f"into{number}.rpp"
        assert main([*build, "--no-cache", "--into", str(theirs), "-o", str(target), *more]) == 0
        assert len(read_project(rpp.load(target)).tracks) > 5
    assert (tmp_path / "song.session" / "manifest.json").read_bytes() == before
    manifest = read_manifest(tmp_path / "song.session")
    assert manifest is not None and len(manifest.sessions) == 1
    assert main([*build, "--at", "Chorus"]) == 2
    assert "give --into PROJECT, too" in capsys.readouterr().err
    assert main([*build, "--into", str(theirs), "-o", str(tmp_path / "y.rpp"), "--bus-map", "vocals"]) == 2
    assert "STEM=TRACK" in capsys.readouterr().err
