"""Buttons as surfaces send them: 1 on press, 0 on release, or the same message twice. Each command acts once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daw_bridge.control.bridge import LONGEST_HOLD_S, SAME_PRESS_S, Bridge
from daw_bridge.control.commands import parse
from daw_bridge.control.net.clients import Client
from daw_bridge.control.net.security import AccessPolicy, MusicFolders
from daw_bridge.control.queue.jobs import Job, JobState, JobStore
from daw_bridge.errors import UsageError
from daw_bridge.osc import Message, OscValue
from tests.control.conftest import CATALOG


@dataclass
class Surface:
    """A peer that keeps what it is sent."""

    host: str = "127.0.0.1"
    key: str = "udp"
    lasting: bool = False
    heard: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.heard.append(message)

    def answers(self) -> list[Message]:
        return [message for message in self.heard if message.address in ("/dawbridge/reply", "/dawbridge/error")]


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).write_bytes(b"x")
    store = JobStore(tmp_path / "q.sqlite")
    yield Bridge(store=store, music=MusicFolders.of([tmp_path]), policy=AccessPolicy(), catalog=CATALOG)
    store.close()


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("ping", ()),
        ("build", ("a.wav",)),
        ("build", ("a.wav", "neutral")),
        ("separate", ("a.wav",)),
        ("rebuild", ("a.session",)),
        ("cancel", ()),
        ("subscribe", ()),
        ("unsubscribe", ()),
        ("jobs", ()),
        ("template/list", ()),
        ("template/select", ("band",)),
        ("session/close", ()),
        ("live/start", ()),
        ("live/stop", ()),
        ("stats", ()),
    ],
)
def test_the_value_of_a_button_is_no_argument_of_any_command(address: str, own: tuple[OscValue, ...]) -> None:
    press, release = parse(f"/dawbridge/{address}", (*own, 1.0)), parse(f"/dawbridge/{address}", (*own, 0.0))
    plain = parse(f"/dawbridge/{address}", own)
    assert (press.values, press.released) == (plain.values, False)
    assert release.released


@pytest.mark.parametrize("address", ["ping", "cancel", "subscribe", "jobs", "live/stop"])
def test_an_impulse_is_a_press(address: str) -> None:
    """OSC's type tag I, which holds no value."""
    call = parse(f"/dawbridge/{address}", (math.inf,))
    assert call.pressed and not call.values


def test_values_come_as_surfaces_send_them() -> None:
    assert parse("/dawbridge/stem/vocals/gain_db", ("-6",)).values["gain_db"] == -6.0
    assert parse("/dawbridge/stem/vocals/gain_db", ("-6.5",)).values["gain_db"] == -6.5
    assert parse("/dawbridge/cancel", ("3",)).values["job"] == 3
    assert parse("/dawbridge/stem/vocals/mute", (127,)).values["mute"] is True
    assert parse("/dawbridge/stem/vocals/mute", ("0",)).values["mute"] is False
    for text in ("nan", "inf", "1e3", "0x10", "١", "1_0"):
        with pytest.raises(UsageError, match="gain_db is a number"):
            parse("/dawbridge/stem/vocals/gain_db", (text,))


def test_values_that_are_meant_stay_values() -> None:
    assert parse("/dawbridge/cancel", (1,)).values == {"job": 1}
    assert parse("/dawbridge/stem/vocals/mute", (1.0,)).values["mute"] is True
    assert parse("/dawbridge/stem/vocals/mute", (0.0,)).values["mute"] is False
    assert parse("/dawbridge/stem/vocals/gain_db", (0.0,)).values["gain_db"] == 0.0
    assert parse("/dawbridge/subscribe", (9130,)).values == {"port": 9130}
    with pytest.raises(UsageError, match="2 arguments; it takes 1"):
        parse("/dawbridge/cancel", (1, 7))


@pytest.mark.parametrize("release", [(), (0.0,)])
def test_one_tap_on_build_queues_one_job(bridge: Bridge, release: tuple[float, ...]) -> None:
    surface = Surface()
    bridge.receive(Message("/dawbridge/build", ("a.wav", *([1.0] if release else []))), surface)
    bridge.receive(Message("/dawbridge/build", ("a.wav", *release)), surface)
    bridge.receive(Message("/dawbridge/build", ("b.wav",)), surface)
    assert [job.arguments["path"][-5:] for job in bridge.store.recent(9)] == ["b.wav", "a.wav"]
    assert not [message for message in surface.heard if message.address == "/dawbridge/error"]


