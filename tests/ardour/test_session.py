"""What the session folder holds, checked without Ardour; and input that must be refused whole."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.adapter import Diagnosable, Feature, SessionAdapter
from daw_bridge.errors import InputError, OutputError, TemplateError, UsageError
from daw_bridge.model import Bus, Clip, PluginRef, SessionPlan, Track
from daw_bridge_ardour.adapter import ADAPTER
from tests.ardour.plans import full_plan, song_plan
from tests.ardour.read_back import ReadSession, read_session


def written(plan: SessionPlan, folder: Path, name: str = "Song") -> ReadSession:
    report = ADAPTER.write(plan, folder, name)
    return read_session(report.files[0])


def test_the_adapter_keeps_the_contract() -> None:
    assert isinstance(ADAPTER, SessionAdapter)
    assert isinstance(ADAPTER, Diagnosable)
    assert set(ADAPTER.features) == set(Feature)


def test_same_plan_same_bytes(song: Path) -> None:
    plan = full_plan(song)
    first, second = (ADAPTER.write(plan, song / sub, "Song") for sub in (_folder(song, "a"), _folder(song, "b")))
    assert first.files[0].read_bytes() == second.files[0].read_bytes()


def _folder(parent: Path, name: str) -> str:
    (parent / name).mkdir()
    return name


def test_routing_values_and_markers_are_in_the_file(song: Path) -> None:
    session = written(full_plan(song), song)
    strips = session.strips
    assert list(strips) == [
        "Master", "drums", "a-b- 'v' & (x)", "Bass stem", "Drums", "Bass", "Vocals - lead", "Verb", "Echo", "Mix",
        "Reference",
    ]  # fmt: skip
    assert strips["Drums"].outputs == ("Mix/audio_in 1", "Mix/audio_in 2")
    assert strips["Mix"].outputs == ("Master/audio_in 1", "Master/audio_in 2")
    assert strips["Reference"].outputs == ("Master/audio_in 1", "Master/audio_in 2")
    assert strips["Reference"].mute
    assert strips["Reference"].gain_linear == 1.0
    assert strips["Drums"].gain_linear == pytest.approx(10 ** (-3 / 20))
    assert [(s.to, s.pre_fader) for s in strips["Drums"].sends] == [("Echo", True), ("Verb", False)]
    assert strips["Drums"].key_sends == ("SC Bass 1",)
    assert strips["Drums"].colour == 0xE04030FF
    assert strips["Drums"].group == strips["Bass"].group == "Rhythm"
    assert strips["Vocals - lead"].azimuth == 0.25
    assert strips["Vocals - lead"].solo
    assert session.markers == (("Verse & <1>", 4411, 4411), ("Chorus", 12_000, 18_000))
    assert session.range_samples == (0, 48_000)
    assert (session.tempo_bpm, session.time_signature) == (97.5, (3, 4))


def test_names_that_had_to_change_are_in_the_report(song: Path) -> None:
    report = ADAPTER.write(full_plan(song), song, "Song")
    renamed = {limit.where: limit.what for limit in report.limits if limit.feature is Feature.BUSES}
    assert set(renamed) == {'a/b: "v" & <x>', "Bass", "Vocals / lead"}
    assert "'Bass stem'" in renamed["Bass"]


def test_stems_are_linked_not_copied_and_never_touched(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.2)
    source = plan.tracks[0].clips[0].path
    before = source.read_bytes()
    report = ADAPTER.write(plan, song, "Song")
    linked = next(file for file in report.files if file.name == source.name)
    assert linked.samefile(source)
    assert linked.is_relative_to(report.session_path)
    assert source.read_bytes() == before


def test_two_files_of_one_name_and_one_file_on_two_tracks(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.2)
    clip = plan.tracks[0].clips[0]
    other = song / "elsewhere" / "Drums.WAV"
    other.parent.mkdir()
    other.write_bytes(clip.path.read_bytes())
    more = (
        Track(name="again", output="drums", clips=(clip,)),
        Track(name="more", output="drums", clips=(replace(clip, path=other),)),
    )
    report = ADAPTER.write(replace(plan, tracks=(*plan.tracks, *more)), song, "Song")
    session = read_session(report.files[0])
    assert session.strips["again"].regions[0].file == "drums.wav"
    assert session.strips["more"].regions[0].file == "Drums 2.WAV"
    assert len(report.files) == 1 + 6 + 1


def test_an_empty_stem_becomes_an_empty_track(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.2)
    empty = replace(plan.tracks[0].clips[0], length_samples=0)
    session = written(replace(plan, tracks=(replace(plan.tracks[0], clips=(empty,)), *plan.tracks[1:])), song)
    assert session.strips["drums"].regions == ()
    assert len(session.strips["bass"].regions) == 1


def test_a_panned_mono_track_uses_its_file_on_both_sides(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=1, seconds=0.2)
    panned = (replace(plan.tracks[0], pan=0.5), *plan.tracks[1:])
    session = written(replace(plan, tracks=panned), song)
    assert session.strips["drums"].regions[0].channels == 2
    assert session.strips["bass"].regions[0].channels == 1


def test_an_existing_session_is_refused_and_left_alone(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.2)
    path = ADAPTER.write(plan, song, "Song").session_path
    before = sorted(p.stat().st_mtime_ns for p in path.rglob("*"))
    with pytest.raises(OutputError, match="exists already"):
        ADAPTER.write(plan, song, "Song")
    assert sorted(p.stat().st_mtime_ns for p in path.rglob("*")) == before


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a:b"])
def test_a_name_that_is_a_path_is_refused(song: Path, name: str) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    with pytest.raises(UsageError, match="cannot name"):
        ADAPTER.write(plan, song, name)


def test_a_missing_stem_leaves_nothing_behind(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    plan.tracks[-1].clips[0].path.unlink()
    before = sorted(song.iterdir())
    with pytest.raises(InputError, match="no such audio file"):
        ADAPTER.write(plan, song, "Song")
    assert sorted(song.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [({"sample_rate_hz": 32_000}, "32000 Hz in a session of 44100"), ({"channels": 6}, "6 channels")],
)
def test_a_clip_that_does_not_fit_is_refused(song: Path, change: dict[str, Any], message: str) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    wrong = replace(plan.tracks[0].clips[0], **change)
    with pytest.raises(InputError, match=message):
        ADAPTER.write(replace(plan, tracks=(replace(plan.tracks[0], clips=(wrong,)),)), song, "Song")
    assert not ADAPTER.session_path(song, "Song").exists()


def test_an_unknown_bus_is_named(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    with pytest.raises(InputError, match="'nowhere'"):
        ADAPTER.write(replace(plan, tracks=(replace(plan.tracks[0], output="nowhere"),)), song, "Song")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    song.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OutputError, match="not allowed"):
        ADAPTER.write(plan, song, "Song")


def test_a_folder_that_is_a_file_is_said(song: Path) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    place = song / "file"
    place.write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        ADAPTER.write(plan, place, "Song")


def test_a_users_processor_travels_untouched(song: Path) -> None:
    port = '<Port symbol="a" value="0.123456789"/>'
    state = f'<Processor id="7" type="lv2" unique-id="urn:x" name="X"><lv2>{port}</lv2></Processor>'
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    bus = replace(plan.buses[0], effects=(PluginRef(daw="ardour", name="X", state=state),))
    report = ADAPTER.write(replace(plan, buses=(bus, *plan.buses[1:])), song, "Song")
    assert port.replace("/>", " />") in report.files[0].read_text()
    assert [plugin.unique_id for plugin in read_session(report.files[0]).strips["Drums"].plugins] == ["urn:x"]


@pytest.mark.parametrize("state", ["<oops", "<Route/>", '<!DOCTYPE a [<!ENTITY b "c">]><Processor unique-id="x"/>'])
def test_a_state_that_is_no_processor_is_a_template_error(song: Path, state: str) -> None:
    plan, _ = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    bus = Bus(name="drums", label="Drums", effects=(PluginRef(daw="ardour", name="X", state=state),))
    with pytest.raises(TemplateError, match=r"<Processor> element|plain XML"):
        ADAPTER.write(replace(plan, buses=(bus, *plan.buses[1:])), song, "Song")
    assert not ADAPTER.session_path(song, "Song").exists()


def test_a_file_that_is_no_session_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ardour"
    for text, message in (
        ("<Session", "not an Ardour session"),
        ("<A/>", "starts with <A>"),
        ("<!DOCTYPE a><a/>", "type"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_session(path)


def test_a_disk_without_links_gets_copies(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=0.1)
    report = ADAPTER.write(plan, song, "Song")
    assert report.files[1].read_bytes() == plan.tracks[0].clips[0].path.read_bytes()
    assert not report.files[1].samefile(plan.tracks[0].clips[0].path)
    assert len(audio) == 6
    assert isinstance(plan.tracks[0].clips[0], Clip)
