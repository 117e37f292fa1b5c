"""Whole mixers of somebody's: what stands where, what is large, and real projects with anything in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daw_bridge.errors import InputError
from daw_bridge.model import PluginRef, SessionPlan
from daw_bridge.templates.bus_template import read_template
from daw_bridge.workflow.extract import extract_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.extract import plan_of
from daw_bridge_reaper.rpp import Chunk
from tests.conftest import SHARED
from tests.reaper.mixers import (
    LOSSY_TRACK_LINES,
    READ_TRACK_LINES,
    SILENT_TRACK_LINES,
    Edit,
    add_track,
    base,
    chain,
    edited,
    parts,
    put,
    set_line,
    track,
)
from tests.reaper.plans import neutral_plan
from tests.reaper.reading import BASE, WORDS, bus, news, read, rebuilt


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
