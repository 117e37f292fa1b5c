"""Songs of a sequencer for training: who plays which stem, which sounds are exchanged, where a passage begins."""

from __future__ import annotations

import copy
import struct
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.separation.recipe_modules import module

BAR = 192


def player(name: str, plugin: str, *, sample: str = "", keys: tuple[int, ...] = (57,), at: int = 0) -> str:
    notes = "".join(f'<note pos="{48 * index}" key="{key}" len="48"/>' for index, key in enumerate(keys))
    source = f' src="{sample}"' if sample else ""
    return (
        f'<track type="0" name="{name}" muted="0"><instrumenttrack vol="80" pan="-10">'
        f'<instrument name="{plugin}"><{plugin}{source}/></instrument></instrumenttrack>'
        f'<pattern pos="{at}" len="{BAR}">{notes}</pattern></track>'
    )


def song() -> ET.Element:
    """Drums in a beat track with a bass synthesiser beside them, a lead, and a volume that is automated."""
    inner = player("Kick", "audiofileprocessor", sample="drums/kick01.ogg") + player("x", "lb302", keys=(33, 35))
    return ET.fromstring(  # noqa: S314  our own
        '<lmms-project><head bpm="140" masterpitch="0"/><song><trackcontainer>'
        f'<track type="1" name="Beat"><bbtrack><trackcontainer>{inner}</trackcontainer></bbtrack>'
        + "".join(f'<bbtco pos="{bar * BAR}" len="{BAR}"/>' for bar in range(40))
        + f"</track>{player('Lead', 'tripleoscillator', keys=(60, 64), at=30 * BAR)}"
        + f'<track type="5" name="Volume"><automationpattern pos="{BAR}" len="{BAR}"/></track>'
        "</trackcontainer></song></lmms-project>"
    )


@pytest.mark.parametrize(
    ("name", "plugin", "sample", "keys", "group"),
    [
        ("Closed", "audiofileprocessor", "drums/hihat_closed01.ogg", (57,), "drums"),
        ("BD", "audiofileprocessor", "drums/bassdrum01.ogg", (57,), "drums"),
        ("Kick", "tripleoscillator", "", (30,), "drums"),
        ("Slap", "audiofileprocessor", "instruments/bassslap02.ogg", (55,), "bass"),
        ("m", "audiofileprocessor", "drumsynth/instrument/mute_bass.ds", (50,), "bass"),
        ("Default preset", "zynaddsubfx", "", (33, 40), "bass"),
        ("Default preset", "zynaddsubfx", "", (60, 67), "other"),
        ("zap", "audiofileprocessor", "drums/zap03.ogg", (57,), "other"),
        ("ufo", "audiofileprocessor", "drumsynth/misc_fx/ufo_buzz.ds", (48,), "other"),
    ],
)
def test_sample_name_and_register_say_who_plays_what(
    name: str, plugin: str, sample: str, keys: tuple[int, ...], group: str
) -> None:
    track = ET.fromstring(player(name, plugin, sample=sample, keys=keys))  # noqa: S314  our own
    assert module("reorchestrate").group_of(track) == group


def test_both_kinds_of_project_files_are_read(tmp_path: Path) -> None:
    text = ET.tostring(song())
    (tmp_path / "a.mmp").write_bytes(text)
    (tmp_path / "a.mmpz").write_bytes(struct.pack(">I", len(text)) + zlib.compress(text))
    for file in ("a.mmp", "a.mmpz"):
        tracks = module("reorchestrate").players(module("sequenced").read(tmp_path / file))
        assert [track.get("name") for track in tracks] == ["Kick", "x", "Lead"], "players inside of beat tracks too"


def test_a_stem_is_rendered_with_all_others_muted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The renderer is LMMS; what it is given is ours."""
    sequenced = module("sequenced")
    unmuted: list[list[str | None]] = []

    def lmms(command: list[str], **_: Any) -> None:
        tracks = module("reorchestrate").players(ET.parse(command[3]).getroot())  # noqa: S314  our own
        unmuted.append([track.get("name") for track in tracks if track.get("muted") == "0"])
        sequenced.soundfile.write(command[-1], np.full((100, 2), 0.5 / len(unmuted), np.float32), 44_100)

    monkeypatch.setattr(sequenced.subprocess, "run", lmms)
    stems = sequenced.stems_of(song())
    assert unmuted == [["Kick"], ["x"], ["Lead"]]
    assert {name: round(float(stem.max()), 3) for name, stem in stems.items()} == {
        "drums": 0.7, "bass": 0.35, "other": 0.233
    }  # fmt: skip


def test_other_sounds_keep_notes_volume_and_place() -> None:
    recipe = module("reorchestrate")
    exchanged = copy.deepcopy(song())
    text = '<instrumenttrack vol="1" pan="99"><instrument name="sid"><sid/></instrument></instrumenttrack>'
    other = ET.fromstring(text)  # noqa: S314  our own
    for track in recipe.players(exchanged):
        recipe._exchange(track, other)
        own = track.find("instrumenttrack")
        assert own is not None
        assert (own.get("vol"), own.get("pan")) == ("80", "-10")
        assert [each.get("name") for each in track.iter("instrument")] == ["sid"]
    keys = [[note.get("key") for note in made.iter("note")] for made in (song(), exchanged)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_passage_begins_at_its_first_bar_and_is_repeatable(seed: int) -> None:
    recipe = module("reorchestrate")
    sounds = recipe.Sounds(
        instruments={"bass": [], "other": []}, strokes={kind: ["drums/kick02.ogg"] for kind in recipe._STROKES}
    )
    songs = {"a": song()}
    for track in recipe.players(songs["a"])[1:]:
        track.find(".//instrument").set("name", "audiofileprocessor")
    one, two = (ET.tostring(recipe.reorchestrated(songs, sounds, np.random.default_rng(seed))) for _ in range(2))
    assert one == two
    passage = ET.fromstring(one)  # noqa: S314  our own
    beats = sorted(int(clip.get("pos") or 0) for clip in passage.iter("bbtco"))
    assert beats[0] == 0 and len(beats) <= 20 and beats == [BAR * index for index in range(len(beats))]
    (volume,) = passage.iter("automationpattern")
    assert volume.get("pos") in ("0", str(BAR)), "what was automated before holds at the beginning"
    assert "drums/kick02.ogg" in one.decode() and "drums/kick01.ogg" not in one.decode()
    assert ET.tostring(songs["a"]).decode().count("kick01") == 1, "the song itself stays"
