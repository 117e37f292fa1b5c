"""Every line of somebody's project is translated, kept or named: no word of it gets lost in silence."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.model import Compressor, Equalizer, PluginRef, Send
from daw_bridge_reaper import lines, rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.chain import KEPT, VIEW_LINES
from daw_bridge_reaper.extract import plan_of
from daw_bridge_reaper.rpp import Chunk, Line
from tests.reaper.mixers import (
    ENVELOPE,
    KEPT_FX_LINES,
    LOSSY_ITEM_LINES,
    LOSSY_TRACK_LINES,
    READ_TRACK_LINES,
    SILENT_FX_LINES,
    SILENT_TRACK_LINES,
    Edit,
    base,
    chain,
    edited,
    in_first_fx,
    in_item,
    parts,
    send,
    set_line,
    track,
)
from tests.reaper.plans import neutral_plan
from tests.reaper.reading import BASE, WORDS, bus, news, read, rebuilt


def test_the_mixer_that_is_changed_here_says_nothing() -> None:
    assert BASE.limits == ()
    assert [each.name for each in BASE.plan.buses] == ["drums", "bass", "vocals", "other", "residual"]


# --- every known line
def test_the_samples_cover_every_line_that_is_known() -> None:
    track_words = {
        lines.word_of(parts(text)[0]) for text in (*LOSSY_TRACK_LINES, *READ_TRACK_LINES, *SILENT_TRACK_LINES)
    }
    apart = {"ISBUS", "AUXRECV", "<FXCHAIN", "<ITEM", "ITEMLANES", "<RECCFG", "<RECORD_CFG"}
    assert lines.READ | lines.VIEW | lines.SONG | set(lines.TRACK_CHECKS) <= track_words | apart
    assert set(lines.ITEM_CHECKS) <= {lines.word_of(parts(text)[0]) for text in LOSSY_ITEM_LINES}
    assert {lines.word_of(parts(text)[0]) for text in KEPT_FX_LINES} == KEPT
    assert {lines.word_of(parts(text)[0]) for text in SILENT_FX_LINES} - KEPT <= VIEW_LINES


@pytest.mark.parametrize("text", LOSSY_TRACK_LINES)
def test_what_a_bus_loses_is_named(text: str) -> None:
    assert "BASS: " in news(read(set_line("BASS", text)))


@pytest.mark.parametrize("text", READ_TRACK_LINES)
def test_what_a_bus_says_is_read(text: str) -> None:
    assert read(set_line("BASS", text)).plan != BASE.plan


@pytest.mark.parametrize("text", SILENT_TRACK_LINES)
def test_what_is_no_mixing_changes_nothing(text: str) -> None:
    assert read(set_line("BASS", text)) == BASE


@pytest.mark.parametrize("text", LOSSY_ITEM_LINES)
def test_what_an_item_does_to_the_sound_is_named(text: str) -> None:
    assert "bass: " in news(read(in_item("bass", text)))


@pytest.mark.parametrize("text", KEPT_FX_LINES)
def test_what_stands_around_a_plugin_is_kept_with_its_state_and_built_again(text: str, tmp_path: Path) -> None:
    report = read(in_first_fx("BASS", text))
    kept, second = bus(report, "bass").effects
    first = text.split("\n", maxsplit=1)[0]
    assert isinstance(kept, PluginRef) and first in kept.state and isinstance(second, Compressor)
    assert news(report) == ""
    built = rebuilt(report.plan, tmp_path)
    body = rpp.plain_text(chain(built.root, "BASS"))
    assert first in body and body.count("<VST") == 2
    again = plan_of(built, "base").plan.bus("bass").effects[0]
    assert isinstance(again, PluginRef)
    assert again.state.partition("FXID")[0] == kept.state.partition("FXID")[0]


@pytest.mark.parametrize("text", SILENT_FX_LINES)
def test_windows_and_names_of_a_plugin_change_nothing(text: str) -> None:
    assert read(in_first_fx("BASS", text)) == BASE


PLACES: dict[str, Callable[[str], Edit]] = {
    "track": lambda text: set_line("BASS", text),
    "stem": lambda text: set_line("bass", text),
    "return": lambda text: set_line("ROOM", text),
    "mix bus": lambda text: set_line("MIX BUS", text),
    "plug-in": lambda text: in_first_fx("BASS", text),
    "chain": lambda text: lambda root: chain(root, "BASS").body.insert(0, parts(text)[0]),
    "item": lambda text: in_item("bass", text),
}


@settings(max_examples=40, deadline=None)
@given(place=st.sampled_from(sorted(PLACES)), word=WORDS, chunk=st.booleans())
def test_a_line_that_nobody_knows_is_named(place: str, word: str, chunk: bool) -> None:
    text = f"<{word} 1 2\nX 1\n>" if chunk else f"{word} 1 2"
    report = read(PLACES[place](text))
    assert word in news(report)
    assert report.plan == BASE.plan


NO_NUMBERS = ("", "nan", "inf", "-inf", "x", "-1", "1e99", "99999999999999999999", "1,5", "0x10")
NUMBER_LINES = [
    "VOLPAN",
    "PEAKCOL",
    "MUTESOLO",
    "ISBUS",
    "NCHAN",
    "FX",
    "MAINSEND",
    "PANMODE",
    "IPHASE",
    "GROUP_FLAGS",
    "AUXRECV",
]
PROJECT_LINES = ("TEMPO", "SAMPLERATE", "PANLAW", "PANMODE", "MASTER_VOLUME", "MARKER 1", "MARKER")


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_fields_that_are_no_numbers_are_read_as_if_they_were_missing(value: str, tmp_path: Path) -> None:
    """Damaged files and other programs write such fields; whatever they are, a template comes of the project."""
    fields = " ".join([value] * 4)
    edits = [set_line("BASS", f"{word} {fields}") for word in NUMBER_LINES]
    edits += [set_line("master", f"{word} {fields}") for word in PROJECT_LINES]
    edits += [in_first_fx("BASS", f"BYPASS {fields}"), in_item("bass", f"POSITION {fields}")]
    for edit in edits:
        assert plan_of(edited(edit), "base").plan.buses
    path = tmp_path / "theirs.rpp"
    path.write_bytes(rpp.to_bytes(edited(*edits)))
    ADAPTER.merge(neutral_plan(tmp_path, ("a",)), path, tmp_path / "new.rpp")


def test_a_byte_order_mark_is_kept_and_read_over(tmp_path: Path) -> None:
    path = tmp_path / "marked.rpp"
    data = b"\xef\xbb\xbf" + rpp.to_bytes(base())
    path.write_bytes(data)
    assert rpp.to_bytes(rpp.load(path)) == data
    assert ADAPTER.read_plan(path).plan.buses == BASE.plan.buses


# --- sends
SEND_FIELDS = {
    2: ("1", "leaves before the effects"),
    4: ("-0.8", "the pan of -0.8 of the send to ROOM"),
    5: ("1", "the muted send to ROOM is left out"),
    6: ("1", "is mono"),
    7: ("1", "the inverted polarity"),
    8: ("-1", "carries MIDI only"),
    9: ("2", "takes channels 1/2 into 3/4"),
    10: ("0.5:U", "pan law"),
}


@pytest.mark.parametrize("field", SEND_FIELDS)
def test_each_field_of_a_send_is_read_or_named(field: int) -> None:
    value, message = SEND_FIELDS[field]
    report = read(send(field, value))
    assert message in news(report)
    left_out = field in (5, 8, 9)
    assert bool(bus(report, "drums").sends) is not left_out


def test_level_and_place_of_a_send_are_read() -> None:
    assert bus(read(send(3, "0.5")), "drums").sends == (Send(to="room", gain_db=-6.0206),)
    assert bus(read(send(2, "3")), "drums").sends == (Send(to="room", gain_db=-18.0, pre_fader=True),)


def test_two_sends_to_one_return_are_one_of_the_same_level() -> None:
    again = "AUXRECV 1 0 0.12589254117942 0 0 0 0 0 0 -1:U 0 -1 ''"
    report = read(lambda root: track(root, "ROOM").body.append(Line(again)))
    assert bus(report, "drums").sends == (Send(to="room", gain_db=-11.9794),)
    assert "two sends to ROOM became one" in news(report)
    before = read(lambda root: track(root, "ROOM").body.append(Line(again.replace("1 0 0.1", "1 3 0.1"))))
    assert "a second send to ROOM, at another place" in news(before)


def test_sends_between_buses_and_sidechains_that_are_not_heard_are_named() -> None:
    receive = "AUXRECV 1 0 0.5 0 0 0 0 0 {} -1:U 0 -1 ''"
    assert "BASS: the send from DRUMS" in news(
        read(lambda root: track(root, "BASS").body.append(Line(receive.format(0))))
    )
    gate = read(lambda root: track(root, "BASS").body.append(Line(receive.format(2))))
    assert "BASS: the signal of DRUMS on channels 3/4" in news(gate)


# --- chains
def test_an_offline_or_bypassed_plugin_is_a_bypassed_effect() -> None:
    def offline(root: Chunk) -> None:
        body = chain(root, "BASS").body
        at = next(i for i, part in enumerate(body) if isinstance(part, Line) and part.keyword == "BYPASS")
        body[at] = Line("BYPASS 0 1 0")

    report = read(offline)
    assert [effect.enabled for effect in bus(report, "bass").effects] == [False, True]
    assert "is offline; it is bypassed" in news(report)
    bypassed = bus(read(set_line("BASS", "FX 0")), "bass").effects
    assert [effect.enabled for effect in bypassed] == [False, False]
    assert isinstance(bypassed[0], Equalizer)


def test_what_runs_beside_a_parallel_plugin_stays_one_plugin() -> None:
    def second_parallel(root: Chunk) -> None:
        chain(root, "DRUMS").body.append(Line("PARALLEL 1"))

    assert [type(effect) for effect in bus(read(second_parallel), "drums").effects] == [PluginRef, PluginRef]


CONTAINER = """BYPASS 0 0 0
<CONTAINER Container "Guitar rig" ""
CONTAINER_CFG 2 2 2 0
SHOW 0
LASTSEL 0
DOCKED 0
BYPASS 0 0 0
<JS loser/3BandEQ ""
3 200 0 2000 0 0
>
FLOATPOS 0 0 0 0
FXID {00000000-0000-0000-0000-0000000000F1}
WAK 0 0
BYPASS 1 1 0
<VST "VST3: Amp (Maker)" amp.vst3 0 "" 7{00} ""
AAAA
>
FXID {00000000-0000-0000-0000-0000000000F2}
WAK 0 0
>
FLOATPOS 0 0 0 0
FXID {00000000-0000-0000-0000-0000000000F3}
WAK 0 0
"""


def test_a_container_is_kept_with_everything_in_it_and_built_again(tmp_path: Path) -> None:
    report = read(lambda root: chain(root, "BASS").body.extend(parts(CONTAINER)))
    kept = bus(report, "bass").effects[-1]
    assert isinstance(kept, PluginRef) and kept.name == "Container Guitar rig"
    assert "Amp (Maker)" in kept.state and "CONTAINER_CFG 2 2 2 0" in kept.state
    built = rebuilt(report.plan, tmp_path)
    inside = chain(built.root, "BASS").chunk("CONTAINER")
    assert inside is not None and inside.chunk("VST") is not None and inside.chunk("JS") is not None
    assert "BYPASS 1 1 0" in rpp.plain_text(inside)
    ids = [line.split()[1] for line in rpp.serialise(built).split("\n") if line.split()[:1] == ["FXID"]]
    assert len(ids) == len(set(ids)), "a plug-in's id is there twice"
    assert plan_of(built, "again").plan.bus("bass").effects[-1].state.count("\n") == kept.state.count("\n")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["VIDEO_EFFECT", "LV2", "CLAP", "AU", "DX"])
def test_every_kind_of_plugin_is_kept(kind: str) -> None:
    text = f'BYPASS 0 0 0\n<{kind} "Thing" ""\nX 1\n>\nWAK 0 0'
    kept = bus(read(lambda root: chain(root, "BASS").body.extend(parts(text))), "bass").effects[-1]
    assert isinstance(kept, PluginRef) and kept.state.startswith(f"<{kind}")


def test_automation_of_a_parameter_is_named() -> None:
    envelope = ENVELOPE.format(name="PARMENV 3 0 1 0.5")
    assert "BASS: the automation of parameter 3 of VST: ReaEQ (Cockos)" in news(read(in_first_fx("BASS", envelope)))


@pytest.mark.parametrize("field", ["bandwidth", "frequency", "gain"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_an_equalizer_with_numbers_of_no_meaning_is_kept_as_it_is(field: str, value: float) -> None:
    def edit(root: Chunk) -> None:
        vst = chain(root, "BASS").chunk("VST")
        assert vst is not None
        data = bytearray(base64.b64decode("".join(line.text.strip() for line in vst.body[1:3])))  # type: ignore[union-attr]
        struct.pack_into("<d", data, {"frequency": 16, "gain": 24, "bandwidth": 32}[field], value)
        text = base64.b64encode(data).decode()
        vst.body[1:3] = [Line(text[start : start + 128]) for start in range(0, len(text), 128)]

    effects = bus(read(edit), "bass").effects
    assert len(effects) == 2
    assert isinstance(effects[0], PluginRef | Equalizer)
