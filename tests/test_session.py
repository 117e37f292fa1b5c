"""The scriptable session: audio lands on the bus and the sample that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.errors import InputError, TemplateError, UsageError
from daw_bridge.session import Session

RATE_HZ = 44_100


@pytest.fixture
def vocals(tmp_path: Path) -> Path:
    path = tmp_path / "vocals.wav"
    sf.write(path, np.full((RATE_HZ, 2), 0.25, dtype=np.float32), RATE_HZ, subtype="FLOAT")
    return path


def test_a_stem_goes_to_its_bus_by_name_and_by_number(vocals: Path) -> None:
    session = Session("Song", template="band")
    by_name = session.import_audio(vocals, target_bus="vocals", align_to="project_start")
    number = [bus.name for bus in session.buses].index("vocals") + 1
    by_number = session.import_audio(vocals, target_bus=number)
    assert by_name.output == by_number.output == "vocals"
    assert by_name.clips[0].position_samples == 0
    assert by_name.clips[0].length_samples == session.plan.length_samples == RATE_HZ
    assert [track.name for track in session.plan.tracks] == ["vocals", "vocals (2)"]


def test_audio_aligns_to_a_marker_or_a_time_on_the_sample(vocals: Path) -> None:
    session = Session("Song", template="band")
    session.add_marker("Chorus", time_s=1.5, length_s=2.0)
    at_marker = session.import_audio(vocals, target_bus="vocals", align_to="Chorus")
    at_time = session.import_audio(vocals, target_bus="vocals", align_to=0.25)
    assert at_marker.clips[0].position_samples == 66_150
    assert at_time.clips[0].position_samples == 11_025
    assert session.plan.length_samples == 66_150 + RATE_HZ


def test_a_new_name_makes_a_neutral_bus_and_a_slip_is_caught(vocals: Path) -> None:
    session = Session("Song", template="band")
    session.import_audio(vocals, target_bus="choir")
    assert session.buses[-1].name == "choir" and not session.buses[-1].effects
    with pytest.raises(UsageError, match=r"no bus called 'vocal' \(did you mean vocals\?\)"):
        session.import_audio(vocals, target_bus="vocal")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target_bus": 0}, "has buses 1 to"),
        ({"target_bus": 99}, "has buses 1 to"),
        ({"target_bus": "vocals", "align_to": "Refrain"}, "no marker called 'Refrain'"),
        ({"target_bus": "vocals", "align_to": -1.0}, "cannot align to"),
        ({"target_bus": "vocals", "align_to": float("nan")}, "cannot align to"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(vocals: Path, arguments: dict[str, object], words: str) -> None:
    session = Session("Song", template="band")
    before = session.plan
    with pytest.raises(UsageError, match=words):
        session.import_audio(vocals, **arguments)  # type: ignore[arg-type]
    assert session.plan == before


def test_another_sample_rate_is_refused(vocals: Path) -> None:
    session = Session("Song", template="band", sample_rate_hz=48_000)
    with pytest.raises(InputError, match="44100 Hz, the session 48000 Hz"):
        session.import_audio(vocals, target_bus="vocals")


def test_a_taken_bus_name_and_an_unknown_template_are_refused() -> None:
    with pytest.raises(UsageError, match="exists already"):
        Session("Song", template="band").add_bus("mix")
    with pytest.raises(TemplateError, match="no template called"):
        Session("Song", template="bnad")


def test_saving_writes_a_project_and_never_overwrites_one(vocals: Path, tmp_path: Path) -> None:
    session = Session("Song", template="band")
    session.import_audio(vocals, target_bus="vocals")
    first, second = (session.save(tmp_path / "out", daw="reaper")[0].session_path for _ in range(2))
    assert first.name == "Song.rpp" and second.name == "Song (2).rpp"
    assert "vocals.wav" in first.read_text("utf-8")
