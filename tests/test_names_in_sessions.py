"""Names with every mark that file systems take arrive unchanged in what each DAW reads."""

from __future__ import annotations

import gzip
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import aaf2
import av
import numpy as np
import pytest
import rpp as independent_rpp
import soundfile as sf

from daw_bridge.model import SessionPlan
from daw_bridge.session import Session
from daw_bridge.testing import example_plan
from daw_bridge_aaf.adapter import ADAPTER as AAF
from daw_bridge_liveset.adapter import ADAPTER as LIVE
from daw_bridge_nistem.adapter import ADAPTER as NISTEM

RATE_HZ = 44_100
NAMES = ["Don't Stop", "100%", "a&b`c", "#1; $5 + {x} [y] = ~z^ @!,", "it's ]]> &amp; `quoted`"]

RESERVED_BY_ARDOUR = ["Master", "master", "Monitor", "auditioner", "Click"]
"""Only Ardour takes these for its own; for the others they are names like any other."""


def session_of(name: str, folder: Path) -> Session:
    """A session called `name` with one file on one bus, all of that name."""
    audio = folder / "audio" / f"{name.replace('>', '')}.wav"
    audio.parent.mkdir(parents=True)
    sf.write(audio, np.full((100, 2), 0.25, dtype=np.float32), RATE_HZ, subtype="FLOAT")
    session = Session(name, template="band")
    session.add_bus("wild", label=name)
    session.import_audio(audio, target_bus=name, name=name)
    return session


@pytest.mark.parametrize("name", [*NAMES, *RESERVED_BY_ARDOUR])
def test_reaper_projects_keep_names(name: str, tmp_path: Path) -> None:
    session = session_of(name, tmp_path)
    (report,) = session.save(tmp_path, daw="reaper")
    assert report.session_path.stem == session.plan.name
    root = independent_rpp.loads(report.session_path.read_text("utf-8"))
    labels = [track.find("NAME")[1] for track in root.findall("./TRACK")]
    assert {session.buses[-1].label, session.plan.tracks[0].name} <= set(labels)
    item = root.find(".//ITEM")
    assert item.find("NAME")[1] == session.plan.tracks[0].name
    assert (tmp_path / item.find("./SOURCE/FILE")[1]).samefile(session.plan.tracks[0].clips[0].path)


@pytest.mark.parametrize("name", NAMES)
def test_ardour_sessions_keep_names(name: str, tmp_path: Path) -> None:
    session = session_of(name, tmp_path)
    (report,) = session.save(tmp_path / "out", daw="ardour")
    root = ET.fromstring(report.files[0].read_bytes())  # noqa: S314
    assert root.get("name") == session.plan.name.replace(";", ",")  # Ardour's sessions cannot have it
    sources = [source.get("name", "") for source in root.findall("./Sources/Source")]
    assert sources and all((report.files[1].parent / source).is_file() for source in sources)
    assert {source.rpartition(".")[0] for source in sources} == {session.plan.tracks[0].clips[0].path.stem}
    assert root.findtext("./Metadata/title") == session.plan.name


@pytest.mark.parametrize("name", [*NAMES, *RESERVED_BY_ARDOUR])
def test_dawproject_files_keep_names(name: str, tmp_path: Path) -> None:
    session = session_of(name, tmp_path)
    (report,) = session.save(tmp_path / "out", daw="dawproject")
    with zipfile.ZipFile(report.session_path) as container:
        root = ET.fromstring(container.read("project.xml"))  # noqa: S314
        files = [node.get("path") for node in root.iter("File")]
        assert files and set(files) <= set(container.namelist())
        assert ET.fromstring(container.read("metadata.xml")).findtext("Title") == session.plan.name  # noqa: S314
    assert name in {track.get("name") for track in root.iter("Track")}


MARKS = 'Don\'t "stop" `a/b` \\ c & <d> ]]> {e} [f]; 100 % #1 🎛 Größe'
"""What a person may call a song and a track where no file bears that name."""


def called(name: str, folder: Path) -> SessionPlan:
    """The example, with a song, a track and markers of that name."""
    plan = example_plan(folder, name=name)
    tracks = (replace(plan.tracks[0], name=name), *plan.tracks[1:])
    return replace(plan, tracks=tracks, markers=tuple(replace(each, name=name) for each in plan.markers))


def test_live_sets_keep_names(tmp_path: Path) -> None:
    report = LIVE.write(called(MARKS, tmp_path), tmp_path, "Song")
    root = ET.fromstring(gzip.decompress(report.session_path.read_bytes()))  # noqa: S314
    names = {each.get("Value") for each in root.iter("EffectiveName")}
    assert MARKS in names
    assert MARKS in {each.get("Value") for each in root.findall("LiveSet/Locators/Locators/Locator/Name")}


def test_aaf_files_keep_names(tmp_path: Path) -> None:
    report = AAF.write(called(MARKS, tmp_path), tmp_path, "Song")
    with aaf2.open(str(report.session_path)) as file:
        [composition] = file.content.toplevel()
        assert composition.name == MARKS
        assert any((slot.name or "").startswith(MARKS) for slot in composition.slots)


def test_stem_files_keep_names(tmp_path: Path) -> None:
    report = NISTEM.write(called(MARKS, tmp_path), tmp_path, "Song")
    with av.open(str(report.session_path)) as container:
        assert container.metadata["title"] == MARKS


@pytest.mark.parametrize("name", [*RESERVED_BY_ARDOUR, "Main", "A-Return"])
def test_live_sets_have_no_reserved_names(name: str, tmp_path: Path) -> None:
    """Live's own strips stand elsewhere in the file."""
    (report,) = session_of(name, tmp_path).save(tmp_path / "out", daw="live")
    root = ET.fromstring(gzip.decompress(report.session_path.read_bytes()))  # noqa: S314
    names = [node.get("Value") for node in root.findall("LiveSet/Tracks/*/Name/EffectiveName")]
    assert names.count(name) == 2  # the bus and its track


@pytest.mark.parametrize("name", RESERVED_BY_ARDOUR)
def test_aaf_files_have_no_reserved_names(name: str, tmp_path: Path) -> None:
    (report,) = session_of(name, tmp_path).save(tmp_path / "out", daw="aaf")
    with aaf2.open(str(report.session_path)) as file:
        names = {slot.name for mob in file.content.toplevel() for slot in mob.slots}
    assert {f"{name}.L", f"{name}.R"} <= names
