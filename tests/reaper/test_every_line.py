"""Every line of somebody's project is translated, kept or named: no word of it gets lost in silence."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daw_bridge.adapter import ReadReport
from daw_bridge.errors import InputError
from daw_bridge.model import Bus, Compressor, Equalizer, PluginRef, Send, SessionPlan
from daw_bridge.templates.bus_template import read_template
from daw_bridge.workflow.extract import extract_template
from daw_bridge_reaper import lines, rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.chain import KEPT, VIEW_LINES
from daw_bridge_reaper.extract import plan_of
from daw_bridge_reaper.rpp import Chunk, Line
from tests.conftest import SHARED
from tests.reaper.mixers import (
    ENVELOPE,
    KEPT_FX_LINES,
    LOSSY_ITEM_LINES,
    LOSSY_TRACK_LINES,
    READ_TRACK_LINES,
    SILENT_FX_LINES,
    SILENT_TRACK_LINES,
    Edit,
    add_track,
    base,
    chain,
    edited,
    in_first_fx,
    in_item,
    parts,
    put,
    send,
    set_line,
    track,
)
from tests.reaper.plans import neutral_plan

BASE = plan_of(base(), "base")


def read(*edits: Edit) -> ReadReport:
    return plan_of(edited(*edits), "base")


def news(report: ReadReport) -> str:
    """What is said now and not of the unchanged project."""
    return "\n".join(f"{limit.where}: {limit.what}" for limit in report.limits if limit not in BASE.limits)


def bus(report: ReadReport, name: str) -> Bus:
    return report.plan.bus(name)


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


WORDS = st.from_regex(r"[A-Z]{3,9}_[A-Z]{2}[0-9]", fullmatch=True)
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


# --- what stands where
def test_a_bus_takes_its_own_name_and_what_it_is_called_besides_its_children(tmp_path: Path) -> None:
    text = """<REAPER_PROJECT 0.1
  <TRACK
    NAME "DRM BUS"
    ISBUS 1 1
  >
  <TRACK
    NAME Kick
  >
  <TRACK
    NAME "Snare Top"
    ISBUS 2 -1
  >
  <TRACK
    NAME Vox
    ISBUS 1 1
  >
  <TRACK
    NAME "Lead Vox"
    ISBUS 2 -1
  >
  <TRACK
    NAME "Gtrs"
  >
  <TRACK
    NAME OTHER
  >
