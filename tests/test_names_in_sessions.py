"""Names with every mark that file systems take arrive unchanged in what each DAW reads."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rpp as independent_rpp
import soundfile as sf

from daw_bridge.session import Session

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
