"""The plan survives JSON word for word, and a manifest from a stranger cannot lead out of its folder."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from daw_bridge.errors import InputError, OutputError
from daw_bridge.model import BandKind, Bus, Clip, Compressor, EqBand, Equalizer, Send, SessionPlan, Track
from daw_bridge.plan_json import plan_from_json, plan_to_json
from tests.plan_strategies import plans

BASE = Path("/song.session")


def small_plan(base: Path = BASE) -> SessionPlan:
    """Two buses, one return, every kind of reference between them."""
    clip = Clip(path=base / "audio/a.wav", name="a", sample_rate_hz=44100, channels=2, length_samples=9)
    compressor = Compressor(threshold_db=-20.0, ratio=4.0, sidechain_bus="drums")
    band = EqBand(kind=BandKind.BELL, frequency_hz=100.0, gain_db=3.0)
    return SessionPlan(
        name="song",
        sample_rate_hz=44100,
        length_samples=9,
        tracks=(Track(name="drums", output="drums", clips=(clip,)), Track(name="bass", output="bass", clips=(clip,))),
        buses=(
            Bus(name="drums", label="DRUMS", sends=(Send(to="room"),)),
            Bus(name="bass", label="BASS", effects=(Equalizer(bands=(band,)), compressor)),
        ),
        returns=(Bus(name="room", label="ROOM"),),
        mix_bus=Bus(name="mix", label="MIX"),
        reference=Track(name="Reference", output="master", clips=(clip,), mute=True),
    )


@given(plans(BASE))
@settings(max_examples=30, deadline=None)
def test_any_plan_survives_json_text(plan: SessionPlan) -> None:
    text = json.dumps(plan_to_json(plan, BASE), allow_nan=False)
    assert plan_from_json(json.loads(text), BASE) == plan


def test_a_moved_folder_finds_its_media_again() -> None:
    data = plan_to_json(small_plan(), BASE)
    moved = plan_from_json(data, Path("/elsewhere/song"))
    assert moved.tracks[0].clips[0].path == Path("/elsewhere/song/audio/a.wav")
    assert json.dumps(data).count("/song.session") == 0


@pytest.mark.parametrize("path", ["/elsewhere/a.wav", "/song.session/../a.wav", "/song.session2/a.wav", "../a.wav"])
def test_media_outside_the_folder_are_refused_when_writing(path: str) -> None:
    plan = small_plan()
    clip = dataclasses.replace(plan.tracks[0].clips[0], path=Path(path))
    plan = dataclasses.replace(plan, tracks=(dataclasses.replace(plan.tracks[0], clips=(clip,)),))
    with pytest.raises(OutputError, match="not inside the song folder"):
        plan_to_json(plan, BASE)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a.wav", "audio/../../a.wav", "", "..", "C:/a.wav", "a\\..\\b", "\0"]
)
def test_a_path_that_leaves_the_folder_is_refused_when_reading(path: str) -> None:
    data: Any = plan_to_json(small_plan(), BASE)
    data["tracks"][1]["clips"][0]["path"] = path
    with pytest.raises(InputError, match=r"tracks\[1\]\.clips\[0\]\.path"):
        plan_from_json(data, BASE)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "song"
    folder.mkdir()
    (folder / "audio").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of the song folder"):
        plan_from_json(plan_to_json(small_plan(folder), folder), folder)


DAMAGE: list[tuple[tuple[str | int, ...], object, str]] = [
    (("version",), 2, "damaged at version: expected 1, found 2"),
    (("version",), True, "damaged at version"),
    (("name",), None, "damaged at name: expected a text, found nothing"),
    (("sample_rate_hz",), 44100.0, "sample_rate_hz: expected a whole number, found 44100.0"),
    (("sample_rate_hz",), True, "sample_rate_hz: expected a whole number, found True"),
    (("tempo_bpm",), float("nan"), "tempo_bpm: expected a finite number, found nan"),
    (("tempo_bpm",), "fast", "tempo_bpm: expected a finite number, found a text"),
    (("time_signature",), [4], "time_signature: expected 2 values, found 1"),
    (("tracks",), {}, "tracks: expected a list, found an object"),
    (("tracks", 0), [], r"tracks\[0\]: expected an object, found a list"),
    (("tracks", 0, "output"), "drms", r"tracks\[0\]\.output: no bus called 'drms' \(did you mean drums\?\)"),
    (("reference", "output"), "mix", "reference.output: no bus called 'mix'"),
    (("buses", 0, "gian_db"), 1, r"buses\[0\]\.gian_db: unknown key \(did you mean gain_db\?\)"),
    (("buses", 0, "sends", 0, "to"), "rom", r"buses 'drums': sends to 'rom', .* \(did you mean room\?\)"),
    (("buses", 1, "effects", 1, "sidechain_bus"), "x", "takes its side-chain from 'x'"),
    (("buses", 1, "effects", 0), 5, r"effects\[0\]: expected an object, found 5"),
    (("buses", 1, "effects", 0, "type"), "equaliser", r"unknown effect 'equaliser' \(did you mean equalizer\?\)"),
    (("buses", 1, "effects", 0, "bands", 0, "kind"), "bel", r"bands\[0\]\.kind: unknown value 'bel' \(did you mean"),
    (("buses", 0, "parent"), "nobody", "damaged at buses: the bus 'drums' feeds 'nobody', which is no bus"),
    (("buses", 0, "parent"), "drums", "damaged at buses: .* in a circle: drums > drums"),
    (("mix_bus", "mute"), 0, "mix_bus.mute: expected true or false, found 0"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), DAMAGE, ids=[".".join(map(str, row[0])) for row in DAMAGE])
def test_damage_is_named_with_its_place(place: tuple[str | int, ...], value: object, message: str) -> None:
    data: Any = copy.deepcopy(plan_to_json(small_plan(), BASE))
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=message):
        plan_from_json(data, BASE)


@pytest.mark.parametrize("data", [None, [], "plan", 3])
def test_something_else_than_an_object_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="damaged at its root: expected an object"):
        plan_from_json(data, BASE)


def test_a_missing_value_without_default_is_named() -> None:
    data = plan_to_json(small_plan(), BASE)
    del data["mix_bus"]
    with pytest.raises(InputError, match="damaged at mix_bus: is missing"):
        plan_from_json(data, BASE)
