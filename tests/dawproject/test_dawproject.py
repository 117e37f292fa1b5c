"""DAWproject files: valid by the official schema and by our own checks, the same bytes every time, read back whole."""

from __future__ import annotations

import zipfile
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.adapter_lab import noise, write_clip
from daw_bridge.adapter import Feature, SessionAdapter, Support
from daw_bridge.errors import InputError, OutputError, UsageError
from daw_bridge.model import (
    BandKind,
    Bus,
    Colour,
    Compressor,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    Marker,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
    Track,
)
from daw_bridge_dawproject.adapter import ADAPTER
from daw_bridge_dawproject.checks import problems
from daw_bridge_dawproject.container import read_container
from daw_bridge_dawproject.read import read_project

RED, BLUE = Colour.from_hex("#e04030"), Colour.from_hex("#3060e0")


def make_plan(folder: Path, rate: int = 44_100, length: int = 4411) -> SessionPlan:
    """Everything that the format can hold exactly; lengths are odd so that times are no round numbers."""
    clips = {
        name: write_clip(folder / "audio" / f"{name}.wav", noise(channels, length, seed), rate)
        for seed, (name, channels) in enumerate({"drums": 2, "bass": 1, "vocals": 2, "mix": 2}.items())
    }
    eq = Equalizer(
        bands=(
            EqBand(kind=BandKind.HIGHPASS, frequency_hz=30.5),
            EqBand(kind=BandKind.BELL, frequency_hz=350, gain_db=-2.5, q=1.2, enabled=False),
            *(EqBand(kind=kind, frequency_hz=4000, gain_db=1.5) for kind in (BandKind.LOWSHELF, BandKind.HIGHSHELF)),
            *(EqBand(kind=kind, frequency_hz=9000, q=2) for kind in (BandKind.LOWPASS, BandKind.NOTCH)),
        )
    )
    dynamics = (
        Compressor(threshold_db=-18, ratio=4, attack_ms=8, release_ms=110, makeup_db=2),
        Gate(threshold_db=-45, attack_ms=2, hold_ms=0, release_ms=90, enabled=False),
        Limiter(ceiling_db=-1, threshold_db=-1, release_ms=60),
        Gain(gain_db=-3.5),
    )
    return SessionPlan(
        name='Größe "1" & <2>',
        sample_rate_hz=rate,
        length_samples=length + 3,
        tracks=(
            Track(name="drums stem", output="drums", clips=(clips["drums"],), colour=RED, gain_db=-1.5),
            Track(name="bass stem", output="bass_sub", clips=(replace(clips["bass"], position_samples=3),), pan=0.25),
            Track(name="vocals stem", output="vocals", clips=(clips["vocals"],), solo=True),
        ),
        buses=(
            Bus(
                name="drums",
                label="Drums",
                colour=RED,
                gain_db=-3.0,
                effects=(eq, *dynamics),
                sends=(Send(to="verb", gain_db=-12), Send(to="room", gain_db=-6, pre_fader=True)),
            ),
            Bus(name="bass_sub", label="Bass & <sub>", mute=True, pan=-0.5),
            Bus(name="vocals", label="Vocals", colour=BLUE, solo=True),
        ),
        returns=(Bus(name="verb", label="Verb", gain_db=-4), Bus(name="room", label="Room")),
        mix_bus=Bus(name="mix", label="Mix", effects=(Limiter(),)),
        reference=Track(name="Reference", output="master", clips=(clips["mix"],), mute=True, colour=BLUE),
        markers=(Marker(name="Verse <1>", position_samples=1), Marker(name="Chorus", position_samples=999, colour=RED)),
        tempo_bpm=97.53,
        time_signature=(7, 8),
        notes=("by a test", "two lines"),
    )


def test_the_adapter_keeps_the_contract() -> None:
    assert isinstance(ADAPTER, SessionAdapter)
    assert set(ADAPTER.features) == set(Feature)


def approx(value: object) -> object:
    """The same plan with every float rounded: dB go through linear gain and back."""
    if isinstance(value, float):
        return round(value, 9) + 0.0
    if isinstance(value, tuple):
        return tuple(approx(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: approx(getattr(value, each.name)) for each in fields(value)})
    return value


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    report = ADAPTER.write(plan, tmp_path, "Song")
    assert not report.limits
    back = read_project(report.session_path).plan

    def inside(track: Track) -> Track:
        clips = (replace(clip, path=Path("audio") / clip.path.name) for clip in track.clips)
        return replace(track, clips=tuple(clips))

    assert plan.reference is not None
    wanted = replace(plan, tracks=tuple(inside(track) for track in plan.tracks), reference=inside(plan.reference))
    assert approx(back) == approx(wanted)


