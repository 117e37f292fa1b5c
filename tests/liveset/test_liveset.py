"""Live sets against our own rules and against logic2ableton, a reader that is not ours."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from logic2ableton.ableton_parser import parse_ableton_project

from daw_bridge.errors import InputError
from daw_bridge.model import BandKind, Bus, EqBand, Equalizer, Marker, SessionPlan
from daw_bridge.registry import load_adapter
from daw_bridge.safe_xml import parse_xml
from daw_bridge.tempo_map import TempoEvent
from daw_bridge.testing import check_adapter, example_plan
from daw_bridge_liveset.adapter import ADAPTER
from daw_bridge_liveset.checks import problems
from daw_bridge_liveset.colours import PALETTE, nearest
from daw_bridge_liveset.liveset import metre_number

DRIFT = tuple(TempoEvent(bar=bar, tempo_bpm=bpm) for bar, bpm in ((0, 140.0), (1, 120.0), (3, 123.456), (4, 60.0)))


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_adapter(load_adapter("live"), tmp_path)


def written(plan: SessionPlan, folder: Path) -> tuple[Path, ET.Element]:
    path = ADAPTER.write(plan, folder, "Song").session_path
    root = parse_xml(gzip.decompress(path.read_bytes()))
    assert problems(root) == []
    return path, root


def value(root: ET.Element, path: str) -> str:
    element = root.find(path)
    assert element is not None, path
    return element.get("Value", "")


def track(root: ET.Element, name: str) -> ET.Element:
    (found,) = [each for each in root.findall("LiveSet/Tracks/*") if value(each, "Name/EffectiveName") == name]
    return found


def test_another_reader_agrees_on_tempo_clips_and_locators(tmp_path: Path) -> None:
    plan = example_plan(tmp_path, name='Größe & "x" 🎛')
    rate = plan.sample_rate_hz
    late = replace(plan.tracks[1].clips[0], position_samples=2 * rate, name="a 'b' <c> & 🥁")
    markers = (*plan.markers, Marker(name="A & <B> 🥁", position_samples=4 * rate))
    tracks = (plan.tracks[0], replace(plan.tracks[1], name='a/b \\ "c"', clips=(late,)), *plan.tracks[2:])
    plan = replace(plan, tracks=tracks, markers=markers, length_samples=5 * rate)
    path, _ = written(plan, tmp_path)
    read = parse_ableton_project(path)
    beats = plan.tempo_bpm / 60.0
    assert (read.tempo, read.time_sig_numerator, read.time_sig_denominator) == (97.5, 3, 4)
    assert [each.name for each in read.audio_tracks] == [each.name for each in (*tracks, plan.reference) if each]
    for ours, theirs in zip((*tracks, plan.reference), read.audio_tracks, strict=True):
        assert ours is not None
        (clip,) = theirs.clips
        mine = ours.clips[0]
        assert clip.source_path == mine.path.resolve() and clip.source_issue is None
        assert (clip.clip_name, clip.is_warped, clip.is_disabled) == (mine.name, False, False)
        assert clip.start_beats == pytest.approx(mine.position_samples / rate * beats)
        assert clip.end_beats == pytest.approx((mine.position_samples + mine.length_samples) / rate * beats)
    found = [(each.name, each.time_beats) for each in read.locators]
    assert found == [(each.name, pytest.approx(each.position_samples / rate * beats)) for each in _sorted(markers)]
    assert not read.compatibility_warnings


def _sorted(markers: tuple[Marker, ...]) -> list[Marker]:
    return sorted(markers, key=lambda marker: marker.position_samples)


def test_a_moving_tempo_stands_on_the_bars_as_steps(tmp_path: Path) -> None:
    plan = replace(example_plan(tmp_path, neutral=True), tempo_events=DRIFT, length_samples=44_100 * 12)
    path, root = written(plan, tmp_path)
    main = root.find("LiveSet/MainTrack")
    assert main is not None
    target = main.find("DeviceChain/Mixer/Tempo/AutomationTarget")
    assert target is not None
    (events,) = [
        each.findall("Automation/Events/FloatEvent")
        for each in main.iter("AutomationEnvelope")
        if value(each, "EnvelopeTarget/PointeeId") == target.get("Id")
    ]
    steps = [(float(each.get("Time", "")), float(each.get("Value", ""))) for each in events]
    wanted = [(4.0, 140.0), (4.0, 120.0), (12.0, 120.0), (12.0, 123.456), (16.0, 123.456), (16.0, 60.0)]
    assert steps == [(-63072000.0, 140.0), *wanted]
    clip = parse_ableton_project(path).audio_tracks[0].clips[0]
    assert clip.end_beats == pytest.approx(plan.tempo_map.quarters(22_051 / 44_100))


def test_groups_sends_returns_and_the_main_track_are_wired_as_planned(tmp_path: Path) -> None:
    plan = example_plan(tmp_path)
    plan = replace(plan, mix_bus=replace(plan.mix_bus, gain_db=-6.0, effects=(Equalizer(bands=()),)))
    _, root = written(plan, tmp_path)
    names = [value(each, "Name/EffectiveName") for each in root.findall("LiveSet/Tracks/*")]
    stems = ("drums", "bass", "vocals", "other")
    assert names == [name for stem in stems for name in (stem.title(), stem)] + ["reference", "Room", "Echo"]
    for stem in stems:
        group, member = track(root, stem.title()), track(root, stem)
        assert value(member, "TrackGroupId") == group.get("Id")
        assert value(member, "DeviceChain/AudioOutputRouting/Target") == "AudioOut/GroupTrack"
        nested = stem == "other"  # inside Vocals
        assert value(group, "TrackGroupId") == (track(root, "Vocals").get("Id") if nested else "-1")
        target = "AudioOut/GroupTrack" if nested else "AudioOut/Main"
        assert value(group, "DeviceChain/AudioOutputRouting/Target") == target
    drums = track(root, "Drums")
    sends = [float(value(each, "Send/Manual")) for each in drums.iter("TrackSendHolder")]
    assert sends == pytest.approx([10 ** (-12 / 20), 10 ** (-18 / 20)])
    pre = [each.get("Value") for each in root.findall("LiveSet/SendsPre/SendPreBool")]
    assert pre == ["false", "true"]
    vocals = track(root, "Vocals")
    assert float(value(vocals, "DeviceChain/Mixer/Volume/Manual")) == pytest.approx(10 ** (-3 / 20))
    assert float(value(vocals, "DeviceChain/Mixer/Pan/Manual")) == pytest.approx(0.1)
    assert value(track(root, "Other"), "DeviceChain/Mixer/Speaker/Manual") == "false"
    reference = track(root, "reference")
    assert value(reference, "DeviceChain/Mixer/Speaker/Manual") == "false"
    assert value(reference, "DeviceChain/AudioOutputRouting/Target") == "AudioOut/External/S0"
    main = root.find("LiveSet/MainTrack")
    assert main is not None and main.find("DeviceChain/DeviceChain/Devices/Eq8") is not None
    assert float(value(main, "DeviceChain/Mixer/Volume/Manual")) == pytest.approx(10 ** (-6 / 20))


def test_devices_hold_the_values_of_the_plan(tmp_path: Path) -> None:
    plan = example_plan(tmp_path)
    bands = tuple(EqBand(kind=BandKind.BELL, frequency_hz=100.0 * n, gain_db=float(n), q=2.0) for n in range(1, 11))
    buses = (*plan.buses[:3], replace(plan.buses[3], effects=(Equalizer(bands=bands),)))
    _, root = written(replace(plan, buses=buses), tmp_path)
    first = track(root, "Drums").find(".//Eq8/Bands.0/ParameterA")
    assert first is not None
    assert (value(first, "Mode/Manual"), value(first, "Freq/Manual")) == ("1", "40")
    bass = track(root, "Bass")
    press = bass.find(".//Compressor2")
    assert press is not None
    assert float(value(press, "Threshold/Manual")) == pytest.approx(0.1)
    assert (value(press, "Ratio/Manual"), value(press, "SideChain/OnOff/Manual")) == ("4", "true")
    key = value(press, "SideChain/RoutedInput/Routable/Target")
    assert key == f"AudioIn/Track.{track(root, 'Drums').get('Id')}/TrackOut"
    gain = bass.find(".//Eq8")
    assert gain is not None and value(gain, "GlobalGain/Manual") == "1.5"
    equalizers = track(root, "Other").findall(".//Eq8")
    found = [
        (float(value(band, "ParameterA/Freq/Manual")), float(value(band, "ParameterA/Gain/Manual")))
        for device in equalizers
        for band in device
        if band.tag.startswith("Bands.") and value(band, "ParameterA/IsOn/Manual") == "true"
    ]
    assert found == [(band.frequency_hz, band.gain_db) for band in bands] and len(equalizers) == 2


def _double_id(live: ET.Element) -> None:
    targets = list(live.iter("AutomationTarget"))
    targets[3].set("Id", targets[7].get("Id", ""))


def _low_next(live: ET.Element) -> None:
    live.find("NextPointeeId").set("Value", "5")  # type: ignore[union-attr]


def _dangling(live: ET.Element) -> None:
    next(live.iter("PointeeId")).set("Value", "999999")


def _lost_send(live: ET.Element) -> None:
    sends = next(live.iter("Sends"))
    sends.remove(sends[0])


def _lost_group(live: ET.Element) -> None:
    tracks = live.find("Tracks")
    assert tracks is not None
    tracks.remove(tracks[0])


def _milliseconds(live: ET.Element) -> None:
    next(live.iter("LastModDate")).set("Value", "1700000000000")


@pytest.mark.parametrize("damage", [_double_id, _low_next, _dangling, _lost_send, _lost_group, _milliseconds])
def test_the_checker_finds_what_live_refuses(damage: Callable[[ET.Element], None], tmp_path: Path) -> None:
    _, root = written(example_plan(tmp_path), tmp_path)
    live = root.find("LiveSet")
    assert live is not None
    damage(live)
    assert problems(root)


def test_the_same_plan_gives_the_same_bytes_and_bad_plans_leave_nothing(tmp_path: Path) -> None:
    plan = example_plan(tmp_path)
    first = ADAPTER.write(plan, tmp_path, "one").session_path.read_bytes()
    assert ADAPTER.write(plan, tmp_path, "two").session_path.read_bytes() == first
    with pytest.raises(InputError, match="does not exist"):
        ADAPTER.write(replace(plan, buses=(Bus(name="x", label="X"),)), tmp_path, "three")
    plan.tracks[0].clips[0].path.unlink()
    with pytest.raises(InputError, match=r"drums\.wav"):
        ADAPTER.write(plan, tmp_path, "three")
    assert not list(tmp_path.glob("three*"))


def test_metres_and_colours_are_numbered_as_live_does() -> None:
    assert [metre_number(each) for each in ((4, 4), (3, 4), (6, 8), (1, 1))] == [201, 200, 302, 0]
    assert len(PALETTE) == 70 and [nearest(colour) for colour in PALETTE] == list(range(70))
