"""A user's project is not damaged: no group, law, mode, folder or version of theirs changes, or changes our sound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daw_bridge.adapter import Feature, SessionMerger
from daw_bridge.model import Bus, SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER, SEND_ADAPTER
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.live.build import build
from daw_bridge_reaper.live.place import GROUP_WAYS
from daw_bridge_reaper.read import groups_in_use, read_project
from tests.reaper.heard import heard
from tests.reaper.plans import RATE_HZ, neutral_plan
from tests.reaper.simulator.model import Track, World
from tests.reaper.simulator.script import SimulatedScript

LENGTH_SAMPLES = 1009
ANY_FIELDS = st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=25)


def track(name: str, *lines: str, depth: int = 0) -> str:
    kind = 1 if depth > 0 else 2 if depth < 0 else 0
    inside = "".join(f"    {line}\n" for line in (f"NAME {name}", *lines, f"ISBUS {kind} {depth}", "NCHAN 2"))
    return f"  <TRACK\n{inside}  >\n"


def project(*tracks: str, law: float = 1.0, mode: int = 3, saved_at: int = 1) -> str:
    head = (
        f'<REAPER_PROJECT 0.1 "7.24/win64" {saved_at} 0\n  PANLAW {law}\n  PANMODE {mode}\n  SAMPLERATE {RATE_HZ} 1 0\n'
    )
    return head + "  TEMPO 120 4 4\n" + "".join(tracks) + ">\n"


def joined(plan: SessionPlan, group: str | None = "rhythm") -> SessionPlan:
    """The plan with all of its buses in one group."""
    return replace(plan, buses=tuple(replace(bus, group=group) for bus in plan.buses))


def merge(
    text: str, plan: SessionPlan, folder: Path, adapter: SessionMerger = ADAPTER, name: str = "new"
) -> rpp.Document:
    """The merged project; fails when a byte of theirs is gone."""
    path, target = folder / f"{name}-theirs.rpp", folder / f"{name}.rpp"
    path.write_text(text, encoding="utf-8")
    target.unlink(missing_ok=True)
    adapter.merge(plan, path, target)
    added = iter(target.read_text(encoding="utf-8").split("\n"))
    assert all(line in added for line in text.split("\n")), "their lines are not all there in their order"
    return rpp.load(target)


def group_bits(chunks: Iterable[rpp.Chunk]) -> int:
    return groups_in_use(rpp.Chunk.of("REAPER_PROJECT", body=chunks))


def split(document: rpp.Document, theirs: int) -> tuple[list[rpp.Chunk], list[rpp.Chunk]]:
    chunks = list(document.root.chunks("TRACK"))
    return chunks[:theirs], chunks[theirs:]


# --- groups
def test_a_group_that_links_mutes_only_stays_theirs(tmp_path: Path) -> None:
    flags = "GROUP_FLAGS 0 0 0 0 1 1 1 1"
    document = merge(
        project(track("KICK", flags), track("SNARE", flags)), joined(neutral_plan(tmp_path, ("a", "b"))), tmp_path
    )
    theirs, ours = split(document, 2)
    assert (group_bits(theirs), group_bits(ours)) == (1, 2)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(st.tuples(st.sampled_from(["GROUP_FLAGS", "GROUP_FLAGS_HIGH"]), ANY_FIELDS), max_size=4))
def test_no_group_of_theirs_gets_a_track_of_ours(lines: list[tuple[str, list[int]]], tmp_path: Path) -> None:
    tracks = [track(f"t{n}", " ".join([word, *map(str, fields)])) for n, (word, fields) in enumerate(lines)]
    document = merge(project(*tracks), joined(neutral_plan(tmp_path, ("a", "b"))), tmp_path)
    theirs, ours = split(document, len(tracks))
    assert group_bits(theirs) & group_bits(ours) == 0
    assert group_bits(theirs) == 2**64 - 1 or bin(group_bits(ours)).count("1") == 1


def test_where_every_group_is_taken_the_buses_stay_apart_and_it_is_said(tmp_path: Path) -> None:
    full = track("t", "GROUP_FLAGS 0 0 4294967295", "GROUP_FLAGS_HIGH -1")
    path = tmp_path / "theirs.rpp"
    path.write_text(project(full), encoding="utf-8")
    report = ADAPTER.merge(joined(neutral_plan(tmp_path, ("a", "b"))), path, tmp_path / "new.rpp")
    assert [limit.feature for limit in report.limits] == [Feature.GROUPS]
    assert group_bits(split(rpp.load(tmp_path / "new.rpp"), 1)[1]) == 0


def test_group_33_is_used_when_the_first_32_are_taken(tmp_path: Path) -> None:
    document = merge(
        project(track("t", "GROUP_FLAGS 0 4294967295")), joined(neutral_plan(tmp_path, ("a", "b"))), tmp_path
    )
    assert group_bits(split(document, 1)[1]) == 1 << 32
    assert [t.group_mask for t in read_project(document).tracks[1:] if t.group_mask] == [1 << 32] * 2


def test_two_songs_in_one_project_are_not_linked(tmp_path: Path) -> None:
    plan = joined(neutral_plan(tmp_path, ("a", "b")))
    once = merge(project(track("t")), plan, tmp_path, name="once")
    twice = merge(rpp.serialise(once), plan, tmp_path, name="twice")
    masks = {t.group_mask for t in read_project(twice).tracks} - {0}
    assert masks == {1, 2}


def test_groups_link_volumes_and_nothing_else(tmp_path: Path) -> None:
    text = ADAPTER.write(joined(neutral_plan(tmp_path, ("a", "b"))), tmp_path, "Song").session_path.read_text()
    assert [line.split() for line in text.split("\n") if "GROUP_FLAGS" in line] == [["GROUP_FLAGS", "1", "1"]] * 2


@pytest.mark.parametrize("way", GROUP_WAYS[::6])
def test_live_songs_take_groups_that_nobody_uses(way: str, tmp_path: Path) -> None:
    world = World()
    theirs = Track()
    theirs.groups = {way: 1 | 1 << 40}
    world.content.tracks.append(theirs)
    plan = with_silence(joined(neutral_plan(tmp_path, ("a", "b"))))
    layout = lay_out(plan, lambda path: str(path.absolute()))[0]
    script = SimulatedScript(world)
    for name in ("one", "two", "one"):
        built = build(script, layout, name)
        assert built.limits == ()
    assert theirs.groups == {way: 1 | 1 << 40}
    ours = [each.groups for each in world.content.tracks[1:] if each.groups]
    assert ours == [{"VOLUME_LEAD": bit, "VOLUME_FOLLOW": bit} for bit in (2, 2, 4, 4)]


def with_silence(plan: SessionPlan) -> SessionPlan:
    for each in (*plan.tracks, *((plan.reference,) if plan.reference else ())):
        for clip in each.clips:
            clip.path.parent.mkdir(exist_ok=True)
            soundfile.write(clip.path, np.zeros((16, 2), np.float32), RATE_HZ, subtype="PCM_16")
    return plan


# --- laws and modes
@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SessionPlan, np.ndarray]:
    """A folder with stems and mix, the plan of them, and the mix."""
    folder = tmp_path_factory.mktemp("sounding")
    rng = np.random.default_rng(11)
    names = ("drums", "vocals")
    audio = {name: rng.uniform(-0.4, 0.4, (LENGTH_SAMPLES, 2)).astype(np.float32) for name in names}
    mix = sum(audio.values(), np.zeros((LENGTH_SAMPLES, 2), np.float64)).astype(np.float32)
    audio["residual"] = (mix - sum(part.astype(np.float64) for part in audio.values())).astype(np.float32)
    audio["mix"] = mix
    (folder / "audio").mkdir()
    for name, samples in audio.items():
        soundfile.write(folder / "audio" / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    return folder, neutral_plan(folder, (*names, "residual"), length_samples=LENGTH_SAMPLES), mix.T


LAWS = st.sampled_from([1.0, 0.70794578438414, 0.59566214352901, 0.50118723362727, 1.4125375446228])
MODES = st.sampled_from([0, 3, 5, 6])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(law=LAWS, mode=MODES, adapter=st.sampled_from([ADAPTER, SEND_ADAPTER]))
def test_neutral_nulls_under_every_law_and_mode_of_the_project(
    law: float, mode: int, adapter: SessionMerger, sounding: tuple[Path, SessionPlan, np.ndarray]
) -> None:
    folder, plan, mix = sounding
    text = project(track("GTR", "VOLPAN 1 0 -1 -1 1"), law=law, mode=mode)
    found = read_project(merge(text, plan, folder, adapter))
    error = heard(found, folder, LENGTH_SAMPLES, first=1, project_law=law, project_mode=mode) - mix
    assert 20.0 * np.log10(np.max(np.abs(error)) + 1e-30) <= -120.0


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(law=LAWS, mode=MODES, pan=st.floats(-1.0, 1.0), adapter=st.sampled_from([ADAPTER, SEND_ADAPTER]))
def test_no_setting_of_the_project_changes_what_a_panned_bus_plays(
    law: float, mode: int, pan: float, adapter: SessionMerger, sounding: tuple[Path, SessionPlan, np.ndarray]
) -> None:
    folder, plan, _mix = sounding
    plan = replace(plan, buses=(replace(plan.buses[0], pan=pan), *plan.buses[1:]))
    plain = read_project(merge(project(), plan, folder, adapter))
    other = read_project(merge(project(track("GTR"), law=law, mode=mode), plan, folder, adapter))
    expected = heard(plain, folder, LENGTH_SAMPLES)
    got = heard(other, folder, LENGTH_SAMPLES, first=1, project_law=law, project_mode=mode)
    np.testing.assert_array_equal(got, expected)


def test_every_track_and_send_has_its_own_law_and_mode_live_as_in_the_file(tmp_path: Path) -> None:
    plan = with_silence(neutral_plan(tmp_path, ("a", "b")))
    plan = replace(plan, returns=(Bus(name="room", label="Room"),))
    world = World()
    build(SimulatedScript(world), lay_out(plan, lambda path: str(path.absolute()))[0], "Song")
    assert {(t.values["D_PANLAW"], t.values["I_PANMODE"]) for t in world.content.tracks} == {(1.0, 3.0)}
    assert {send.values["D_PANLAW"] for send in world.content.sends} <= {1.0}
    text = SEND_ADAPTER.write(plan, tmp_path, "Song").session_path.read_text()
    assert text.count("    PANMODE 3\n") == text.count("<TRACK ")
    sends = [line.split() for line in text.split("\n") if line.strip().startswith("AUXRECV")]
    assert sends and {fields[10] for fields in sends} == {"1:U"}
    assert "  MASTERHWOUT 0 0 1 0 0 0 0 1\n" in text


# --- untidy projects
UNTIDY = {
    "open last folder": (track("FOLDER", depth=1), track("LAST")),
    "two open folders": (track("FOLDER", depth=1), track("INNER", depth=1), track("LAST")),
    "an empty open folder": (track("FOLDER", depth=1),),
    "an extra closing, then an open folder": (track("A", depth=-2), track("FOLDER", depth=1), track("LAST")),
    "extra closings only": (track("A", depth=-2), track("B", depth=-1)),
}


@pytest.mark.parametrize("name", UNTIDY)
@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_our_tracks_never_lie_in_a_folder_of_theirs(name: str, adapter: SessionMerger, tmp_path: Path) -> None:
    tracks = UNTIDY[name]
    text = project(*tracks)
    before = read_project(rpp.parse(text))
    found = read_project(merge(text, neutral_plan(tmp_path, ("a", "b")), tmp_path, adapter))
    assert found.tracks[: len(tracks)] == before.tracks
    assert found.parents()[: len(tracks)] == before.parents()
    assert all(
        parent is None or parent >= len(tracks) or found.tracks[index].name == "(end of folder)"
        for index, parent in enumerate(found.parents())
        if index >= len(tracks)
    )
    assert sum(each.name == "(end of folder)" for each in found.tracks) == ("open" in name)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(depths=st.lists(st.integers(-3, 1), max_size=8))
def test_any_folders_of_theirs_stay_as_they_are(depths: list[int], tmp_path: Path) -> None:
    tracks = [track(f"t{n}", depth=depth) for n, depth in enumerate(depths)]
    found = read_project(merge(project(*tracks), neutral_plan(tmp_path, ("a",)), tmp_path))
    ours = [parent for index, parent in enumerate(found.parents()) if found.tracks[index].name in ("Mix", "Reference")]
    assert ours == [None, None]


def test_of_several_versions_in_a_backup_the_newest_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.rpp-bak"
    versions = [project(track(name), saved_at=at) for name, at in (("old", 5), ("new", 9), ("older", 2))]
    path.write_text("".join(versions), encoding="utf-8")
    report = ADAPTER.merge(neutral_plan(tmp_path, ("a",)), path, tmp_path / "new.rpp")
    assert any("3 versions of the project; the newest was taken" in limit.what for limit in report.limits)
    merged = (tmp_path / "new.rpp").read_text()
    assert merged.startswith(versions[1][: versions[1].index("  <TRACK")])
    assert read_project(rpp.load(tmp_path / "new.rpp")).tracks[0].name == "new"
    assert [bus.name for bus in ADAPTER.read_plan(path).plan.buses] == ["new"]
