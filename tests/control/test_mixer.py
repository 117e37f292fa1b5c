"""Stem and bus controls against a simulated DAW over real sockets: the surface moves the DAW, the DAW the surface."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from daw_bridge.cli.main import build_parser
from daw_bridge.cli.serve import serve_options
from daw_bridge.control.mixer.binding import MixerBinding, Routes, find_channel
from daw_bridge.control.mixer.commands import routes_of
from daw_bridge.errors import AdapterMissing, DawBridgeError, DawError
from daw_bridge.mixer import MixerAddress, MixerChange, MixerChannel, MixerParameter
from daw_bridge.model import MIX_BUS, Bus, SessionPlan, Track
from daw_bridge.osc import Message
from daw_bridge.plan_json import plan_to_json
from daw_bridge.registry import mixer_names
from daw_bridge_osc.profile_file import profile_text, shipped_profiles
from tests.osc.simulated_daw import SimulatedDaw, slashes

Make = Callable[..., Any]


@pytest.fixture
def reaper() -> Iterator[SimulatedDaw]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        reply_port = int(probe.getsockname()[1])
    daw = SimulatedDaw(slashes, ["vocals", "drums", "Vocals Bus", "FX / Verb"], reply_port=reply_port)
    yield daw
    daw.close()


@pytest.fixture
def bound(make_daemon: Make, make_peer: Make, reaper: SimulatedDaw) -> Any:
    """A daemon that is bound to the simulated DAW, and a subscribed peer."""
    address = MixerAddress(port=reaper.port, reply_port=reaper.reply_port)
    peer = make_peer(make_daemon(mixers={"reaper": address}).port)
    peer.ask("/dawbridge/subscribe")
    reply = peer.ask("/dawbridge/session/open", "reaper")
    assert reply.arguments[2:5] == ("bound", "REAPER", "vocals"), reply
    return peer


def test_a_mute_from_the_surface_reaches_the_daw_and_comes_back(bound: Any, reaper: SimulatedDaw) -> None:
    reply = bound.ask("/dawbridge/stem/drums/mute", 1)
    assert reply.arguments[2] == 1
    assert reaper.values[2, "mute"] == 1
    assert bound.ask("/dawbridge/stem/drums/mute").arguments[2] == 1
    bound.send("/dawbridge/bus/Vocals_Bus/gain_db", -7.5)
    echo = bound.wait(lambda each: each.address == "/dawbridge/bus/Vocals_Bus/gain_db")
    assert echo.arguments[0] == pytest.approx(-7.5)
    assert reaper.values[3, "volume/db"] == -7.5


def test_a_move_in_the_daw_arrives_at_the_surface(bound: Any, reaper: SimulatedDaw) -> None:
    reaper.push(Message("/track/1/solo", (1,)), Message("/track/4/volume/db", (-12.25,)))
    solo = bound.wait(lambda each: each.address == "/dawbridge/bus/vocals/solo")
    assert solo.arguments == (1,)
    gain = bound.wait(lambda each: each.address == "/dawbridge/bus/FX_Verb/gain_db")
    assert gain.arguments[0] == pytest.approx(-12.25)


def test_a_new_subscriber_gets_what_is_known(bound: Any, make_peer: Make) -> None:
    bound.ask("/dawbridge/stem/drums/gain_db", -3.0)
    late = make_peer(bound.address[1])
    late.send("/dawbridge/subscribe")
    assert late.wait(lambda each: each.address == "/dawbridge/bus/drums/gain_db").arguments == (-3.0,)


def test_a_flood_of_fader_moves_ends_at_the_last_one(bound: Any, reaper: SimulatedDaw) -> None:
    for step in range(500):
        bound.send("/dawbridge/stem/drums/gain_db", -60.0 + step * 0.1)
    last = pytest.approx(-60.0 + 499 * 0.1, abs=1e-4)
    bound.wait(lambda each: each.address == "/dawbridge/bus/drums/gain_db" and each.arguments[0] == last)
    assert reaper.values[2, "volume/db"] == last


def test_errors_of_the_daw_are_told(bound: Any, reaper: SimulatedDaw) -> None:
    assert "the DAW has no stem called 'violin'" in bound.ask("/dawbridge/stem/violin/mute", 1).arguments[2]
    reaper.deaf = True
    assert "no confirmation from REAPER" in bound.ask("/dawbridge/stem/drums/mute", 1).arguments[2]
    assert bound.ask("/dawbridge/session/close").arguments[2] == "closed"
    assert "no DAW is bound" in bound.ask("/dawbridge/stem/drums/mute", 1).arguments[2]


class BrokenMixer:
    """A mixer of somebody else that breaks its contract: its first call raises what nobody expects."""

    name = "Broken"

    def __init__(self) -> None:
        self.muted: list[float] = []
        self.polls = 0

    def channels(self) -> tuple[MixerChannel, ...]:
        return (MixerChannel(name="Vocals", kind="bus"),)

    def set(self, channel: str, parameter: MixerParameter, value: float) -> None:
        if parameter == "gain_db":
            raise ZeroDivisionError("no such luck")
        self.muted.append(value)

    def on_change(self, listener: Callable[[MixerChange], None]) -> None:
        return None

    def poll(self) -> None:
        self.polls += 1
        raise KeyError("what?")

    def close(self) -> None:
        return None


def test_a_mixer_that_raises_anything_does_not_stop_its_thread() -> None:
    async def run() -> tuple[list[str], BrokenMixer]:
        loop, mixer, said = asyncio.get_running_loop(), BrokenMixer(), list[str]()
        binding = MixerBinding(mixer, loop, lambda _change: None)
        for parameter in ("gain_db", "mute"):
            answered = asyncio.Event()

            def outcome(error: DawBridgeError | None, answered: asyncio.Event = answered) -> None:
                said.append(str(error))
                answered.set()

            binding.set("Vocals", parameter, 1.0, outcome)
            await answered.wait()
        while mixer.polls < 2:
            await asyncio.sleep(0.01)
        await binding.close()
        return said, mixer

    said, mixer = asyncio.run(run())
    assert said == ["Broken: unexpected ZeroDivisionError: no such luck", "None"]
    assert mixer.muted == [1.0]


def test_a_daw_can_be_opened_again_and_two_opens_at_once_leave_one_binding(bound: Any, reaper: SimulatedDaw) -> None:
    # The feedback port is one: the second binding needs that the first one has let go of it.
    for marker in ("#a", "#b"):
        bound.send("/dawbridge/session/open", "reaper", marker)
    answers = {}
    for _ in range(2):
        answer = bound.wait(lambda each: each.address in ("/dawbridge/reply", "/dawbridge/error"))
        answers[answer.arguments[0]] = answer.arguments[2]
    assert answers == {"a": "bound", "b": "bound"}
    assert bound.ask("/dawbridge/stem/drums/mute", 1).arguments[2] == 1
    # A name that does not exist takes nothing away.
    assert "did you mean reaper" in bound.ask("/dawbridge/session/open", "raeper").arguments[2]
    assert bound.ask("/dawbridge/stem/drums/mute", 0).arguments[2] == 0


def test_who_waits_for_a_value_is_answered_when_the_daw_is_let_go_of(bound: Any, reaper: SimulatedDaw) -> None:
    reaper.deaf = True
    bound.send("/dawbridge/stem/drums/mute", 1, "#first")
    bound.send("/dawbridge/stem/vocals/mute", 1, "#second")
    while not any(message.address == "/track/2/mute" for message in list(reaper.received)):
        time.sleep(0.01)  # the first is on its way
    bound.send("/dawbridge/session/close", "#close")
    answers: dict[object, str] = {}
    while len(answers) < 3:
        message = bound.wait(lambda each: each.address in ("/dawbridge/reply", "/dawbridge/error"))
        answers[message.arguments[0]] = str(message.arguments[2])
    assert "no confirmation" in answers["first"]
    assert answers["second"] == "the DAW was let go of before it confirmed the value"
    assert answers["close"] == "closed"


def test_binding_to_nothing_says_so(make_daemon: Make, make_peer: Make) -> None:
    peer = make_peer(make_daemon(mixers={"ardour": MixerAddress(port=9)}).port)
    assert "does not list its tracks" in peer.ask("/dawbridge/session/open", "ardour").arguments[2]
    assert "no live mixer called 'protools'" in peer.ask("/dawbridge/session/open", "protools").arguments[2]


CHANNELS = [
    MixerChannel(name="vocals", kind="track"),
    MixerChannel(name="Vocals", kind="bus"),
    MixerChannel(name="drums", kind="track"),
    MixerChannel(name="Drum Bus", kind="bus"),
    MixerChannel(name="Low End", kind="bus"),
]
ROUTES = Routes(stems={"bass": ("Low End", "low"), "drums": ("Drum Bus",)}, buses={"low": ("Low End", "low")})


@pytest.mark.parametrize(
    ("kind", "name", "channel"),
    [
        ("stem", "vocals", "Vocals"),
        ("stem", "drums", "Drum Bus"),
        ("stem", "bass", "Low End"),
        ("bus", "low", "Low End"),
        ("bus", "low_end", "Low End"),
        ("bus", "drum", "Drum Bus"),
    ],
)
def test_a_stem_means_the_bus_that_carries_it(kind: Literal["stem", "bus"], name: str, channel: str) -> None:
    assert find_channel(kind, name, CHANNELS, ROUTES) == channel
    with pytest.raises(DawError, match="has no bus called 'guitar'"):
        find_channel("bus", "guitar", CHANNELS, ROUTES)


def test_routes_come_from_the_plan_in_the_manifest(tmp_path: Path) -> None:
    plan = SessionPlan(
        name="x",
        sample_rate_hz=44_100,
        length_samples=0,
        template="band",
        tracks=(Track(name="bass", output="low"),),
        buses=(Bus(name="low", label="Low End"),),
        mix_bus=Bus(name=MIX_BUS, label="Mix"),
    )
    session: dict[str, object] = {"adapter": "reaper", "file": "x.rpp", "files": [], "sha256": "", "template": "band"}
    session |= {"template_sha256": "", "limits": [], "plan": plan_to_json(plan, tmp_path)}
    body = {
        "format": "daw-bridge manifest", "version": 1, "name": "x", "daw_bridge": "0.1", "state": "complete",
        "request": {}, "sessions": [session],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(body), "utf-8")
    routes = routes_of(tmp_path)
    assert (routes.stems["bass"], routes.buses["low"]) == (("Low End", "low"), ("Low End", "low"))
    assert list(routes.strips()) == [("stem", "bass"), ("bus", "low")]


def test_a_profile_file_is_a_mixer_without_an_edit_of_the_core(
    make_daemon: Make, make_peer: Make, reaper: SimulatedDaw, tmp_path: Path
) -> None:
    assert {*shipped_profiles(), "reaper-live", "live"} == set(mixer_names())
    file = tmp_path / "mine.yaml"
    file.write_text(profile_text("reaper").replace("title: REAPER", "title: My DAW"), "utf-8")
    places = ["--mixer", f"mydaw=127.0.0.1:{reaper.port}:{reaper.reply_port}", "--profile", f"mydaw={file}"]
    args = build_parser().parse_args(["serve", *places])
    peer = make_peer(make_daemon(mixers=serve_options(args).mixers).port)
    assert peer.ask("/dawbridge/session/open", "mydaw").arguments[2:4] == ("bound", "My DAW")
    with pytest.raises(AdapterMissing, match="no live mixer called 'mydaw'"):
        serve_options(build_parser().parse_args(["serve", *places[:2]]))
