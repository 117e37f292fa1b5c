"""The open project as a session: imports by bus name and number, aligned, one undo step each; and its template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daw_bridge.adapter import Connectable, OpenSessionReader
from daw_bridge.errors import AdapterMissing, DawError, InputError, UsageError
from daw_bridge.model import Compressor, PluginRef
from daw_bridge.session import Session
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.live.adapter import ReaperLiveAdapter
from daw_bridge_reaper.live.session import ReaperLiveSession
from tests.reaper.plans import full_plan, neutral_plan
from tests.reaper.simulator.model import Track, World
from tests.reaper.simulator.script import SimulatedScript
from tests.reaper.test_extract import tame
from tests.reaper.test_live import with_audio

Open = Callable[[], ReaperLiveSession]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with a session of two buses and a marker."""
    world = World()
    world.content.markers.append((False, 1.5, 0.0, "Chorus", 0))
    plan = with_audio(neutral_plan(tmp_path, ("drums", "vocals")))
    ReaperLiveAdapter(connect=lambda: SimulatedScript(world)).write(plan, tmp_path, "Song")
    return world


@pytest.fixture
def session(world: World) -> ReaperLiveSession:
    return ReaperLiveAdapter(connect=lambda: SimulatedScript(world)).open_session()


def names(world: World) -> list[str]:
    return [track.texts["P_NAME"] for track in world.content.tracks]


@pytest.mark.parametrize(("bus", "align", "position_s"), [("vocals", "project_start", 0.0), (2, "Chorus", 1.5)])
def test_audio_lands_inside_its_bus(
    bus: str | int, align: str, position_s: float, world: World, session: ReaperLiveSession, tmp_path: Path
) -> None:
    before = world.content.plain()
    with session as opened:
        assert opened.buses == ("drums", "vocals")
        assert opened.import_audio(tmp_path / "audio" / "drums.wav", target_bus=bus, align_to=align) == "drums"
    place = names(world).index("Vocals") + 1
    track = world.content.tracks[place]
    [item] = track.items
    assert (item.values["D_POSITION"], item.values["D_FADEINLEN"]) == (position_s, 0.0)
    assert item.values["D_LENGTH"] == pytest.approx(100 / 44_100)
    assert track.values["I_FOLDERDEPTH"] == 0.0
    assert sum(each.values["I_FOLDERDEPTH"] for each in world.content.tracks) == 0.0
    world.do_undo()
    assert world.content.plain() == before


def test_a_plain_track_becomes_a_folder(tmp_path: Path) -> None:
    world = World()
    for name, depth in (("Band", 1.0), ("Vox", -1.0)):
        track = Track()
        track.texts["P_NAME"] = name
        track.values["I_FOLDERDEPTH"] = depth
        world.content.tracks.append(track)
    with_audio(neutral_plan(tmp_path, ("a",)))
    session = ReaperLiveSession(SimulatedScript(world))
    session.import_audio(tmp_path / "audio" / "a.wav", target_bus="vox", align_to=2.0)
    assert [(t.texts["P_NAME"], t.values["I_FOLDERDEPTH"]) for t in world.content.tracks] == [
        ("Band", 1.0),
        ("Vox", 1.0),
        ("a", -2.0),
    ]


def test_a_bus_answers_to_what_its_track_is_called(world: World, session: ReaperLiveSession, tmp_path: Path) -> None:
    vocals = names(world).index("Vocals")
    world.content.tracks[vocals].texts["P_NAME"] = "Lead Voice"
    session.import_audio(tmp_path / "audio" / "drums.wav", target_bus="LEAD VOICE")
    assert names(world)[vocals + 1] == "drums"


def test_a_name_of_several_tracks_is_no_way_to_choose_one(tmp_path: Path) -> None:
    world = World()
    for _ in range(2):
        world.content.tracks.append(Track())
        world.content.tracks[-1].texts["P_NAME"] = "Vox"
    with_audio(neutral_plan(tmp_path, ("a",)))
    with pytest.raises(UsageError, match="several tracks of the open project are called 'vox'"):
        ReaperLiveSession(SimulatedScript(world)).import_audio(tmp_path / "audio" / "a.wav", target_bus="vox")
    assert names(world) == ["Vox", "Vox"]


