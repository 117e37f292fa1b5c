"""The whole way with a real DAW: liblo's oscsend, our daemon, Ardour's own feedback, and back to oscdump."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ardour_osc import ardour_with_osc
from daw_bridge.cli.main import main
from daw_bridge.plan_json import plan_from_json, plan_to_json
from daw_bridge_osc.client import OscDaw
from daw_bridge_osc.profile_file import load_profile
from tests.ardour.installed import need_installed_ardour
from tests.ardour.live_ardour import LiveArdour
from tests.ardour.plans import song_plan

pytestmark = pytest.mark.daw
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The plan of the session that is open in a running Ardour, as JSON."""
    ardour = need_installed_ardour()
    folder = tmp_path_factory.mktemp("control")
    plan, _ = song_plan(folder, rate=48_000, channels=2, seconds=1.0)
    with ardour_with_osc(ardour, plan, folder):
        yield plan_to_json(plan, folder)


@pytest.fixture
def song(running: dict[str, Any], music: Path) -> Path:
    """A song folder whose last session is the one that is open in Ardour."""
    song = music / "song.session"
    song.mkdir()
    session = {
        "adapter": "ardour", "file": "x", "files": [], "sha256": "", "template": "neutral", "template_sha256": "",
        "limits": [], "plan": running,
    }  # fmt: skip
    body = {
        "format": "daw-bridge manifest", "version": 1, "name": "song", "daw_bridge": "0.1", "state": "complete",
        "request": {}, "sessions": [session],
    }  # fmt: skip
    (song / "manifest.json").write_text(json.dumps(body), "utf-8")
    return song


@pytest.fixture
def bound(song: Path, make_daemon: Make, make_peer: Make) -> Any:
    """A subscribed peer of a daemon that is bound to Ardour."""
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    reply = peer.ask("/dawbridge/session/open", "ardour", song.name)
    assert reply.arguments[2:4] == ("bound", "Ardour"), reply
    return peer


def test_oscsend_mutes_ardours_vocal_bus_and_ardour_says_so(bound: Any, liblo: None) -> None:
    port = str(bound.address[1])
    with LiveArdour() as witness:
        assert not witness.strip("Vocals").mute
        subprocess.run(["oscsend", "127.0.0.1", port, "/dawbridge/stem/vocals/mute", "i", "1"], check=True)
        bound.wait(lambda each: each.address == "/dawbridge/stem/vocals/mute" and each.arguments == (1,))
        strips = {strip.name: strip.mute for strip in witness.strips()}
        assert strips["Vocals"] and not strips["vocals"] and not strips["Drums"]
        bound.ask("/dawbridge/stem/vocals/mute", 0)
        assert not witness.strip("Vocals").mute


def test_ardours_own_fader_move_arrives_at_the_surface(bound: Any) -> None:
    with LiveArdour() as other_surface:
        other_surface.set_gain("Drums", -8.5)
        expected = (pytest.approx(-8.5, abs=0.01),)
        bound.wait(lambda each: each.address == "/dawbridge/stem/drums/gain_db" and each.arguments == expected)
        other_surface.set_gain("Drums", 0.0)


def test_a_fast_ride_of_a_fader_is_confirmed_by_ardour_move_for_move(bound: Any) -> None:
    """How long a command takes is in docs/benchmarks-control.md."""
    for step in range(60):
        gain_db = -20.0 + 0.1 * step
        assert bound.ask("/dawbridge/stem/bass/gain_db", gain_db).arguments[2] == pytest.approx(gain_db, abs=0.02)


@pytest.mark.parametrize("gain_db", [5.5, -0.3, -4.0, -6.0, -23.45, -60.0, -101.0, -150.0])
def test_a_level_that_ardour_only_answers_is_confirmed_too(running: dict[str, Any], gain_db: float) -> None:
    """Set twice: the second time nothing changes, so Ardour is asked, and its answers are rounder than its reports."""
    daw = OscDaw(load_profile("ardour"))
    try:
        daw.do("track.gain_db", track="Other", value=gain_db)
        assert daw.do("track.gain_db", track="Other", value=gain_db).by == "answer"
        with LiveArdour() as other:
            other.set_gain("Other", gain_db)
    finally:
        daw.do("track.gain_db", track="Other", value=0.0)
        daw.close()


def test_osc_apply_brings_ardour_back_to_the_session(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LiveArdour() as hand:
        hand.set_gain("Drums", -30.0)
        hand.set_mute("vocals", True)
        hand.set_pan("Other", -0.75)
    assert main(["osc", "apply", str(song), "--profile", "ardour", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    plan = plan_from_json(json.loads((song / "manifest.json").read_text("utf-8"))["sessions"][-1]["plan"], song)
    drums = next(bus for bus in plan.buses if bus.label == "Drums")
    how = {each["operation"]: each["by"] for each in answer["operations"]}
    assert how[f"track.gain_db track=Drums value={drums.gain_db}"] in ("report", "answer")
    assert answer["skipped"] == [] and any("cannot set the tempo" in line for line in answer["cannot"])
    with OscWitness() as ardour:
        assert ardour("/strip/gain", "Drums") == pytest.approx(drums.gain_db, abs=0.05)
        assert ardour("/strip/mute", "vocals") == 0
        assert ardour("/strip/pan_stereo_position", "Other") == pytest.approx(0.5, abs=0.01)


class OscWitness(LiveArdour):
    """Asks Ardour for single values, past our profile."""

    def __call__(self, address: str, strip: str) -> float:
        return float(self._ask(address, self.strip(strip).number).arguments[-1])

    def __enter__(self) -> OscWitness:
        return self


def test_the_profile_does_what_it_says_in_ardour(running: dict[str, Any]) -> None:
    daw = OscDaw(load_profile("ardour"))
    try:
        kinds = {channel.name: channel.kind for channel in daw.channels}
        assert (kinds["vocals"], kinds["Vocals"]) == ("track", "bus")
        assert daw.clock.sample_rate_hz == 48_000
        for operation, value in (("track.gain_db", -7.5), ("track.pan", -0.4), ("track.solo", True)):
            assert daw.do(operation, track="Other", value=value).by in ("report", "answer")
            # A second time nothing changes, so Ardour is asked.
            assert daw.do(operation, track="Other", value=value).by == "answer"
        daw.do("track.solo", track="Other", value=False)
        daw.do("track.name", track="Other", value="Rest")
        assert daw.do("track.gain_db", track="Rest", value=0.0).by in ("report", "answer")
        daw.do("track.name", track="Rest", value="Other")
        with LiveArdour() as witness:
            assert {strip.name for strip in witness.strips()} >= {"Other", "Vocals"}
    finally:
        daw.close()
