"""What the actions do around a separation: either installation, the queue, other tabs, parts of items, and where to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.reaper_job import run_job
from daw_bridge_reaper.configure.setup import ACTIONS, CONFIG_FILE, ICONS, LIBRARIES, MENU_FILE
from tests.conftest import ROOT
from tests.reaper.acting import RATE_HZ, Place, add_item, answer_with, jobs_seen, leftovers
from tests.reaper.simulator.lua import Reaper
from tests.reaper.simulator.model import Project, Send, Source, Take, Track, World

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")
AGAIN = "daw_bridge_separate_again.lua"


def run(world: World, scripts: Path, action: str = AGAIN, **options: Any) -> Reaper:
    reaper = Reaper(world, scripts / action, **options)
    reaper.run(timeout_s=300.0)
    return reaper


@pytest.fixture
def source_track(world: World) -> Track:
    world.ext_state["daw-bridge", "model"] = "preview"
    world.ext_state["daw-bridge", "template"] = "neutral"
    return world.content.tracks[1]


def stems_of(world: World) -> list[Track]:
    return [each for each in world.content.tracks if "P_EXT:daw_bridge" in each.texts and each.items]


# --- either installation
@pytest.fixture(params=["setup", "reapack"])
def installed(request: pytest.FixtureRequest, answered: Path) -> Path:
    """The actions where setup puts them, or where ReaPack does: one folder deeper, with setup's files above."""
    if request.param == "setup":
        return answered
    inner = answered / "daw-bridge"
    inner.mkdir()
    for path in answered.glob("*.lua"):
        if path.name != CONFIG_FILE:
            path.rename(inner / path.name)
    return inner


def test_two_items_are_separated_twice_from_either_installation(
    world: World, installed: Path, source_track: Track, song: Path, place: Place
) -> None:
    first, second = (add_item(source_track, Source(str(song))) for _ in range(2))
    second.values["D_POSITION"] = 9.0
    for round_number in (1, 2):
        reaper = run(world, installed, answers=[6])
        stems = stems_of(world)
        assert len(stems) == 5 * round_number
        assert [len(each.items) for each in stems] == [2] * len(stems)
        assert [item.values["D_POSITION"] for item in stems[0].items] == [2.0, 9.0]
        assert any("has these stems" in message for message in reaper.messages) is (round_number == 2)
    home = installed if (installed / CONFIG_FILE).is_file() else installed.parent
    # REAPER remembers what a folder held: without asking again the second run would take the first one's folder.
    folders = [job["sources"][0]["folder"] for job in jobs_seen(home)]
    assert folders[0] == folders[1]  # this worker made nothing
    assert [path.name for path in leftovers(home)] == ["seen.jsonl"]
    assert first.values["B_MUTE"] == second.values["B_MUTE"] == 1.0


def test_what_a_folder_holds_is_asked_anew(world: World, scripts: Path, tmp_path: Path) -> None:
    """The case that was handed in: the worker makes the folder behind REAPER's back, and another action comes."""
    code = (
        "local lib = require('daw_bridge_lib')\n"
        "local path = lib.new_folder(FOLDER, 'song')\n"
        "lib.say(path)\n"
        "package.loaded.daw_bridge_lib = nil\n"
    )
    parent = tmp_path / "cache"
    script = scripts / "probe.lua"
    head = f"package.path = [[{scripts}/?.lua;]] .. package.path\nFOLDER = [[{parent}]]\n"
    (parent / "song stems" / "audio").mkdir(parents=True)
    make = f"os.remove([[{parent}/song stems/audio]]) os.remove([[{parent}/song stems]])\n"
    remake = "os.execute('mkdir -p \"' .. FOLDER .. '/song stems/audio\"')\n"
    listing = "reaper.EnumerateSubdirectories(FOLDER .. '/song stems', 0)\n"
    script.write_text(head + make + listing + code + remake + code)
    reaper = run(world, scripts, "probe.lua")
    assert reaper.messages == [f"{parent}/song stems", f"{parent}/song stems 2"]


