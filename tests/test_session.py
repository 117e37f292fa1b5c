"""The scriptable session: audio lands on the bus and the sample that was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.errors import DawBridgeError, InputError, TemplateError, UsageError
from daw_bridge.session import Session
from daw_bridge.workflow import BuildOptions

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


@pytest.mark.parametrize("called", ["VOCALS", "Vocals", " vocals "])
def test_a_bus_answers_to_its_name_and_label_in_any_case(called: str, vocals: Path) -> None:
    session = Session("Song", template="band")
    before = session.buses
    assert session.import_audio(vocals, target_bus=called).output == "vocals"
    assert session.buses == before
    session.add_bus("bv", label="Backing Vox")
    assert session.import_audio(vocals, target_bus="backing vox").output == "bv"


@pytest.mark.parametrize("called", ["vocal", "VOCLAS", "kazoo", ""])
def test_no_slip_ever_makes_a_bus(called: str, vocals: Path) -> None:
    session = Session("Song", template="band")
    before = session.plan
    with pytest.raises(UsageError, match=f"no bus called '{called}'.*there are: drums, .*add_bus"):
        session.import_audio(vocals, target_bus=called)
    assert session.plan == before
    with pytest.raises(UsageError, match=r"\(did you mean vocals\?\)"):
        session.import_audio(vocals, target_bus="VOCAL")


def test_a_label_of_two_buses_is_no_way_to_choose_one(vocals: Path) -> None:
    session = Session("Song", template="band")
    session.add_bus("one", label="Same")
    session.plan = replace(session.plan, buses=(*session.buses, replace(session.buses[-1], name="two")))
    with pytest.raises(UsageError, match="several buses are called 'same'; give a name"):
        session.import_audio(vocals, target_bus="same")


def test_a_new_bus_is_made_on_purpose_and_is_neutral(vocals: Path) -> None:
    session = Session("Song", template="band")
    session.add_bus("choir")
    assert session.import_audio(vocals, target_bus="choir").output == "choir"
    assert session.buses[-1].name == "choir" and not session.buses[-1].effects


def test_a_new_bus_may_feed_another_one(vocals: Path) -> None:
    session = Session("Song", template="neutral")
    session.add_bus("voices")
    made = session.add_bus("choir", parent="VOICES")
    assert made.parent == "voices"
    assert session.import_audio(vocals, target_bus="choir").output == "choir"
    with pytest.raises(UsageError, match="no bus called 'nobody'"):
        session.add_bus("other", parent="nobody")
    assert [bus.name for bus in session.buses] == ["voices", "choir"]


@pytest.mark.parametrize("rate_hz", [0, -44_100, 7_999, 192_001])
def test_a_rate_that_no_audio_has_is_refused(rate_hz: int) -> None:
    with pytest.raises(UsageError, match=f"sample_rate_hz={rate_hz}: a session has 8000 to 192000 Hz"):
        Session("Song", sample_rate_hz=rate_hz)


def test_more_than_two_channels_are_refused_at_once(tmp_path: Path) -> None:
    sf.write(tmp_path / "six.wav", np.zeros((100, 6), dtype=np.float32), RATE_HZ)
    session = Session("Song", template="band")
    with pytest.raises(InputError, match=r"six\.wav: has 6 channels, a track takes one or two"):
        session.import_audio(tmp_path / "six.wav", target_bus="vocals")


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
    with pytest.raises(UsageError, match="exists already"):
        Session("Song", template="band").add_bus("VOCALS")
    with pytest.raises(TemplateError, match="no template called"):
        Session("Song", template="bnad")


def test_saving_writes_a_project_and_never_overwrites_one(vocals: Path, tmp_path: Path) -> None:
    session = Session("Song", template="band")
    session.import_audio(vocals, target_bus="vocals")
    first, second = (session.save(tmp_path / "out", daw="reaper")[0].session_path for _ in range(2))
    assert first.name == "Song.rpp" and second.name == "Song (2).rpp"
    assert "vocals.wav" in first.read_text("utf-8")


@pytest.mark.parametrize("daws", [("reaper", "ardour"), ("ardour", "dawproject", "reaper", "dawproject-typo")])
def test_saving_for_several_daws_writes_all_or_nothing(daws: tuple[str, ...], vocals: Path, tmp_path: Path) -> None:
    session = Session("Song", template="band")
    session.import_audio(vocals, target_bus="vocals")
    out = tmp_path / "out"
    if daws[-1] == "ardour":
        assert [report.adapter for report in session.save(tmp_path / "fine", daw=daws)] == list(daws)
        vocals.unlink()  # REAPER's project only names its media, Ardour's session holds them
    with pytest.raises(DawBridgeError):
        session.save(out, daw=daws)
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize(("option", "name"), [("daws", "reaper"), ("stems", "vocals")])
def test_one_name_instead_of_a_tuple_is_said_to_be_one(option: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{option}='{name}': give a tuple of names, as in {option}=\('{name}',\)"):
        BuildOptions(**{option: name})  # type: ignore[arg-type]