def test_what_is_through_can_be_asked_for_again(bridge: Bridge) -> None:
    surface = Surface()
    bridge.receive(Message("/dawbridge/build", ("a.wav",)), surface)
    bridge.store.finish(bridge.store.recent(1)[0], JobState.FAILED, "x")
    bridge.receive(Message("/dawbridge/build", ("a.wav",)), surface)
    assert len(bridge.store.recent(9)) == 2


@pytest.fixture
def cancel(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Send "cancel" with these arguments at this time; the numbers of all jobs that were cancelled so far."""
    surface, cancelled, now = Surface(), list[int](), [0.0]
    bridge.receive(Message("/dawbridge/build", ("a.wav",)), surface)
    (job,) = bridge.store.recent(9)

    def runner_cancel(number: int) -> Job:
        cancelled.append(number)
        return job

    def send(at_s: float, *arguments: OscValue) -> list[int]:
        now[0] = 100.0 + at_s
        bridge.receive(Message("/dawbridge/cancel", arguments), surface)
        return list(cancelled)

    monkeypatch.setattr(bridge, "clock", lambda: now[0])
    monkeypatch.setattr(bridge.runner, "cancel", runner_cancel)
    return send


def test_what_follows_a_press_at_once_cancels_no_second_song(cancel: Callable[..., list[int]]) -> None:
    """Three songs wait; the release, 2.5 s later, finds the next one running."""
    for at_s, arguments in ((0, (0,)), (0.4, (0,)), (2.5, (0,)), (SAME_PRESS_S - 0.1, (1.0,)), (1, (0.0,))):
        assert cancel(at_s, *arguments) == [0]
    assert cancel(SAME_PRESS_S, 0) == [0, 0]
    assert cancel(SAME_PRESS_S, 3) == [0, 0, 3]


@pytest.mark.parametrize("held_s", [SAME_PRESS_S, 15.0, 100.0, LONGEST_HOLD_S - 1])
@pytest.mark.parametrize("value", [(), (0,)])
def test_a_button_held_however_long_cancels_one_song(
    cancel: Callable[..., list[int]], held_s: float, value: tuple[int, ...]
) -> None:
    """It sends the same on release as on press."""
    assert cancel(0, *value) == [0]
    assert cancel(held_s, *value) == [0]
    assert cancel(held_s + 0.1, *value) == [0, 0]  # the next tap is a wish of its own


def test_a_held_button_that_says_1_and_0_is_not_in_doubt(cancel: Callable[..., list[int]]) -> None:
    assert cancel(0, 1.0) == [0]
    assert cancel(30, 0.0) == [0]
    assert cancel(60, 1.0) == [0, 0]
    assert cancel(120, 1.0) == [0, 0, 0]  # its release was lost


def test_a_program_that_names_its_request_is_no_button(cancel: Callable[..., list[int]]) -> None:
    assert cancel(0, "#a") == [0]
    assert cancel(30, "#b") == [0, 0]


@pytest.mark.parametrize("value", [1, 22, 1023])
def test_a_port_of_the_system_is_refused(bridge: Bridge, value: int) -> None:
    surface = Surface()
    bridge.receive(Message("/dawbridge/subscribe", (value,)), surface)
    assert "belongs to the system" in str(surface.answers()[0].arguments[2])
    assert len(bridge.subscribers) == 0


def test_a_button_subscribes_the_port_that_it_sends_from(bridge: Bridge) -> None:
    surface = Surface()
    ports: list[int] = []

    def reply_client(client: Client, port: int) -> Client:
        ports.append(port)
        return client

    bridge.reply_client = reply_client
    bridge.receive(Message("/dawbridge/subscribe", (1.0,)), surface)
    bridge.receive(Message("/dawbridge/subscribe", (0.0,)), surface)
    assert ports == [0]
    assert len(bridge.subscribers) == 1
