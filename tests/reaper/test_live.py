"""Building in an open project: the state of the project file, in one undo step, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.adapter import Feature, SessionAdapter
from daw_bridge.errors import DawError, OutputError
from daw_bridge.model import SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.live.adapter import ReaperLiveAdapter
from daw_bridge_reaper.live.api import Pointer, Project
from daw_bridge_reaper.live.build import build
from daw_bridge_reaper.live.readback import read_tracks, same_fx
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import RawFx, ReaperProject, ReaperTrack, VstFx
from tests.reaper.plans import RATE_HZ, full_plan, neutral_plan
from tests.reaper.simulator.model import Track, World
from tests.reaper.simulator.script import SimulatedScript


def with_audio(plan: SessionPlan) -> SessionPlan:
    """Every clip of the plan as a short file."""
    for track in (*plan.tracks, *((plan.reference,) if plan.reference else ())):
        for clip in track.clips:
            clip.path.parent.mkdir(exist_ok=True)
            soundfile.write(clip.path, np.zeros((100, 2), np.float32), RATE_HZ, subtype="PCM_16")
    return plan


def layout_of(plan: SessionPlan) -> ReaperProject:
    return lay_out(plan, lambda path: str(path.absolute()))[0]


def state_of(world: World, first: int) -> list[ReaperTrack]:
    script = SimulatedScript(world)
    with script.hold():
        project = Project(script)
        return read_tracks(project, [Pointer(track.pointer) for track in world.content.tracks[first:]])


def assert_same_tracks(found: list[ReaperTrack], wanted: tuple[ReaperTrack, ...]) -> None:
    """Equal, where the plug-ins' 32-bit values are equal to their precision."""
    for track, other in zip(found, wanted, strict=True):
        assert replace(track, fx=()) == replace(other, fx=())
        for fx, expected in zip(track.fx, other.fx, strict=True):
            if isinstance(expected, VstFx):
                assert same_fx(expected, fx), f"{track.name}: {expected.plugin}"
            else:
                assert isinstance(fx, RawFx) and fx.chunk.removeprefix("JS: ") in expected.chunk


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An open project with two tracks of the user."""
    world = World()
    world.project.path = str(tmp_path / "mine.rpp")
    for name in ("mine", "Vocals"):
        track = Track()
        track.texts["P_NAME"] = name
        world.content.tracks.append(track)
    return world


def adapter_for(world: World) -> ReaperLiveAdapter:
    return ReaperLiveAdapter(connect=lambda: SimulatedScript(world))


def test_the_open_project_and_the_project_file_hold_the_same(world: World, tmp_path: Path) -> None:
    plan = with_audio(full_plan(tmp_path))
    build(SimulatedScript(world), layout_of(plan), plan.name)
    written = read_project(rpp.load(ADAPTER.write(plan, tmp_path, "Full").session_path))
    ours = state_of(world, 2)
    # The file names its media relative to itself, the open project absolutely.
    relative = [
        replace(
            track,
            items=tuple(replace(i, path=Path(i.path).relative_to(tmp_path).as_posix()) for i in track.items),
        )
        for track in ours
    ]
    assert_same_tracks(relative, written.tracks)
    assert_same_tracks(ours, layout_of(plan).tracks)
    assert [marker[3] for marker in world.content.markers] == ["Start", "Chorus 'x'"]


def test_a_build_is_one_undo_step_and_undo_takes_it_away(world: World, tmp_path: Path) -> None:
    before = world.content.plain()
    plan = with_audio(full_plan(tmp_path))
    adapter_for(world).write(plan, tmp_path, "Full")
    assert [title for title, _ in world.project.undo] == ["daw-bridge: Full"]
    assert (world.refresh, world.block) == (0, None)
    world.do_undo()
    assert world.content.plain() == before


def test_a_second_run_updates_instead_of_doubling(world: World, tmp_path: Path) -> None:
    plan = with_audio(full_plan(tmp_path))
    script = SimulatedScript(world)
    assert not build(script, layout_of(plan), plan.name).updated
    first = world.content.plain()
    built = build(script, layout_of(plan), plan.name)
    assert built.updated
    again = world.content.plain()
    order = [sorted(map(str, state["sends"])) for state in (first, again)]
    assert order[0] == order[1]
    assert first["tracks"] == again["tracks"] and first["markers"] == again["markers"]
    louder = replace(plan, buses=(replace(plan.buses[0], gain_db=-6.0), *plan.buses[1:]))
    build(script, layout_of(louder), plan.name)
    assert len(world.content.tracks) == 13
    assert world.content.tracks[4].values["D_VOL"] == pytest.approx(0.501, abs=1e-3)


def test_what_the_user_added_to_our_tracks_stays(world: World, tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a", "b")))
    script = SimulatedScript(world)
    build(script, layout_of(plan), plan.name)
    with script.hold():
        script.call("AddMediaItemToTrack", world.content.tracks[4].pointer)
        script.call("CreateTrackSend", world.content.tracks[0].pointer, world.content.tracks[4].pointer)
    build(script, layout_of(plan), plan.name)
    assert len(world.content.tracks[4].items) == 2
    assert len(world.content.sends) == 1


def test_moved_tracks_are_not_guessed_at(world: World, tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a", "b")))
    script = SimulatedScript(world)
    build(script, layout_of(plan), plan.name)
    world.content.tracks.insert(2, world.content.tracks.pop())
    world.alive = None
    before = world.content.plain()
    with pytest.raises(DawError, match="were moved or hold items of yours"):
        build(script, layout_of(plan), plan.name)
    assert world.content.plain() == before


def test_other_buses_replace_the_earlier_ones_at_their_place(world: World, tmp_path: Path) -> None:
    script = SimulatedScript(world)
    build(script, layout_of(with_audio(neutral_plan(tmp_path, ("a", "b")))), "Song")
    world.content.tracks.append(Track())
    built = build(script, layout_of(with_audio(neutral_plan(tmp_path, ("c",)))), "Song")
    assert built.updated
    names = [track.texts["P_NAME"] for track in world.content.tracks]
    assert names == ["mine", "Vocals", "Mix", "C", "c", "Reference", ""]
    before = world.content.plain()
    world.content.tracks[4].items[0].texts.clear()  # an item of the user
    world.alive = None
    with pytest.raises(DawError, match="hold items of yours"):
        build(script, layout_of(with_audio(neutral_plan(tmp_path, ("a", "b")))), "Song")
    assert len(world.content.tracks) == len(before["tracks"])


def test_an_open_folder_at_the_end_does_not_swallow_the_session(world: World, tmp_path: Path) -> None:
    world.content.tracks[1].values["I_FOLDERDEPTH"] = 1.0
    plan = with_audio(neutral_plan(tmp_path, ("a",)))
    build(SimulatedScript(world), layout_of(plan), plan.name)
    names = [track.texts["P_NAME"] for track in world.content.tracks]
    assert names == ["Mix", "A", "a", "Reference", "mine", "Vocals"]


def test_every_single_failure_leaves_the_project_as_it_was(world: World, tmp_path: Path) -> None:
    plan = with_audio(full_plan(tmp_path))
    layout = layout_of(plan)
    before, ext = world.content.plain(), dict(world.project.ext)
    script = SimulatedScript(world)
    build(script, layout, plan.name)
    total = len(world.calls)
    # Every change of function, and of the long runs of one function every seventh call.
    names = ["", *world.calls]
    numbers = [n for n in range(1, total + 1) if names[n] != names[n - 1] or n % 7 == 0]
    world.do_undo()
    world.project.ext = dict(ext)
    assert total > 500
    for number in numbers:
        world.calls.clear()
        world.fail_at = number
        with pytest.raises(DawError, match="simulated failure of") as caught:
            build(script, layout, plan.name)
        assert world.content.plain() == before, number
        assert (world.project.ext, world.refresh, world.block, world.project.undo) == (ext, 0, None, []), number
        message = str(caught.value)
        assert "\n" not in message
        assert number < 3 or "the project is as it was before" in message, message


def test_a_failed_update_leaves_the_earlier_session(world: World, tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a", "b")))
    script = SimulatedScript(world)
    build(script, layout_of(plan), plan.name)
    before, undo = world.content.plain(), len(world.project.undo)
    changed = replace(plan, buses=tuple(replace(bus, gain_db=-3.0) for bus in plan.buses))
    world.calls.clear()
    world.fail_at = 60
    with pytest.raises(DawError, match="simulated failure"):
        build(script, layout_of(changed), plan.name)
    assert world.content.plain() == before
    assert len(world.project.undo) == undo


def test_a_file_that_vanished_is_named_and_nothing_stays(world: World, tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a", "b")))
    (tmp_path / "audio" / "b.wav").unlink()
    before = world.content.plain()
    with pytest.raises(DawError, match=r"placing the audio of 'b'.*b\.wav; is the file still there"):
        adapter_for(world).write(plan, tmp_path, "Song")
    assert world.content.plain() == before
    assert not (tmp_path / "Song.live.json").exists()


def test_a_receipt_that_cannot_be_written_takes_the_tracks_back(world: World, tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a",)))
    before = world.content.plain()
    with pytest.raises(OutputError):
        adapter_for(world).write(plan, tmp_path / "missing", "Song")
    assert world.content.plain() == before


def test_what_stays_the_users_is_said(world: World, tmp_path: Path) -> None:
    world.content.rate_hz = 48_000.0
    plan = replace(with_audio(neutral_plan(tmp_path, ("a",))), tempo_bpm=90.0)
    report = adapter_for(world).write(plan, tmp_path, "Song")
    assert {limit.feature for limit in report.limits} == {Feature.TEMPO, Feature.CLIPS}
    assert report.session_path.is_file()
    assert isinstance(adapter_for(world), SessionAdapter)


def test_what_reaper_answers_otherwise_is_reported(world: World, tmp_path: Path) -> None:
    class Stubborn(SimulatedScript):
        def call(self, name: str, *args: str | float | bool) -> object:
            if name == "SetMediaTrackInfo_Value" and args[1] == "D_PAN":
                return 1
            return super().call(name, *args)

    plan = with_audio(full_plan(tmp_path))
    built = build(Stubborn(world), layout_of(plan), plan.name)
    assert any("pan: asked for -0.25, REAPER says 0.0" in limit.what for limit in built.limits)


def test_five_hundred_tracks_of_the_user_do_not_matter(world: World, tmp_path: Path) -> None:
    world.content.tracks.extend(Track() for _ in range(498))
    plan = with_audio(neutral_plan(tmp_path, ("a",)))
    build(SimulatedScript(world), layout_of(plan), plan.name)
    assert [track.texts["P_NAME"] for track in world.content.tracks[500:]] == ["Mix", "A", "a", "Reference"]


OPAQUE = {
    'BYPASS 0 0 0\n<JS sstillwell/1175 ""\n-6 0 -\n>\nWET 0.3 0\nWAK 0 0\n': "its wet level",
    'BYPASS 0 0 0\n<JS sstillwell/1175 ""\n-6 0 -\n>\nPARALLEL 1\nWAK 0 0\n': "running beside the one before it",
    'BYPASS 0 1 0\n<JS sstillwell/1175 ""\n-6 0 -\n>\nWAK 0 0\n': "being offline",
    '<JS sstillwell/1175 ""\n-6 0 -\n>\n<JS_SER\nAAAA\n>\n': "JS_SER",
    '<CONTAINER Container "Rig" ""\nBYPASS 0 0 0\n<JS loser/3BandEQ ""\n3\n>\n>\n': "the 1 plug-in(s) in the container",
    '<CLAP "CLAP: Thing" thing.clap ""\nAAAA\n>\n': "its state",
}


def with_plugin(state: str) -> ReaperProject:
    track = ReaperTrack(name="BASS", fx=(RawFx(chunk=state),))
    return ReaperProject(sample_rate_hz=RATE_HZ, tempo_bpm=120.0, time_signature=(4, 4), tracks=(track,))


@pytest.mark.parametrize("state", OPAQUE)
def test_what_the_open_project_cannot_take_of_a_plugin_is_named(state: str) -> None:
    world = World()
    limits = build(SimulatedScript(world), with_plugin(state), "Song").limits
    said = [limit.what for limit in limits if "cannot be set in the open project" in limit.what]
    assert len(said) == 1 and OPAQUE[state] in said[0]


def test_a_plugin_with_sliders_alone_is_set_and_nothing_is_said() -> None:
    world = World()
    limits = build(SimulatedScript(world), with_plugin('<JS sstillwell/1175 ""\n-6 0 -\n>\n'), "Song").limits
    assert not any("cannot be set" in limit.what for limit in limits)
    assert world.content.tracks[0].fx[0].parameters[:2] == [-6.0, 0.0]