>
"""
    path = tmp_path / "mine.rpp"
    path.write_text(text)
    extracted = extract_template(path)
    stems = {each.name: each.stems for each in extracted.template.buses}
    assert stems["drm_bus"] == ("drums", "drm_bus", "Kick", "Snare Top", "snare")
    assert stems["vox"][:2] == ("vocals", "vox") and stems["gtrs"][0] == "guitar" and stems["other"] == ()
    assert "a 4-stem song would use 3 of its 4 buses (drm_bus, vox, other)" in extracted.usage()
    assert "a 6-stem song would use 4 of its 4 buses" in extracted.usage()


CUE = (
    add_track('NAME "Cue mixes"', "MUTESOLO 1 0 0", "ISBUS 1 1"),
    add_track("NAME Singer", "AUXRECV 5 0 1 0 0 0 0 0 0 -1:U 0 -1 ''", "ISBUS 2 -1"),
)
BESIDE: dict[str, tuple[Edit, ...]] = {
    "an unmuted reference": (set_line("Reference", "MUTESOLO 0 0 0"),),
    "a click": (add_track("NAME Click", "ISBUS 0 0"),),
    "a click with audio": (add_track("NAME Metronome", "<ITEM\nPOSITION 0\n>"),),
    "an empty track": (add_track("NAME x"),),
    "a muted cue folder": CUE,
    "tracks of another song": (
        add_track("NAME GTR", "ISBUS 1 1", "<FXCHAIN\n>"),
        add_track("NAME mic", "ISBUS 2 -1", "<ITEM\nPOSITION 0\n>"),
        add_track("NAME KEYS", "<ITEM\nPOSITION 0\n>"),
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_does_not_collapse_the_mix(name: str) -> None:
    report = read(*BESIDE[name])
    assert report.plan.buses == BASE.plan.buses
    assert report.plan.mix_bus == BASE.plan.mix_bus
    assert report.plan.tracks == BASE.plan.tracks
    assert news(report)


def test_our_own_merge_does_not_collapse_the_mix(tmp_path: Path) -> None:
    theirs, target = tmp_path / "theirs.rpp", tmp_path / "new.rpp"
    theirs.write_text("<REAPER_PROJECT 0.1\n<TRACK\nNAME GTR\nISBUS 1 1\n>\n<TRACK\nNAME mic\nISBUS 2 -1\n>\n>\n")
    ADAPTER.merge(neutral_plan(tmp_path, ("drums", "bass")), theirs, target)
    plan = ADAPTER.read_plan(target).plan
    assert [each.name for each in plan.buses] == ["drums", "bass"]


def test_a_cue_folder_inside_the_mix_holds_no_stems() -> None:
    def inside(root: Chunk) -> None:
        at = root.body.index(track(root, "ROOM"))
        cue = parts(
            "<TRACK\nNAME Cue\nMUTESOLO 1 0 0\nISBUS 1 1\n>\n"
            "<TRACK\nNAME Singer\nAUXRECV 1 0 1 0 0 0 0 0 0 -1:U 0 -1 ''\nISBUS 2 -1\n>"
        )
        root.body[at:at] = cue

    report = read(inside)
    assert [each.name for each in report.plan.buses] == [each.name for each in BASE.plan.buses]
    assert "Singer" not in [each.name for each in report.plan.tracks]
    assert "Singer: holds only sends and is left out" in news(report)


def test_a_silent_bus_is_a_muted_one_and_said() -> None:
    report = read(set_line("BASS", "MAINSEND 0 0"))
    assert bus(report, "bass").mute
    assert "its main send is off" in news(report)


def test_what_stands_on_a_stem_or_behind_the_mix_bus_is_named() -> None:
    assert "bass: its level of -6.0 dB" in news(read(set_line("bass", "VOLPAN 0.5 -0.5 1 -1 1")))
    assert "bass: its pan of -0.5" in news(read(set_line("bass", "VOLPAN 0.5 -0.5 1 -1 1")))
    assert "bass: it is muted" in news(read(set_line("bass", "MUTESOLO 1 0 0")))
    master = news(read(set_line("master", "MASTER_VOLUME 0.5 0.3 -1 -1 1")))
    assert "the master's level of -6.0 dB" in master and "the master's pan of 0.3" in master
    chain_text = '<MASTERFXLIST\nBYPASS 0 0 0\n<JS loser/masterLimiter ""\n-3\n>\n>'
    assert "1 plug-in(s) on the master" in news(read(lambda root: root.body.extend(parts(chain_text))))


@pytest.mark.parametrize(
    ("mode", "volpan"), [(5, "VOLPAN 1 0 1 -1 0"), (6, "VOLPAN 1 0 1 -0.5 0.5"), (0, "VOLPAN 1 0.5 1 -1 1")]
)
def test_other_pan_modes_are_named(mode: int, volpan: str) -> None:
    assert "BASS: its " in news(read(set_line("BASS", f"PANMODE {mode}"), set_line("BASS", volpan)))


def test_a_comma_is_a_decimal_mark() -> None:
    assert bus(read(set_line("BASS", "VOLPAN 0,5 0 1 -1 1")), "bass").gain_db == -6.0206


def test_track_templates_and_chains_become_templates(tmp_path: Path) -> None:
    tracks = tmp_path / "band.RTrackTemplate"
    tracks.write_text("<TRACK\nNAME DRUMS\nVOLPAN 0.5 0 -1 -1 1\n>\n<TRACK\nNAME BASS\n>\n")
    plan = ADAPTER.read_plan(tracks).plan
    assert [(each.name, each.gain_db) for each in plan.buses] == [("drums", -6.0206), ("bass", 0.0)]
    one = tmp_path / "vocals.RfxChain"
    one.write_text('BYPASS 0 0 0\n<JS loser/3BandEQ ""\n3 200\n>\nFLOATPOS 0 0 0 0\nFXID {A}\nWAK 0 0\n')
    [each] = ADAPTER.read_plan(one).plan.buses
    assert each.name == "vocals" and isinstance(each.effects[0], PluginRef)


# --- large states
def test_a_large_state_lies_beside_the_template(tmp_path: Path) -> None:
    big = "\n".join("QUJD" * 32 for _ in range(2500))
    text = f'BYPASS 0 0 0\n<VST "VST3: Big (Maker)" big.vst3 0 "" 1{{00}} ""\n{big}\n>\nWAK 0 0'
    path = tmp_path / "song.rpp"
    path.write_bytes(rpp.to_bytes(edited(lambda root: chain(root, "BASS").body.extend(parts(text)))))
    extracted = extract_template(path)
    [file] = extracted.files
    extracted.save(tmp_path / "song.yaml")
    assert read_template(tmp_path / "song.yaml") == extracted.template
    assert len((tmp_path / "song.yaml").read_text()) < 20_000
    (tmp_path / file).write_text("other")
    with pytest.raises(Exception, match="was changed or cut off"):
        read_template(tmp_path / "song.yaml")
    (tmp_path / file).unlink()
    with pytest.raises(Exception, match="is not there; copy the folder 'states'"):
        read_template(tmp_path / "song.yaml")
    (tmp_path / "bad.yaml").write_text(
        'buses: {a: {effects: [{plugin: {daw: reaper, name: x, state: {file: "../../etc/passwd"}}}]}}\n'
    )
    with pytest.raises(Exception, match="is not the name of a state"):
        read_template(tmp_path / "bad.yaml")


def test_more_than_64_buses_are_one_template(tmp_path: Path) -> None:
    tracks = "".join(f"<TRACK\nNAME t{n}\n>\n" for n in range(130))
    path = tmp_path / "wide.rpp"
    path.write_text(f"<REAPER_PROJECT 0.1\n{tracks}>\n")
    assert len(extract_template(path).template.buses) == 130
    names = "".join(f'<TRACK\nNAME "{"x" * 50} {n}"\nPEAKCOL 16777471\n>\n' for n in range(1100))
    (tmp_path / "huge.rpp").write_text(f"<REAPER_PROJECT 0.1\n{names}>\n")
    with pytest.raises(InputError, match=r"huge: its mixer makes a template of .* kB, and 256 kB is the most"):
        extract_template(tmp_path / "huge.rpp")


# --- the mass: real projects with anything in them
ALL_TRACK_LINES = (*LOSSY_TRACK_LINES, *READ_TRACK_LINES, *SILENT_TRACK_LINES)
MUTATION = st.tuples(st.integers(0, 200), st.sampled_from(ALL_TRACK_LINES))


def rebuilt(plan: SessionPlan, folder: Path) -> rpp.Document:
    path = folder / "again.rpp"
    path.unlink(missing_ok=True)
    return rpp.load(ADAPTER.write(plan, folder, "again").session_path)


def shape(plan: SessionPlan) -> list[object]:
    """Buses, returns and mix bus, without what a rebuild may number anew or write with other last digits."""
    groups: dict[str | None, int] = {None: 0}
    found: list[object] = []
    for each in (*plan.buses, *plan.returns, plan.mix_bus):
        groups.setdefault(each.group, len(groups))
        chain_shape = [(type(effect).__name__, effect.enabled) for effect in each.effects]
        sends = [(send.to, round(send.gain_db, 3), send.pre_fader) for send in each.sends]
        levels = (round(each.gain_db, 3), round(each.pan, 5), each.mute, each.solo, each.colour)
        found.append((each.name, levels, chain_shape, sends, groups[each.group]))
    return found


def check_project(document: rpp.Document, folder: Path) -> None:
    """Merging keeps every byte, extraction reads back, and a rebuild has the same mixer."""
    data = rpp.to_bytes(document)
    theirs, merged = folder / "theirs.rpp", folder / "merged.rpp"
    theirs.write_bytes(data)
    merged.unlink(missing_ok=True)
    ADAPTER.merge(neutral_plan(folder, ("a",)), theirs, merged)
    rest = iter(merged.read_bytes().split(b"\n"))
    assert all(line in rest for line in data.split(b"\n")), "a line of theirs is gone"
    report = plan_of(rpp.load(theirs), "theirs")
    again = plan_of(rebuilt(with_mix_label(report.plan), folder), "theirs")
    assert shape(again.plan) == shape(report.plan)


def with_mix_label(plan: SessionPlan) -> SessionPlan:
    """With a name of the mix bus by which it is known again, and every bus with a track in it as a template has."""
    return replace(plan, mix_bus=replace(plan.mix_bus, label="MIX BUS"))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations=st.lists(MUTATION, min_size=1, max_size=6))
def test_any_known_lines_in_our_own_project_survive(mutations: list[tuple[int, str]], tmp_path: Path) -> None:
    document = base()
    tracks = list(document.root.chunks("TRACK"))
    for place, text in mutations:
        put(tracks[place % len(tracks)].body, text, 1)
    check_project(rpp.parse(rpp.serialise(document)), tmp_path)


@pytest.mark.shared
def test_real_projects_survive_merging_extracting_and_building_again(shared_dir: Path, tmp_path: Path) -> None:
    for path in sorted((shared_dir / "rpp").glob("*.[rR][pP][pP]")):
        if path.name.startswith("7.18"):
            with pytest.raises(InputError, match="damaged"):
                ADAPTER.read_plan(path)
            continue
        check_project(rpp.load(path), tmp_path)


@pytest.fixture(scope="module")
def real_projects() -> list[tuple[str, bytes]]:
    """The sound projects that REAPER saved, the largest left out: they are changed many times."""
    if not SHARED.is_dir():
        pytest.skip("no shared folder beside the checkout")
    paths = sorted((SHARED / "rpp").glob("*.[rR][pP][pP]"))
    files = [(path.name, path.read_bytes()) for path in paths if not path.name.startswith("7.18")]
    return [(name, data) for name, data in files if len(data) < 110_000]


REAL_PLACES = ("track", "item", "plug-in", "chain")


def changed(document: rpp.Document, place: str, number: int, text: str) -> bool:
    """Put a line into the `number`th place of its kind, where it is read; False when there is none."""
    tracks = list(document.root.chunks("TRACK"))
    chains = [found for each in tracks if (found := each.chunk("FXCHAIN")) is not None]
    if place == "track":
        put(tracks[number % len(tracks)].body, text, 1)
        return True
    if place == "item":
        items = [item for each in tracks for item in each.chunks("ITEM")]
        if items:
            put(items[number % len(items)].body, text, 1)
        return bool(items)
    with_fx = [each for each in chains if any(part.name in rpp.FX_CHUNKS for part in each.chunks())]
    if not with_fx:
        return False
    body = with_fx[number % len(with_fx)].body
    first = next(at for at, part in enumerate(body) if isinstance(part, Chunk) and part.name in rpp.FX_CHUNKS)
    put(body, text, first + 1 if place == "plug-in" else 0)
    return True


@pytest.mark.shared
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    which=st.integers(0, 20),
    mutations=st.lists(MUTATION, max_size=4),
    place=st.sampled_from(REAL_PLACES),
    number=st.integers(0, 50),
    word=WORDS,
)
def test_real_projects_with_other_lines_in_them_survive_and_lose_nothing_in_silence(
    which: int,
    mutations: list[tuple[int, str]],
    place: str,
    number: int,
    word: str,
    real_projects: list[tuple[str, bytes]],
    tmp_path: Path,
) -> None:
    name, data = real_projects[which % len(real_projects)]
    document = rpp.parse(data.decode("utf-8", "surrogateescape"), name)
    tracks = list(document.root.chunks("TRACK"))
    for at, text in mutations:
        put(tracks[at % len(tracks)].body, text, 1)
    there = changed(document, place, number, f"{word} 1 2")
    document = rpp.parse(rpp.serialise(document), name)
    check_project(document, tmp_path)
    said = "\n".join(limit.what for limit in plan_of(document, name).limits)
    assert not there or word in said