def test_the_audio_inside_is_the_audio_outside(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    report = ADAPTER.write(plan, tmp_path, "Song")
    with zipfile.ZipFile(report.session_path) as container:
        assert container.testzip() is None
        for track in plan.tracks:
            source = track.clips[0].path
            entry = container.getinfo(f"audio/{source.name}")
            assert entry.compress_type == zipfile.ZIP_STORED
            assert container.read(entry) == source.read_bytes()


def test_same_plan_same_bytes(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    first, second = (ADAPTER.write(plan, tmp_path, name).session_path.read_bytes() for name in ("a", "b"))
    assert first == second


def schema(shared_dir: Path, name: str) -> object:
    etree = pytest.importorskip("lxml.etree")
    return etree.XMLSchema(etree.parse(str(shared_dir / "schemas" / "dawproject" / name)))


@pytest.mark.shared
def test_both_files_are_valid_by_the_official_schema(tmp_path: Path, shared_dir: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    plan = make_plan(tmp_path)
    lossy = replace(plan, returns=(replace(plan.returns[0], effects=(Reverb(),)), *plan.returns[1:]), notes=())
    for number, made in enumerate((plan, lossy)):
        report = ADAPTER.write(made, tmp_path, f"Song {number}")
        project, metadata, _ = read_container(report.session_path)
        for name, text in (("Project.xsd", project), ("MetaData.xsd", metadata)):
            check = schema(shared_dir, name)
            assert check.validate(etree.fromstring(text)), check.error_log  # type: ignore[attr-defined]


@pytest.mark.shared
def test_the_official_schema_would_notice_a_fault(tmp_path: Path, shared_dir: Path) -> None:
    """Elements in the wrong order must fail, or the test above proves nothing."""
    etree = pytest.importorskip("lxml.etree")
    project, _, _ = read_container(ADAPTER.write(make_plan(tmp_path), tmp_path, "Song").session_path)
    root = etree.fromstring(project)
    channel = root.find(".//Channel")
    channel.append(channel[0])
    assert not schema(shared_dir, "Project.xsd").validate(root)  # type: ignore[attr-defined]


def test_what_the_format_has_no_word_for_is_said(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    lossy = replace(
        plan,
        buses=(
            replace(
                plan.buses[0],
                group="Rhythm",
                effects=(
                    Compressor(threshold_db=-20, ratio=3, knee_db=6, sidechain_bus="Vocals"),
                    Gate(threshold_db=-40),
                    Limiter(ceiling_db=-1, threshold_db=-4),
                    PluginRef(daw="reaper", name="JS: 1175"),
                ),
            ),
            *plan.buses[1:],
        ),
        returns=(replace(plan.returns[0], effects=(Reverb(),)), plan.returns[1]),
        markers=(Marker(name="Solo", position_samples=5, length_samples=50),),
    )
    report = ADAPTER.write(lossy, tmp_path, "Song")
    said = {(limit.feature, limit.support) for limit in report.limits}
    assert said == {
        (Feature.COMPRESSOR, Support.APPROXIMATED),
        (Feature.SIDECHAIN, Support.NOT_POSSIBLE),
        (Feature.GATE, Support.APPROXIMATED),
        (Feature.LIMITER, Support.APPROXIMATED),
        (Feature.PLUGIN, Support.NOT_POSSIBLE),
        (Feature.GROUPS, Support.NOT_POSSIBLE),
        (Feature.REVERB, Support.NOT_POSSIBLE),
        (Feature.RETURNS, Support.APPROXIMATED),
        (Feature.MARKERS, Support.APPROXIMATED),
    }
    back = read_project(report.session_path).plan
    assert [made.mute for made in back.returns] == [True, False]


def test_ratio_and_times_are_in_the_units_of_the_format(tmp_path: Path) -> None:
    project, _, _ = read_container(ADAPTER.write(make_plan(tmp_path), tmp_path, "Song").session_path)
    device = ET.fromstring(project).find(".//Compressor")  # noqa: S314
    assert device is not None
    values = {child.tag: (child.get("value"), child.get("unit")) for child in device if child.get("unit")}
    assert values == {
        "Attack": ("0.008", "seconds"),
        "OutputGain": ("2.0", "decibel"),
        "Ratio": ("75.0", "percent"),
        "Release": ("0.11", "seconds"),
        "Threshold": ("-18.0", "decibel"),
    }


def test_thirty_two_stems_odd_names_and_an_empty_one(tmp_path: Path) -> None:
    rate = 48_000
    folder = tmp_path / "Сон & co"
    folder.mkdir()
    clips = [write_clip(folder / str(n % 2) / f"a é & {n // 2}.wav", noise(1, 480, n), rate) for n in range(32)]
    names = [f'{n}: a/b "c" & <d>\x07\ud800 日本 🎸' for n in range(32)]
    plan = SessionPlan(
        name='all "names" & <more>\x00',
        sample_rate_hz=rate,
        length_samples=480,
        tracks=tuple(
            Track(name=name, output=name, clips=(replace(clip, length_samples=0) if n == 7 else clip,))
            for n, (name, clip) in enumerate(zip(names, clips, strict=True))
        ),
        buses=tuple(Bus(name=name, label=name) for name in names),
        mix_bus=Bus(name="mix", label="Mix"),
    )
    report = ADAPTER.write(plan, folder, "Größe")
    back = read_project(report.session_path).plan
    assert [len(track.clips) for track in back.tracks] == [int(n != 7) for n in range(32)]
    assert len({clip.path for track in back.tracks for clip in track.clips}) == 31
    assert back.tracks[0].name == '0: a/b "c" & <d> 日本 🎸'


def test_an_entry_past_four_gigabytes_gets_a_zip64_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered instead of writing 4 GB: the same code path, and the file must still read back."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    report = ADAPTER.write(make_plan(tmp_path), tmp_path, "Song")
    data = report.session_path.read_bytes()
    assert b"PK\x06\x06" in data  # zip64 end of central directory
    monkeypatch.undo()
    assert len(read_project(report.session_path).plan.tracks) == 3


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name"):
        ADAPTER.write(make_plan(tmp_path), tmp_path, name)


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Song.dawproject").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        ADAPTER.write(make_plan(tmp_path), tmp_path, "Song")
    assert (tmp_path / "Song.dawproject").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        ADAPTER.write(plan, tmp_path / "file", "Song")


def test_missing_audio_and_unknown_buses_leave_nothing_behind(tmp_path: Path) -> None:
    plan = make_plan(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="'nowhere'"):
        ADAPTER.write(replace(plan, tracks=(replace(plan.tracks[0], output="nowhere"),)), tmp_path, "Song")
    nowhere = replace(plan.buses[0], sends=(Send(to="nowhere"),))
    with pytest.raises(InputError, match="no return"):
        ADAPTER.write(replace(plan, buses=(nowhere, *plan.buses[1:])), tmp_path, "Song")
    assert sorted(tmp_path.rglob("*")) == before
    plan.tracks[0].clips[0].path.unlink()
    with pytest.raises(InputError, match="no such audio file"):
        ADAPTER.write(plan, tmp_path, "Song")
    assert not list(tmp_path.glob("*.dawproject*"))


FAULTS = {
    "does not exist": lambda root: root.find(".//Channel").set("destination", "id999"),
    "and no Channel": lambda root: root.find(".//Channel").set("destination", root.find(".//Track").get("id")),
    "is no colour": lambda root: root.find(".//Track").set("color", "red"),
    "given twice": lambda root: root.find(".//Clips").set("id", root.find(".//Track").get("id")),
    "outside": lambda root: root.find(".//Pan").set("value", "1.5"),
    "is no number": lambda root: root.find(".//Volume").set("value", "loud"),
    "not finite": lambda root: root.find(".//Volume").set("value", "nan"),
    "below 0": lambda root: root.find(".//Clip").set("time", "-1"),
    "not above 0": lambda root: root.find(".//Clip").set("duration", "0"),
    "leaves the container": lambda root: root.find(".//File").set("path", "../../etc/passwd"),
    "not in the container": lambda root: root.find(".//File").set("path", "audio/gone.wav"),
    "have no destination": lambda root: root.find(".//Channel").attrib.pop("destination"),
    "feeds itself": lambda root: root.find(".//Channel").set("destination", root.find(".//Channel").get("id")),
}


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_that_the_schema_misses_is_found(tmp_path: Path, message: str) -> None:
    project, _, audio = read_container(ADAPTER.write(make_plan(tmp_path), tmp_path, "Song").session_path)
    root = ET.fromstring(project)  # noqa: S314
    assert problems(root, audio) == []
    FAULTS[message](root)
    assert any(message in problem for problem in problems(root, audio)), problems(root, audio)


def test_files_that_are_no_project_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.dawproject"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="not a DAWproject file"):
        read_project(path)
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("metadata.xml", "<MetaData/>")
    with pytest.raises(InputError, match=r"no project\.xml"):
        read_project(path)
    for text, message in (("<Project", "damaged"), ('<!DOCTYPE a [<!ENTITY b "c">]><a/>', "document type")):
        with zipfile.ZipFile(path, "w") as container:
            container.writestr("metadata.xml", "<MetaData/>")
            container.writestr("project.xml", text)
        with pytest.raises(InputError, match=message):
            read_project(path)


def test_positions_survive_seconds_at_every_rate(tmp_path: Path) -> None:
    """A sample's time in seconds, written as text and read back, must round to the same sample."""
    rng = np.random.default_rng(0)
    for rate in (44_100, 48_000, 88_200, 96_000, 192_000):
        for position in rng.integers(0, rate * 3600 * 3, 2000):
            assert round(float(repr(int(position) / rate)) * rate) == position
