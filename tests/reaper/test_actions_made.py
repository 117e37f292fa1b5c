"""What the actions make: stems as tracks, children, lanes or takes, of parts of items, as chosen, with side-chains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.reaper_job import run_job
from daw_bridge_reaper.configure.setup import ACTIONS, ICONS, LIBRARIES, MENU_FILE
from tests.reaper.acting import Place, add_item, answer_with, jobs_seen, leftovers, run_action, stems_of
from tests.reaper.simulator.model import Send, Source, Take, Track, World

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")


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
    assert run_action(world, answered).messages == []
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
    reaper = run_action(world, answered)
    assert reaper.messages == []
    top = next(track for track in tracks if track.texts["P_NAME"].endswith("(stems)"))
    assert reaper.lua_GetParentTrack(top.pointer) == source_track.pointer
    after = next(track for track in world.content.tracks if track.texts["P_NAME"] == "after")
    assert reaper.lua_GetParentTrack(after.pointer) == (source_track.pointer if depth > 0 else None)
    assert sum(int(each.values["I_FOLDERDEPTH"]) for each in world.content.tracks) == 0


def test_stems_as_lanes_of_one_track(world: World, answered: Path, source_track: Track, song: Path) -> None:
    world.ext_state["daw-bridge", "layout"] = "lanes"
    item = add_item(source_track, Source(str(song)))
    assert run_action(world, answered, version="6.83/linux-x86_64").messages == ["Lanes need REAPER 7."]
    assert run_action(world, answered).messages == []
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
    assert run_action(world, answered).messages == []
    assert len(item.takes) == 6 and item.values["B_MUTE"] == 0.0 and not stems_of(world)
    assert item.takes[0].source is not None and item.takes[0].source.path == str(song)
    assert {take.values["D_STARTOFFS"] for take in item.takes} == {0.1}
    assert {take.values["D_PAN"] for take in item.takes} == {0.5}
    assert len({take.texts["P_NAME"] for take in item.takes[1:]}) == 5


def test_items_that_have_their_stems_are_left_out(
    world: World, answered: Path, source_track: Track, song: Path
) -> None:
    add_item(source_track, Source(str(song)))
    run_action(world, answered)
    add_item(source_track, Source(str(song)))
    [message] = run_action(world, answered).messages
    assert message == "Left out: 1 item(s) that have their stems"
    assert [len(job["items"]) for job in jobs_seen(answered)] == [1, 1]
    [question] = run_action(world, answered, answers=[7]).messages
    assert "has these stems already" in question and len(jobs_seen(answered)) == 2
    world.ext_state["daw-bridge", "template"] = "dj"  # other settings are other stems
    assert run_action(world, answered).messages == [] and len(jobs_seen(answered)) == 3


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
    run_action(world, answered)
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
    assert run_action(world, scripts).messages == []
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
    [message] = run_action(world, answered).messages
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
    reaper = run_action(world, answered, "daw_bridge_separate.lua", inputs=["preview|dj|vocals, bass"])
    menu = reaper.menus[-1]
    assert menu.index("|!preview  ") < menu.index("htdemucs_ft  ")
    [job] = jobs_seen(answered)
    assert (job["model"], job["template"], job["stems"]) == ("preview", "dj", "bass,vocals")
    assert world.ext_state["daw-bridge", "stems"] == "bass,vocals"
    nothing = run_action(world, answered, "daw_bridge_separate.lua", inputs=[None])
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
    run_action(world, answered, f"daw_bridge_preset_{name}.lua")
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
    refused = run_action(world, answered, answers=[7])
    assert ["non-commercial" in each for each in refused.messages] == [True]
    assert not stems_of(world) and [path.name for path in leftovers(answered)] == ["seen.jsonl"]
    taken = run_action(world, answered, answers=[6])
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
        reaper = run_action(world, answered, "daw_bridge_apply_template.lua", inputs=[str(template)])
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
    reaper = run_action(world, answered, "daw_bridge_apply_template.lua", inputs=[str(template)])
    assert "The side-chain of BASS is not connected" in reaper.messages[0]
    assert world.content.sends == before
    chain = reaper.chains[world.content.tracks[1].address]
    bus = next(each for each in json.loads(result)["buses"] if each["name"] == "bass")
    assert chain in bus["plain"].replace("  ", "") or chain.strip() in bus["plain"]
    assert bus["plain"] != bus["chunk"]