def test_the_reapack_layout_extracts_a_template_with_setups_python(world: World, installed: Path, song: Path) -> None:
    run_file = next(path for path in (installed, installed.parent) if (path / CONFIG_FILE).is_file())
    answer_with(run_file, {"ok": True, "template": "/there.yaml", "notes": []})
    world.project.path = str(song.parent / "mine.rpp")
    reaper = run(world, installed, "daw_bridge_extract_template.lua")
    assert reaper.messages == ["The template is in\n/there.yaml"]


def test_without_setup_the_python_is_looked_for_and_kept(
    world: World, answered: Path, source_track: Track, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (answered / CONFIG_FILE).unlink()
    home = tmp_path / "home"
    found = home / ".local/share/pipx/venvs/daw-bridge/bin/python"
    found.parent.mkdir(parents=True)
    found.symlink_to(sys.executable)
    roots = os.pathsep.join(str(ROOT / each) for each in (".", "adapters"))
    monkeypatch.setenv("PYTHONPATH", roots)
    monkeypatch.setenv("HOME", str(home))
    add_item(source_track, Source(str(song)))
    reaper = run(world, answered, answers=[6])
    assert "do not know which Python" in reaper.messages[0]
    assert world.ext_state["daw-bridge", "python"] == str(found)
    assert stems_of(world)
    reaper = run(world, answered, "daw_bridge_find_python.lua", answers=[7])
    assert str(found) in reaper.messages[0] and "is ready" in reaper.messages[0]


@pytest.mark.parametrize("system", ["Win64", "OSX64", "macOS-arm64", "Other"])
def test_on_each_system_it_is_said_what_was_looked_for(
    system: str, world: World, scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts / CONFIG_FILE).unlink()
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    library = scripts / "daw_bridge_python.lua"
    library.write_text(library.read_text().replace('"/usr/', '"/nowhere/').replace('"/opt/', '"/nowhere/'))
    reaper = run(world, scripts, "daw_bridge_find_python.lua", system=system, answers=[7])
    assert len(reaper.messages) == 1
    assert "There is no Python where it usually is" in reaper.messages[0]
    assert "pipx install daw-bridge" in reaper.messages[0] and "daw-bridge reaper setup" in reaper.messages[0]


# --- whose project
def test_stems_are_placed_in_their_project_while_another_tab_is_in_front(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    theirs, other = world.project, Project(path="/other.rpp")

    class Switched(Reaper):
        def lua_tick(self) -> bool:
            if other not in self.world.tabs:
                self.world.others.append(other)
                self.world.select(other)
            return super().lua_tick()

    reaper = Switched(world, answered / AGAIN)
    reaper.run()
    assert reaper.messages == [] and world.project is other and other.content.tracks == []
    world.select(theirs)
    assert len(stems_of(world)) == 5 and [title for title, _ in theirs.undo] == ["daw-bridge: separate into stems"]


def test_save_as_in_between_changes_nothing(world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))

    class Saved(Reaper):
        def lua_tick(self) -> bool:
            self.world.project.path = "/elsewhere/new name.rpp"
            return super().lua_tick()

    reaper = Saved(world, answered / AGAIN)
    reaper.run()
    assert reaper.messages == [] and len(stems_of(world)) == 5


def test_a_project_that_was_closed_gets_its_stems_later(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    theirs, other = world.project, Project(path="/other.rpp")

    class Closed(Reaper):
        def lua_tick(self) -> bool:
            self.world.project, self.world.others = other, []
            return super().lua_tick()

    reaper = Closed(world, answered / AGAIN)
    reaper.run()
    [message] = reaper.messages
    assert "mine.rpp are ready, but it is not open now" in message and "Place finished separations" in message
    assert other.content.tracks == []
    # The next start of REAPER: nothing of the old one is in memory, the project is open again.
    world.project, world.ext_state = theirs, {}
    assert run(world, answered, "daw_bridge_place_finished.lua").messages == []
    assert len(stems_of(world)) == 5
    assert run(world, answered, "daw_bridge_place_finished.lua").messages == ["Nothing is waiting."]


def left_job(scripts: Path, world: World, song: Path, started: dict[str, int] | None) -> Path:
    """A job that an earlier run of REAPER left."""
    folder = scripts / "jobs" / "20200101-000000-000001-001"
    folder.mkdir(parents=True)
    [item] = [item for track in world.content.tracks for item in track.items]
    items = [{"guid": f"{{{item.address:032X}}}", "source": 0}]
    sources = [{"file": str(song), "folder": str(song.parent / "left stems")}]
    job = {"version": 1, "kind": "separate", "layout": "buses", "project": "/gone.rpp", "title": "left"}
    (folder / "job.json").write_text(json.dumps(job | {"items": items, "sources": sources}))
    if started is not None:
        (folder / "started").write_text(json.dumps(started))
    return folder


@pytest.mark.parametrize("age_s", [None, 500])
def test_a_job_of_an_earlier_run_of_reaper_is_picked_up(
    age_s: int | None, world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    left_job(answered, world, song, None if age_s is None else {"at": int(time.time()) - age_s, "count": 1})
    assert run(world, answered, "daw_bridge_place_finished.lua").messages == []
    assert len(stems_of(world)) == 5


def test_a_job_that_stopped_twice_is_given_up(world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))
    left_job(answered, world, song, {"at": 0, "count": 2})
    [message] = run(world, answered, "daw_bridge_place_finished.lua").messages
    assert "stopped twice" in message and leftovers(answered) == []


def test_an_action_beside_a_running_one_joins_the_queue(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    world.ext_state["daw-bridge", "watching"] = str(int(time.time()) + 1000)
    assert run(world, answered).commands == []
    assert not stems_of(world)
    world.ext_state["daw-bridge", "watching"] = str(int(time.time()) - 100)
    reaper = run(world, answered)
    assert len(reaper.commands) == 2 and len(stems_of(world)) == 10
    assert any("1 more waiting" in text for text in reaper.drawn)


def test_started_again_while_it_works_an_action_loses_nothing(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    """REAPER ends the running script and starts it anew; the person then closes the menu, or separates more."""
    add_item(source_track, Source(str(song)))

    class Ended(Reaper):
        def lua_tick(self) -> Any:
            super().lua_tick()
            return "terminate"

    for choice, more in ((None, 5), ("preview|neutral|", 10)):
        before = len(stems_of(world))
        Ended(world, answered / AGAIN).run()
        assert len(stems_of(world)) == before and ("daw-bridge", "watching") not in world.ext_state
        run(world, answered, "daw_bridge_separate.lua", inputs=[choice])
        assert len(stems_of(world)) == before + more


def test_cancel_takes_what_waits_away(world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))
    folder = left_job(answered, world, song, {"at": int(time.time()), "count": 1})
    assert run(world, answered, "daw_bridge_cancel.lua").messages == []
    assert (folder / "cancel").exists()
    (folder / "started").unlink()
    run(world, answered, "daw_bridge_cancel.lua")
    assert leftovers(answered) == []


# --- what is made
def test_stems_carry_their_names_and_no_other_takes(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    item = add_item(source_track, Source(str(song)))
    item.takes[0].texts["P_NAME"] = "first"
    take = Take(item, Source(str(song)))
    take.texts["P_NAME"] = "second"
    take.values.update(D_STARTOFFS=0.2, D_VOL=0.5, D_PAN=-0.25)
    item.takes.append(take)
    item.values.update(I_CURTAKE=1.0, D_VOL=0.7)
    assert run(world, answered).messages == []
    for track in stems_of(world):
        [stem] = track.items
        [made] = stem.takes
        assert made.texts["P_NAME"] == track.texts["P_NAME"]
        assert (made.values["D_STARTOFFS"], made.values["D_VOL"], made.values["D_PAN"]) == (0.2, 0.5, -0.25)
        assert stem.values["D_VOL"] == 0.7


@pytest.mark.parametrize("depth", [1.0, 0.0, -1.0])
def test_as_children_the_tracks_fader_stays_above_the_stems(
    depth: float, world: World, answered: Path, source_track: Track, song: Path
) -> None:
    world.ext_state["daw-bridge", "layout"] = "children"
    tracks = world.content.tracks
    tracks[0].values["I_FOLDERDEPTH"] = 0.0 if depth > 0 else 1.0 if depth < 0 else 0.0
    source_track.values["I_FOLDERDEPTH"] = depth
    if depth > 0:
        tracks[2].values["I_FOLDERDEPTH"] = -1.0
    add_item(source_track, Source(str(song)))
    reaper = run(world, answered)
    assert reaper.messages == []
    top = next(track for track in tracks if track.texts["P_NAME"].endswith("(stems)"))
    assert reaper.lua_GetParentTrack(top.pointer) == source_track.pointer
    after = next(track for track in world.content.tracks if track.texts["P_NAME"] == "after")
    assert reaper.lua_GetParentTrack(after.pointer) == (source_track.pointer if depth > 0 else None)
    assert sum(int(each.values["I_FOLDERDEPTH"]) for each in world.content.tracks) == 0


def test_stems_as_lanes_of_one_track(world: World, answered: Path, source_track: Track, song: Path) -> None:
    world.ext_state["daw-bridge", "layout"] = "lanes"
    item = add_item(source_track, Source(str(song)))
    assert run(world, answered, version="6.83/linux-x86_64").messages == ["Lanes need REAPER 7."]
    assert run(world, answered).messages == []
    [track] = stems_of(world)
    assert track.values["I_FREEMODE"] == 2.0 and len(track.items) == 5
    assert [each.values["I_FIXEDLANE"] for each in track.items] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [track.values[f"C_LANEPLAYS:{lane}"] for lane in range(5)] == [2.0] * 5
    assert track.texts["P_LANENAME:0"] == track.items[0].takes[0].texts["P_NAME"]
    assert item.values["B_MUTE"] == 1.0


def test_stems_as_takes_leave_the_item_as_it_sounds(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    world.ext_state["daw-bridge", "layout"] = "takes"
    item = add_item(source_track, Source(str(song)), D_STARTOFFS=0.1, D_PAN=0.5)
    assert run(world, answered).messages == []
    assert len(item.takes) == 6 and item.values["B_MUTE"] == 0.0 and not stems_of(world)
    assert item.takes[0].source is not None and item.takes[0].source.path == str(song)
    assert {take.values["D_STARTOFFS"] for take in item.takes} == {0.1}
    assert {take.values["D_PAN"] for take in item.takes} == {0.5}
    assert len({take.texts["P_NAME"] for take in item.takes[1:]}) == 5


def test_items_that_have_their_stems_are_left_out(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    run(world, answered)
    add_item(source_track, Source(str(song)))
    [message] = run(world, answered).messages
    assert message == "Left out: 1 item(s) that have their stems"
    assert [len(job["items"]) for job in jobs_seen(answered)] == [1, 1]
    [question] = run(world, answered, answers=[7]).messages
    assert "has these stems already" in question and len(jobs_seen(answered)) == 2
    world.ext_state["daw-bridge", "template"] = "dj"  # other settings are other stems
    assert run(world, answered).messages == [] and len(jobs_seen(answered)) == 3


# --- parts
@pytest.fixture
def long_song(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    rng = np.random.default_rng(5)
    soundfile.write(path, 0.2 * rng.standard_normal((90 * 8_000, 2)), 8_000, subtype="PCM_16")
    return path


def test_an_item_of_a_long_file_asks_for_its_part_on_whole_samples(
    world: World, answered: Path, source_track: Track, long_song: Path
) -> None:
    for offset, length, rate in ((10.0, 4.0, 1.0), (12.00003, 2.0, 1.5), (60.0, 5.0, 1.0)):
        item = add_item(source_track, Source(str(long_song)), D_STARTOFFS=offset, D_PLAYRATE=rate)
        item.values["D_LENGTH"] = length
    looped = add_item(source_track, Source(str(long_song.with_name("loop.wav"))))
    shutil.copy(long_song, long_song.with_name("loop.wav"))
    looped.takes[0].source = Source(str(long_song.with_name("loop.wav")))
    looped.values.update(D_LENGTH=200.0, B_LOOPSRC=1.0)
    run(world, answered)
    [job] = jobs_seen(answered)
    assert [source.get("range") for source in job["sources"]] == [[10.0, 15.000125], [60.0, 65.0], None]
    assert [each["source"] for each in job["items"]] == [0, 0, 1, 2]
    assert [source["seconds"] for source in job["sources"]] == pytest.approx([5.000125, 5.0, 90.0])
    assert len({source["folder"] for source in job["sources"]}) == 3


def test_the_part_of_an_item_is_separated_and_plays_at_its_place(
    world: World, scripts: Path, source_track: Track, long_song: Path
) -> None:
    """With the real worker: what the stems' items play sums to what the item played, sample by sample."""
    world.project.path = str(long_song.with_name("mine.rpp"))
    item = add_item(source_track, Source(str(long_song)), D_STARTOFFS=40.0)
    item.values["D_LENGTH"] = 1.5
    section = Source(str(long_song), parent=Source(str(long_song)), section=(41.0, 2.0, True))
    add_item(source_track, section, D_STARTOFFS=0.25).values["D_LENGTH"] = 1.0
    assert run(world, scripts).messages == []
    mix, rate_hz = soundfile.read(long_song, dtype="float64")
    played = np.zeros((round(1.5 * rate_hz), 2))
    for track in stems_of(world):
        first, second = track.items
        take = first.takes[0]
        assert take.source is not None and first.values["B_LOOPSRC"] == 0.0
        audio, stem_rate_hz = soundfile.read(take.source.path, dtype="float64")
        assert stem_rate_hz == rate_hz and len(audio) == 3 * rate_hz
        start = take.values["D_STARTOFFS"] * rate_hz
        assert start == pytest.approx(round(start), abs=1e-6)
        played += audio[round(start) :][: len(played)]
        inner = second.takes[0]
        assert inner.source is not None and inner.source.section == pytest.approx((1.0, 2.0, True))
        assert inner.values["D_STARTOFFS"] == 0.25
    error = np.max(np.abs(played - mix[40 * rate_hz :][: len(played)]))
    assert 20.0 * np.log10(error + 1e-30) <= -120.0


def test_the_time_selection_cuts_the_item_and_separates_the_middle(
    world: World, answered: Path, source_track: Track, long_song: Path, place: Place
) -> None:
    world.ext_state["daw-bridge", "extent"] = "time"
    world.time_selection = (10.0, 12.0)
    outside = add_item(source_track, Source(str(long_song)))
    outside.values.update(D_POSITION=50.0, D_LENGTH=5.0)
    item = add_item(source_track, Source(str(long_song)), D_STARTOFFS=20.0)
    item.values.update(D_POSITION=5.0, D_LENGTH=30.0)
    result = json.loads(place.result)
    result["sources"][0].update(file=str(long_song), start_s=25.0)
    answer_with(answered, result)
    before = world.content.plain()
    [message] = run(world, answered).messages
    assert message == "Left out: an item outside of the time selection"
    [job] = jobs_seen(answered)
    assert job["sources"][0]["range"] == [25.0, 27.0] and job["items"][0]["cut"] == [5.0, 7.0]
    parts = [each for each in source_track.items if each is not outside]
    spans = [(each.values["D_POSITION"], each.values["D_LENGTH"], each.values["B_MUTE"]) for each in parts]
    assert spans == [(5.0, 5.0, 0.0), (10.0, 2.0, 1.0), (12.0, 23.0, 0.0)]
    for track in stems_of(world):
        [stem] = track.items
        assert (stem.values["D_POSITION"], stem.values["D_LENGTH"]) == (10.0, 2.0)
        assert stem.takes[0].values["D_STARTOFFS"] == 0.0
    world.do_undo()
    assert world.content.plain() == before


# --- choosing
def test_the_menu_shows_models_of_this_machine_first_and_keeps_what_is_chosen(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    reaper = run(world, answered, "daw_bridge_separate.lua", inputs=["preview|dj|vocals, bass"])
    menu = reaper.menus[-1]
    assert menu.index("|!preview  ") < menu.index("htdemucs_ft  ")
    [job] = jobs_seen(answered)
    assert (job["model"], job["template"], job["stems"]) == ("preview", "dj", "bass,vocals")
    assert world.ext_state["daw-bridge", "stems"] == "bass,vocals"
    nothing = run(world, answered, "daw_bridge_separate.lua", inputs=[None])
    assert nothing.messages == [] and len(jobs_seen(answered)) == 1


PRESETS = {
    "vocals": {"two_stems": "vocals"},
    "drums": {"two_stems": "drums"},
    "karaoke": {"two_stems": "vocals", "template": "karaoke"},
    "4": {"model": "htdemucs_ft", "template": "band"},
    "6": {"model": "htdemucs_6s", "template": "six-stem"},
    "kit": {"chain": "drums:drumsep5", "template": "drum-kit"},
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_one_key(name: str, world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))
    world.ext_state["daw-bridge", "stems"] = "bass"
    run(world, answered, f"daw_bridge_preset_{name}.lua")
    [job] = jobs_seen(answered)
    assert PRESETS[name].items() <= job.items() and job["stems"] == ""
    assert world.ext_state["daw-bridge", "template"] == "neutral"  # the last settings stay those of the menu


def test_presets_have_icons_and_a_toolbar(scripts: Path) -> None:
    resource = scripts.parents[1]
    toolbar = (resource / MENU_FILE).read_text()
    for action in ACTIONS:
        assert (scripts / action.file).is_file()
        if action.icon:
            data = (resource / ICONS / action.icon).read_bytes()
            assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[16:24] == bytes([0, 0, 0, 90, 0, 0, 0, 30])
            assert f"={action.icon}\n" in toolbar and f"=_{action.id} " in toolbar
    assert all((scripts / name).is_file() for name in LIBRARIES)


def test_a_licence_is_asked_for_once_inside_reaper(
    world: World, answered: Path, source_track: Track, song: Path, place: Place
) -> None:
    refusal = json.dumps({"ok": False, "licence": "the weights of x: non-commercial", "error": "e"})
    script = (answered / "daw_bridge_run.py").read_text()
    script = script.replace(
        'job.with_name("part").write',
        f"answer = answer if content.get('accept_licence') else json.loads({refusal!r})\njob.with_name(\"part\").write",
    )
    (answered / "daw_bridge_run.py").write_text(script)
    add_item(source_track, Source(str(song)))
    refused = run(world, answered, answers=[7])
    assert ["non-commercial" in each for each in refused.messages] == [True]
    assert not stems_of(world) and [path.name for path in leftovers(answered)] == ["seen.jsonl"]
    taken = run(world, answered, answers=[6])
    assert len(taken.messages) == 1 and len(stems_of(world)) == 5


# --- a template with a side-chain
@pytest.fixture(scope="session")
def sidechain_answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("sidechain")
    template = folder / "duck.yaml"
    template.write_text(
        "buses:\n"
        "  drums: {label: DRUMS}\n"
        "  bass:\n    label: BASS\n    effects:\n"
        "      - compressor: {threshold_db: -20, ratio: 4, sidechain_bus: drums}\n"
    )
    job = folder / "job.json"
    job.write_text(json.dumps({"version": 1, "kind": "template", "template": str(template)}))
    assert run_job(job) == 0
    return template, (folder / "result.json").read_text()


def called(world: World, *names: str) -> list[Track]:
    for track, name in zip(world.content.tracks, names, strict=False):
        track.texts["P_NAME"] = name
        track.values["I_FOLDERDEPTH"] = 0.0
    return world.content.tracks


def test_a_side_chain_gets_channels_and_one_send(
    world: World, answered: Path, sidechain_answer: tuple[Path, str]
) -> None:
    template, result = sidechain_answer
    answer_with(answered, json.loads(result))
    tracks = called(world, "DRUMS", "BASS", "x")
    world.ext_state["daw-bridge", "template"] = str(template)
    for _ in range(2):
        reaper = run(world, answered, "daw_bridge_apply_template.lua", inputs=[str(template)])
        assert len(reaper.messages) == 1 and "not connected" not in reaper.messages[0]
        tracks = world.content.tracks
        [send] = world.content.sends
        assert (send.source, send.target) == (tracks[0], tracks[1])
        assert (send.values["I_SRCCHAN"], send.values["I_DSTCHAN"], tracks[1].values["I_NCHAN"]) == (0.0, 2.0, 4.0)


@pytest.mark.parametrize("case", ["missing", "in use", "feeds back"])
def test_a_side_chain_that_cannot_be_had_listens_to_itself_and_it_is_said(
    case: str, world: World, answered: Path, sidechain_answer: tuple[Path, str]
) -> None:
    template, result = sidechain_answer
    answer_with(answered, json.loads(result))
    tracks = called(world, "no drums" if case == "missing" else "DRUMS", "BASS", "x")
    before = []
    if case == "in use":
        before = [Send(tracks[2], tracks[1])]
        before[0].values["I_DSTCHAN"] = 2.0
    elif case == "feeds back":
        before = [Send(tracks[1], tracks[0])]
    world.content.sends.extend(before)
    world.ext_state["daw-bridge", "template"] = str(template)
    reaper = run(world, answered, "daw_bridge_apply_template.lua", inputs=[str(template)])
    assert "The side-chain of BASS is not connected" in reaper.messages[0]
    assert world.content.sends == before
    chain = reaper.chains[world.content.tracks[1].address]
    bus = next(each for each in json.loads(result)["buses"] if each["name"] == "bass")
    assert chain in bus["plain"].replace("  ", "") or chain.strip() in bus["plain"]
    assert bus["plain"] != bus["chunk"]


# --- the runner
def test_the_runner_gives_a_sign_before_it_loads_anything_and_answers_for_what_does_not_load(
    scripts: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job.json"
    job.write_text("{}")
    broken = tmp_path / "broken"
    (broken / "daw_bridge").mkdir(parents=True)
    (broken / "daw_bridge" / "__init__.py").write_text("raise ImportError('half installed')")
    script = scripts / "daw_bridge_run.py"
    text = "\n".join(
        f"ROOTS = [{str(broken)!r}]" if line.startswith("ROOTS") else line for line in script.read_text().split("\n")
    )
    script.write_text(text)
    command = [sys.executable, str(script), "reaper", "job", str(job)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert json.loads((tmp_path / "progress.json").read_text())["text"] == "Loading daw-bridge"
    answer = json.loads((tmp_path / "result.json").read_text())
    assert not answer["ok"] and "half installed" in answer["error"] and sys.executable in answer["error"]
    assert "half installed" in (tmp_path / "worker.log").read_text()
    job.unlink()
    (tmp_path / "result.json").unlink()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0  # taken away meanwhile
    assert not (tmp_path / "result.json").exists()


def test_one_source_of_several_that_fails_is_named_and_the_others_come(tmp_path: Path, place: Place) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    sources = [
        {"file": str(bad), "folder": str(tmp_path / "bad stems"), "seconds": 1.0},
        {"file": str(place.song), "folder": str(tmp_path / "good stems"), "seconds": 1.0, "range": [0.25, 0.75]},
    ]
    job = tmp_path / "job" / "job.json"
    job.parent.mkdir()
    content = {"version": 1, "kind": "separate", "model": "preview", "template": "neutral", "two_stems": "vocals"}
    job.write_text(json.dumps(content | {"sources": sources}))
    assert run_job(job) == 0
    result = json.loads((job.parent / "result.json").read_text())
    assert [each["number"] for each in result["sources"]] == [1] and "bad.wav" in result["failed"][0]
    assert result["sources"][0]["start_s"] == 0.25 and result["notes"] == []
    files = [Path(file) for track in result["sources"][0]["tracks"] for file in track["files"]]
    assert len(files) == 2 and {soundfile.info(file).frames for file in files} == {round(0.5 * RATE_HZ)}
