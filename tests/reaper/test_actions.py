"""The Lua actions under a real Lua 5.4, with the real worker: what a person sees, and what the project holds."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

from daw_bridge_reaper.adapter import ADAPTER
from tests.reaper.acting import RATE_HZ, Place, add_item, answer_with, jobs_seen, leftovers, separate
from tests.reaper.plans import full_plan
from tests.reaper.simulator.functions import WrongCall
from tests.reaper.simulator.lua import Reaper
from tests.reaper.simulator.model import Source, World
from tests.reaper.test_extract import tame

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")
CHANGING = {
    "InsertTrackAtIndex",
    "SetTrackStateChunk",
    "SetMediaTrackInfo_Value",
    "GetSetMediaTrackInfo_String",
    "CreateTrackSend",
    "AddMediaItemToTrack",
    "SetItemStateChunk",
    "SetMediaItemInfo_Value",
}


def test_selected_items_become_buses_below_them_in_one_undo_step(world: World, scripts: Path, song: Path) -> None:
    track = world.content.tracks[1]
    trimmed = add_item(track, Source(str(song)), D_STARTOFFS=0.25, D_PLAYRATE=0.5, D_VOL=0.7)
    section = Source(str(song), parent=Source(str(song)), section=(0.1, 0.6, True))
    reversed_item = add_item(track, section, D_STARTOFFS=0.05)
    add_item(track, Source(str(song.with_name("riff.mid"))))
    add_item(track, Source(str(song.with_name("gone.wav"))))
    world.ext_state["daw-bridge", "extent"] = "file"
    before = world.content.plain()
    reaper = separate(world, scripts)
    names = [each.texts["P_NAME"] for each in world.content.tracks]
    assert names[:2] == ["Band", "song"] and names[-1] == "after"
    top = names.index(next(name for name in names if name.endswith("(stems)")))
    assert top == 2
    depths = [int(each.values["I_FOLDERDEPTH"]) for each in world.content.tracks]
    assert sum(depths) == 0 and sum(depths[:-1]) == 0  # the folder "Band" still ends before "after"
    stems = [each for each in world.content.tracks[2:-1] if each.items]
    assert len(stems) >= 5
    for stem in stems:
        first, second = stem.items
        assert first.values | {"B_UISEL": 1.0} == trimmed.values | {"B_MUTE": 0.0}
        assert first.takes[0].values == trimmed.takes[0].values
        made = second.takes[0].source
        assert made is not None and made.section == (0.1, 0.6, True)
        path = Path(made.path)
        assert path.is_relative_to(song.parent) and soundfile.info(path).frames == RATE_HZ
    assert (trimmed.values["B_MUTE"], reversed_item.values["B_MUTE"]) == (1.0, 1.0)
    muted = [item.values["B_MUTE"] for item in world.content.tracks[1].items]
    assert muted == [1.0, 1.0, 0.0, 0.0]
    assert [title for title, _ in world.project.undo] == ["daw-bridge: separate into stems"]
    [message] = reaper.messages
    assert "a MIDI item" in message and "an offline item" in message
    world.do_undo()
    assert world.content.plain() == before
    assert leftovers(scripts) == []
    assert world.ext_state.get(("daw-bridge", "watching")) is None
    _question, command = reaper.commands
    assert Path(command[0]).is_absolute()
    assert command[1:4] == [str(scripts / "daw_bridge_run.py"), "reaper", "job"]
    assert reaper.ticks > 2


def test_again_asks_nothing_and_takes_a_new_folder(world: World, answered: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))
    (song.parent / "my  1 song  it s é stems").mkdir(exist_ok=True)
    (song.parent / "my  1 song  it s é stems" / "theirs.wav").write_bytes(b"")
    world.ext_state.update({("daw-bridge", "model"): "preview", ("daw-bridge", "template"): "dj"})
    world.ext_state["daw-bridge", "stems"] = "vocals"
    Reaper(world, answered / "daw_bridge_separate_again.lua").run()
    [job] = jobs_seen(answered)
    assert (job["model"], job["template"], job["stems"]) == ("preview", "dj", "vocals")
    [source] = job["sources"]
    assert (source["file"], source["folder"]) == (str(song), str(song.parent / "my  1 song  it s é stems 2"))
    assert len(world.content.tracks) > 3


def test_separated_items_join_no_group_of_the_project_and_keep_its_time_base(
    world: World, answered: Path, place: Place, song: Path
) -> None:
    result = json.loads(place.result)
    for track in result["sources"][0]["tracks"][1:4]:
        track["group"] = 1
    answer_with(answered, result)
    source = world.content.tracks[1]
    source.groups["MUTE_FOLLOW"] = 1
    source.values["C_BEATATTACHMODE"] = 1.0
    add_item(source, Source(str(song)))
    for _ in range(2):
        Reaper(world, answered / "daw_bridge_separate.lua", inputs=["preview|neutral|"]).run()
    ours = [track for track in world.content.tracks if "P_EXT:daw_bridge" in track.texts]
    assert {track.values["C_BEATATTACHMODE"] for track in ours} == {1.0}
    assert {(track.values["D_PANLAW"], track.values["I_PANMODE"]) for track in ours} == {(1.0, 3.0)}
    assert {send.values["D_PANLAW"] for send in world.content.sends} <= {1.0}
    assert source.groups == {"MUTE_FOLLOW": 1}
    groups = [track.groups for track in ours if track.groups]
    assert sorted(each["VOLUME_LEAD"] for each in groups) == [2, 2, 2, 4, 4, 4]
    assert all(set(each) == {"VOLUME_LEAD", "VOLUME_FOLLOW"} for each in groups)


def test_every_failure_inside_reaper_is_taken_back(world: World, answered: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))

    class Failing(Reaper):
        count, at = 0, 0

        def _call(self, name: str, arguments: list[Any]) -> list[Any]:
            if name in CHANGING and self.world.block is not None:
                self.count += 1
                if self.count == self.at:
                    raise WrongCall(f"simulated failure of {name}")
            return super()._call(name, arguments)

    before = world.content.plain()
    good = Failing(world, answered / "daw_bridge_separate_again.lua")
    good.run()
    assert good.messages == []
    assert good.count > 20
    world.do_undo()
    for number in range(1, good.count + 1, 9):
        failing = Failing(world, answered / "daw_bridge_separate_again.lua")
        failing.at = number
        failing.run()
        assert "Nothing was changed" in failing.messages[0] and "simulated failure" in failing.messages[0]
        assert world.content.plain() == before, number
        assert (world.refresh, world.block, world.project.undo) == (0, None, [])


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nothing", "Select one or several audio items"),
        ("midi", "a MIDI item"),
        ("empty", "an empty item"),
        ("offline", "an offline item"),
        ("unsaved", "Save the project first"),
    ],
)
def test_what_cannot_be_separated_is_said_at_once(
    case: str, message: str, world: World, scripts: Path, song: Path
) -> None:
    track = world.content.tracks[1]
    if case == "midi":
        add_item(track, Source(str(song.with_name("riff.mid"))))
    elif case == "empty":
        add_item(track, None).takes.clear()
    elif case == "offline":
        add_item(track, Source(str(song.with_name("gone.wav"))))
    elif case == "unsaved":
        add_item(track, Source(str(song)))
        world.project.path = ""
    before = world.content.plain()
    reaper = Reaper(world, scripts / "daw_bridge_separate.lua")
    reaper.run()
    assert len(reaper.messages) == 1 and message in reaper.messages[0]
    assert world.content.plain() == before and reaper.commands == []


def again(world: World, scripts: Path, **options: Any) -> Reaper:
    """The action that asks nothing, with the bundled model."""
    world.ext_state["daw-bridge", "model"] = "preview"
    world.ext_state.setdefault(("daw-bridge", "template"), "neutral")
    reaper = Reaper(world, scripts / "daw_bridge_separate_again.lua", **options)
    reaper.run()
    return reaper


def test_a_worker_that_fails_says_so_and_nothing_changes(world: World, scripts: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))
    before = world.content.plain()
    world.ext_state["daw-bridge", "template"] = "bandd"
    reaper = again(world, scripts)
    assert len(reaper.messages) == 1 and "bandd" in reaper.messages[0]
    assert "did you mean" in reaper.messages[0]
    assert world.content.plain() == before and world.project.undo == []
    assert [path.name for path in leftovers(scripts)] in ([], ["last.log"])


def test_a_python_that_is_gone_is_named(world: World, scripts: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))
    (scripts / "daw_bridge_config.lua").write_text('return { python = "/nowhere/python" }')
    reaper = again(world, scripts, answers=[7])
    assert "Cannot start /nowhere/python" in reaper.messages[0]
    assert leftovers(scripts) == []


def test_closing_the_window_cancels(world: World, scripts: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))
    before = world.content.plain()
    reaper = again(world, scripts, close_window_at=2)
    assert world.content.plain() == before
    assert reaper.messages == [] and leftovers(scripts) == []


SIGN = "import json, pathlib, sys; at = pathlib.Path(sys.argv[-1]).parent; (at / 'worker.log').write_text('no memory');"


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ("pass", "gave no sign of life"),
        (SIGN + "(at / 'progress.json').write_text(json.dumps({'beat': 1, 'at': 0}))", "Its last words: no memory"),
    ],
)
def test_a_worker_that_is_gone_is_given_up_with_a_reason(
    runner: str, message: str, world: World, scripts: Path, song: Path
) -> None:
    add_item(world.content.tracks[1], Source(str(song)))
    (scripts / "daw_bridge_run.py").write_text(runner)
    library = scripts / "daw_bridge_jobs.lua"
    text = (
        library.read_text()
        .replace("STALLED_S = 120", "STALLED_S = 1.5")
        .replace("SLOW_START_S = 4", "SLOW_START_S = 0.1")
    )
    library.write_text(text.replace("local START_S = 60", "local START_S = 0.5") if runner == "pass" else text)
    reaper = again(world, scripts)
    assert message in reaper.messages[0]
    assert "Python has not answered yet" in " ".join(reaper.drawn) or message.startswith("Its")
    assert [path.name for path in leftovers(scripts)] in ([], ["last.log"])


def test_an_item_deleted_meanwhile_changes_nothing(world: World, answered: Path, song: Path) -> None:
    add_item(world.content.tracks[1], Source(str(song)))

    class Deleted(Reaper):
        def lua_tick(self) -> bool:
            self.world.content.tracks[1].items.clear()
            return super().lua_tick()

    reaper = Deleted(world, answered / "daw_bridge_separate_again.lua")
    reaper.run()
    assert "was deleted meanwhile" in reaper.messages[0]
    assert len(world.content.tracks) == 3


def test_vocals_are_muted_and_unmuted(world: World, scripts: Path) -> None:
    reaper = Reaper(world, scripts / "daw_bridge_mute_vocals.lua")
    reaper.run()
    assert "no track called Vocals" in reaper.messages[0]
    world.content.tracks[2].texts["P_NAME"] = "VOCALS"
    for wanted in (1.0, 0.0):
        reaper.run()
        assert world.content.tracks[2].values["B_MUTE"] == wanted
    assert [title for title, _ in world.project.undo] == ["daw-bridge: mute vocals", "daw-bridge: unmute vocals"]


def test_a_template_is_put_on_the_buses_that_are_there(world: World, scripts: Path) -> None:
    track = world.content.tracks[2]
    track.texts["P_NAME"] = "Vocals"
    reaper = Reaper(world, scripts / "daw_bridge_apply_template.lua", inputs=["band"])
    reaper.run()
    chain = reaper.chains[track.address]
    assert chain.startswith("<FXCHAIN\n") and "ReaEQ" in chain and "ReaComp" in chain
    assert track.values["I_CUSTOMCOLOR"] != 0
    assert "1 bus(es) set to band" in reaper.messages[0] and "Not in this project" in reaper.messages[0]
    assert [title for title, _ in world.project.undo] == ["daw-bridge: apply template band"]


def test_a_template_is_extracted_beside_the_project(world: World, scripts: Path, song: Path) -> None:
    plan = tame(full_plan(song.parent))
    world.project.path = str(ADAPTER.write(plan, song.parent, "mine").session_path)
    (song.parent / "mine.yaml").write_text("theirs")
    reaper = Reaper(world, scripts / "daw_bridge_extract_template.lua", dirty=True)
    reaper.run()
    assert "Save the project first" in reaper.messages.pop()
    reaper.dirty = False
    reaper.run()
    assert str(song.parent / "mine 2.yaml") in reaper.messages[0]
    assert (song.parent / "mine.yaml").read_text() == "theirs"


def test_cancel_without_a_job_says_so(world: World, scripts: Path) -> None:
    reaper = Reaper(world, scripts / "daw_bridge_cancel.lua")
    reaper.run()
    assert reaper.messages == ["Nothing is running."]


def test_our_json_is_pythons_json(scripts: Path) -> None:
    values = ['a"b\\\n\t\x01é🥁', 1, -2.5, 1e300, True, False, [], {"k": [1, {"x": "y"}]}, "\ud83e\udd41", 0.1]
    code = (
        f"package.path = {json.dumps(str(scripts), ensure_ascii=False)} .. '/?.lua'\n"
        "local json = require('daw_bridge_json')\n"
        "io.write(json.encode(json.decode(io.read('a'))))\n"
    )
    lua = ["lua5.4", "-e", code]
    answer = subprocess.run(lua, input=json.dumps(values), capture_output=True, text=True, check=True)
    back = json.loads(answer.stdout)
    assert back[:8] == values[:8] and back[9] == 0.1
    for bad in ('{"a"', "[1,]", '"\\x"', "{1:2}", "", "nul", "[1] x"):
        failed = subprocess.run(lua, input=bad, capture_output=True, text=True, check=False)
        assert failed.returncode != 0 and "bad JSON" in failed.stderr, bad