def test_wrong_targets_change_nothing(world: World, session: ReaperLiveSession, tmp_path: Path) -> None:
    before, path = world.content.plain(), tmp_path / "audio" / "drums.wav"
    with pytest.raises(UsageError, match="did you mean vocals"):
        session.import_audio(path, target_bus="vocal")
    with pytest.raises(UsageError, match="buses 1 to 2"):
        session.import_audio(path, target_bus=3)
    with pytest.raises(UsageError, match="no marker called"):
        session.import_audio(path, target_bus=1, align_to="Verse")
    with pytest.raises(UsageError, match="cannot align"):
        session.import_audio(path, target_bus=1, align_to=-1.0)
    with pytest.raises(InputError):
        session.import_audio(tmp_path / "none.wav", target_bus=1)
    assert world.content.plain() == before


def test_every_failure_of_an_import_is_taken_back(world: World, session: ReaperLiveSession, tmp_path: Path) -> None:
    path = tmp_path / "audio" / "drums.wav"
    before, undo = world.content.plain(), len(world.project.undo)
    world.calls.clear()
    session.import_audio(path, target_bus=1)
    total = len(world.calls)
    world.do_undo()
    for number in range(1, total + 1):
        world.calls.clear()
        world.fail_at = number
        with pytest.raises(DawError, match="simulated failure"):
            session.import_audio(path, target_bus=1)
        assert world.content.plain() == before, number
        assert (len(world.project.undo), world.refresh, world.block) == (undo, 0, None)


def test_the_open_project_gives_its_template(tmp_path: Path) -> None:
    plan = tame(full_plan(tmp_path))
    written = ADAPTER.write(plan, tmp_path, "Song").session_path
    world = World()
    world.project.path = str(tmp_path / "mine.rpp")
    world.chunks = [rpp.plain_text(chunk) for chunk in rpp.load(written).root.chunks("TRACK")]
    world.content.tracks = [Track() for _ in world.chunks]
    adapter = ReaperLiveAdapter(connect=lambda: SimulatedScript(world))
    assert isinstance(adapter, OpenSessionReader) and isinstance(adapter, Connectable)
    report = adapter.read_open_plan()
    assert report.plan.name == "mine"
    assert report.plan.buses == ADAPTER.read_plan(written).plan.buses
    assert isinstance(report.plan.mix_bus.effects[0], Compressor)


def test_the_master_of_the_open_project_is_read_too() -> None:
    world = World()
    world.chunks = ["<TRACK\nNAME DRUMS\n>\n"]
    world.content.tracks = [Track()]
    world.content.master.values.update(D_VOL=0.5, D_PAN=0.25)
    for name in ("FXCHAIN", "MASTERFXLIST"):
        world.master_chunk = f'<TRACK\n<{name}\nBYPASS 0 0 0\n<JS loser/masterLimiter ""\n-3\n>\n>\n>\n'
        plan = ReaperLiveAdapter(connect=lambda: SimulatedScript(world)).read_open_plan().plan
        assert (plan.mix_bus.gain_db, plan.mix_bus.pan) == (-6.0206, 0.25)
        [limiter] = plan.mix_bus.effects
        assert isinstance(limiter, PluginRef) and limiter.name == "JS: loser/masterLimiter" and limiter.enabled
    world.content.master.values["I_FXEN"] = 0.0
    plan = ReaperLiveAdapter(connect=lambda: SimulatedScript(world)).read_open_plan().plan
    assert not plan.mix_bus.effects[0].enabled


def test_connect_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    (tmp_path / "reaper.json").write_text('{"host": "127.0.0.1", "web_port": 9}')
    with pytest.raises(DawError, match="start REAPER"):
        Session.connect("reaper")
    with pytest.raises(AdapterMissing):
        Session.connect("nothing")
