"""REAPER through reapy's own client and server, bound to the daemon: the surface moves REAPER, REAPER the surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.errors import DawError, DawUnreachable
from daw_bridge.mixer import MixerAddress, MixerChange
from daw_bridge.registry import open_mixer
from daw_bridge.units import db_to_linear
from daw_bridge_reaper.live.adapter import ReaperLiveAdapter
from daw_bridge_reaper.live.api import Pointer, Project
from daw_bridge_reaper.live.connection import Connection
from tests.reaper.plans import neutral_plan
from tests.reaper.test_live import with_audio
from tests.reaper.test_live_sockets import Simulator

pytest.importorskip("reapy.tools", reason="the extra 'reaper' is not installed")
Make = Callable[..., Any]


@pytest.fixture
def reaper(tmp_path: Path) -> Iterator[Simulator]:
    """A REAPER at its usual 30 ticks a second, with a session of two stems on their buses."""
    simulator = Simulator()
    plan = with_audio(neutral_plan(tmp_path, ("vocals", "drums")))
    ReaperLiveAdapter(connect=lambda: Connection(simulator.address)).write(plan, tmp_path, "Song")
    yield simulator
    simulator.close()


@pytest.fixture
def bound(make_daemon: Make, make_peer: Make, reaper: Simulator) -> Any:
    """A subscribed peer of a daemon that is bound to that REAPER."""
    peer = make_peer(make_daemon(mixers={"reaper-live": MixerAddress(port=reaper.address.web_port)}).port)
    peer.ask("/dawbridge/subscribe")
    reply = peer.ask("/dawbridge/session/open", "reaper-live")
    assert reply.arguments[2:4] == ("bound", "REAPER, the open project"), reply
    return peer


def tracks(reaper: Simulator) -> dict[str, dict[str, float]]:
    """What REAPER itself holds, by name."""
    return {track["texts"]["P_NAME"]: track["values"] for track in reaper.ask("state")["content"]["tracks"]}


def move(reaper: Simulator, name: str, key: str, value: float) -> None:
    """A hand in REAPER."""
    with Connection(reaper.address) as other, other.hold():
        project = Project(other)
        (track,) = [each for each in project.tracks() if project.text(each, "P_NAME") == name]
        project.set_value(track, key, value)


def test_a_mute_from_the_surface_mutes_the_vocal_bus_in_reaper(bound: Any, reaper: Simulator) -> None:
    assert bound.ask("/dawbridge/stem/vocals/mute", 1).arguments[2] == 1
    assert [name for name, values in tracks(reaper).items() if values["B_MUTE"]] == ["Vocals", "Reference"]
    assert bound.ask("/dawbridge/stem/vocals/mute").arguments[2] == 1
    bound.ask("/dawbridge/stem/drums/gain_db", -7.5)
    assert tracks(reaper)["Drums"]["D_VOL"] == pytest.approx(db_to_linear(-7.5))
    bound.ask("/dawbridge/bus/Drums/solo", 1)
    assert tracks(reaper)["Drums"]["I_SOLO"] == 2.0  # in place, so that what feeds the bus sounds
    bound.ask("/dawbridge/bus/Drums/gain_db", -150.0)
    assert tracks(reaper)["Drums"]["D_VOL"] == 0.0


def test_a_move_in_reaper_arrives_at_the_surface(bound: Any, reaper: Simulator) -> None:
    move(reaper, "Vocals", "D_VOL", db_to_linear(-12.25))
    gain = bound.wait(lambda each: each.address == "/dawbridge/bus/Vocals/gain_db" and each.arguments[0] < -1)
    assert gain.arguments[0] == pytest.approx(-12.25, abs=0.001)
    move(reaper, "Drums", "B_MUTE", 1.0)
    bound.wait(lambda each: each.address == "/dawbridge/bus/Drums/mute" and each.arguments == (1,))
    move(reaper, "Drums", "I_SOLO", 1.0)
    bound.wait(lambda each: each.address == "/dawbridge/bus/Drums/solo" and each.arguments == (1,))


def test_a_track_that_was_moved_or_renamed_in_reaper_is_still_found(bound: Any, reaper: Simulator) -> None:
    with Connection(reaper.address) as other, other.hold():
        project = Project(other)
        project.call("InsertTrackAtIndex", 0, False)
        project.set_text(Pointer(project.call("GetTrack", project.id, 0)), "P_NAME", "Guitar")
    assert bound.ask("/dawbridge/stem/vocals/mute", 1).arguments[2] == 1
    found = tracks(reaper)
    assert (found["Vocals"]["B_MUTE"], found["Guitar"]["B_MUTE"], found["vocals"]["B_MUTE"]) == (1.0, 0.0, 0.0)
    assert bound.ask("/dawbridge/bus/guitar/mute", 1).arguments[2] == 1
    assert "no stem called 'violin'" in bound.ask("/dawbridge/stem/violin/mute", 1).arguments[2]


def test_a_reaper_that_quits_is_said_and_the_next_move_finds_it_again(
    bound: Any, reaper: Simulator, tmp_path: Path
) -> None:
    reaper.close()
    assert "REAPER" in bound.ask("/dawbridge/stem/vocals/mute", 1).arguments[2]
    assert bound.ask("/dawbridge/ping").address == "/dawbridge/reply"
    again = Simulator(address=reaper.address)
    try:
        plan = with_audio(neutral_plan(tmp_path, ("vocals", "drums")))
        ReaperLiveAdapter(connect=lambda: Connection(again.address)).write(plan, tmp_path, "Again")
        assert bound.ask("/dawbridge/stem/vocals/mute", 1).arguments[2] == 1
        assert tracks(again)["Vocals"]["B_MUTE"] == 1.0
    finally:
        again.close()


def test_a_reaper_that_hangs_does_not_stop_the_daemon(bound: Any, reaper: Simulator) -> None:
    reaper.ask("hang/8")
    bound.send("/dawbridge/stem/vocals/mute", 1, "#slow")
    assert bound.ask("/dawbridge/ping").arguments[2] == "daw-bridge"  # `ask` fails if the other answer came first
    first = bound.wait(lambda each: each.address in ("/dawbridge/reply", "/dawbridge/error"))
    assert "has not answered" in first.arguments[2]


def test_the_mixer_itself_says_what_is_wrong_in_one_line(reaper: Simulator) -> None:
    mixer = open_mixer("reaper-live", MixerAddress(port=reaper.address.web_port))
    heard: list[MixerChange] = []
    mixer.on_change(heard.append)
    assert MixerChange(channel="Reference", parameter="mute", value=1.0) in heard
    with pytest.raises(DawError, match=r"REAPER has no track 'Vocal' \(did you mean Vocals\?\)"):
        mixer.set("Vocal", "mute", 1.0)
    reaper.close()
    with pytest.raises(DawUnreachable):
        mixer.set("Vocals", "mute", 1.0)
    mixer.close()


def test_a_bus_goes_before_a_track_of_the_same_name(reaper: Simulator) -> None:
    move(reaper, "vocals", "D_VOL", 0.5)
    with Connection(reaper.address) as other, other.hold():
        project = Project(other)
        (track,) = [each for each in project.tracks() if project.text(each, "P_NAME") == "vocals"]
        project.set_text(track, "P_NAME", "Vocals")
    mixer = open_mixer("reaper-live", MixerAddress(port=reaper.address.web_port))
    try:
        assert [channel.kind for channel in mixer.channels() if channel.name == "Vocals"] == ["bus"]
        mixer.set("Vocals", "mute", 1.0)
        state = reaper.ask("state")["content"]["tracks"]
        muted = [
            (each["values"]["D_VOL"], each["values"]["B_MUTE"]) for each in state if each["texts"]["P_NAME"] == "Vocals"
        ]
        assert muted == [(1.0, 1.0), (0.5, 0.0)]
    finally:
        mixer.close()


def test_without_reaper_session_open_says_what_to_switch_on(make_daemon: Make, make_peer: Make) -> None:
    peer = make_peer(make_daemon(mixers={"reaper-live": MixerAddress(port=9)}).port)
    reason = peer.ask("/dawbridge/session/open", "reaper-live").arguments[2]
    assert "no REAPER web interface at 127.0.0.1:9: start REAPER; if it runs, run 'daw-bridge reaper setup'" in reason
