"""What the actions do around a separation: either installation, the queue, other tabs, and the worker that runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from daw_bridge.cli.reaper_job import run_job
from daw_bridge_reaper.configure.setup import CONFIG_FILE
from tests.conftest import ROOT
from tests.reaper.acting import AGAIN, RATE_HZ, Place, add_item, answer_with, jobs_seen, leftovers, run_action, stems_of
from tests.reaper.simulator.lua import Reaper
from tests.reaper.simulator.model import Project, Source, Track, World

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")


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
        reaper = run_action(world, installed, answers=[6])
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
    reaper = run_action(world, scripts, "probe.lua")
    assert reaper.messages == [f"{parent}/song stems", f"{parent}/song stems 2"]


def test_the_reapack_layout_extracts_a_template_with_setups_python(world: World, installed: Path, song: Path) -> None:
    run_file = next(path for path in (installed, installed.parent) if (path / CONFIG_FILE).is_file())
    answer_with(run_file, {"ok": True, "template": "/there.yaml", "notes": []})
    world.project.path = str(song.parent / "mine.rpp")
    reaper = run_action(world, installed, "daw_bridge_extract_template.lua")
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
    reaper = run_action(world, answered, answers=[6])
    assert "do not know which Python" in reaper.messages[0]
    assert world.ext_state["daw-bridge", "python"] == str(found)
    assert stems_of(world)
    reaper = run_action(world, answered, "daw_bridge_find_python.lua", answers=[7])
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
    reaper = run_action(world, scripts, "daw_bridge_find_python.lua", system=system, answers=[7])
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
    assert run_action(world, answered, "daw_bridge_place_finished.lua").messages == []
    assert len(stems_of(world)) == 5
    assert run_action(world, answered, "daw_bridge_place_finished.lua").messages == ["Nothing is waiting."]


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
    assert run_action(world, answered, "daw_bridge_place_finished.lua").messages == []
    assert len(stems_of(world)) == 5


def test_a_job_that_stopped_twice_is_given_up(world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))
    left_job(answered, world, song, {"at": 0, "count": 2})
    [message] = run_action(world, answered, "daw_bridge_place_finished.lua").messages
    assert "stopped twice" in message and leftovers(answered) == []


def test_an_action_beside_a_running_one_joins_the_queue(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    world.ext_state["daw-bridge", "watching"] = str(int(time.time()) + 1000)
    assert run_action(world, answered).commands == []
    assert not stems_of(world)
    world.ext_state["daw-bridge", "watching"] = str(int(time.time()) - 100)
    reaper = run_action(world, answered)
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
        run_action(world, answered, "daw_bridge_separate.lua", inputs=[choice])
        assert len(stems_of(world)) == before + more


def test_cancel_takes_what_waits_away(world: World, answered: Path, source_track: Track, song: Path) -> None:
    add_item(source_track, Source(str(song)))
    folder = left_job(answered, world, song, {"at": int(time.time()), "count": 1})
    assert run_action(world, answered, "daw_bridge_cancel.lua").messages == []
    assert (folder / "cancel").exists()
    (folder / "started").unlink()
    run_action(world, answered, "daw_bridge_cancel.lua")
    assert leftovers(answered) == []


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
