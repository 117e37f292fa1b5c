"""The client against simulated DAWs: found by name, confirmed, tried again, and every failure said in one line."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daw_bridge.cli.main import main
from daw_bridge.errors import Busy, DawError, DawUnreachable
from daw_bridge.mixer import MixerAddress, MixerChange
from daw_bridge.osc import Message
from daw_bridge_osc.client import OscDaw
from daw_bridge_osc.mixer import OscMixer
from daw_bridge_osc.profile import Profile
from daw_bridge_osc.profile_file import load_profile, parse_profile, profile_text
from tests.osc.simulated_daw import SimulatedDaw, banked, live, slashes

NAMES = ["vocals", "drums", "bass", "other"]
Make = Callable[..., Any]


@pytest.fixture
def connect() -> Iterator[Make]:
    """A simulated DAW and a client of it."""
    open_things: list[Any] = []

    def make(profile: Profile, dialect: Any, names: list[str] = NAMES, *, mixer: bool = False, **more: Any) -> Any:
        reply = _free_port() if profile.transport.reply_port else 0
        daw = SimulatedDaw(dialect, names, reply_port=reply or None, **more)
        open_things.append(daw)
        address = MixerAddress(port=daw.port, reply_port=reply)
        client = OscMixer(profile, address) if mixer else OscDaw(profile, address)
        open_things.append(client)
        return daw, client

    yield make
    for thing in reversed(open_things):
        thing.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quick(name: str, *changes: tuple[str, str]) -> Profile:
    """A shipped profile with short time-outs."""
    text = (
        profile_text(name).replace("timeout_ms: 800", "timeout_ms: 150").replace("timeout_ms: 500", "timeout_ms: 150")
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_profile(text, f"{name}.yaml")


def test_tracks_are_found_by_the_names_that_the_daw_pushes(connect: Make) -> None:
    daw, client = connect(_quick("reaper"), slashes)
    assert [channel.name for channel in client.channels] == NAMES
    outcome = client.do("track.gain_db", track="bass", value=-4.5)
    assert (outcome.by, outcome.tries) == ("report", 1)
    assert daw.values[3, "volume/db"] == -4.5
    with pytest.raises(DawError, match=r"no track 'base' \(did you mean bass\?\); it has: vocals, drums"):
        client.do("track.mute", track="base", value=True)


def test_a_lost_packet_is_sent_again(connect: Make) -> None:
    daw, client = connect(_quick("reaper"), slashes)
    daw.lose = 2
    assert client.do("track.mute", track="drums", value=True).tries == 3
    assert daw.values[2, "mute"] == 1


def test_a_daw_that_says_nothing_or_something_else_is_an_error(connect: Make) -> None:
    daw, client = connect(_quick("reaper"), slashes)
    daw.deaf = True
    with pytest.raises(DawUnreachable, match="no confirmation from REAPER after 3 tries"):
        client.do("track.gain_db", track="vocals", value=-3.0)
    daw.deaf, daw.stubborn = False, True
    with pytest.raises(DawError, match=r"REAPER reports 0\.12\d* instead"):
        client.do("track.gain_db", track="vocals", value=-3.0)


def test_live_is_asked_because_its_setters_say_nothing(connect: Make) -> None:
    daw, client = connect(_quick("abletonosc"), live)
    outcome = client.do("track.gain_db", track="drums", value=-6.0)
    assert outcome.by == "answer"
    assert daw.values[1, "volume"] == pytest.approx(0.7, abs=1e-6)
    # Asking again proves an equal value too, which changes nothing.
    assert client.do("track.gain_db", track="drums", value=-6.0).by == "answer"
    with pytest.raises(DawError, match=r"Ableton Live .* says: Index out of range: 98"):
        client.do("track.mute", track=99, value=True)


def test_tracks_beyond_the_bank_are_paged_to(connect: Make) -> None:
    names = [f"track {number}" for number in range(1, 21)]
    daw, client = connect(_quick("bitwig"), banked, names)
    assert [channel.name for channel in client.channels] == names
    client.do("track.mute", track="track 18", value=True)
    client.do("track.mute", track="track 3", value=True)
    assert [key for key, value in daw.values.items() if value == 1] == [(18, "mute"), (3, "mute")]
    assert daw.page == 0


@pytest.mark.parametrize("framing", ["slip", "length"])
def test_tcp_works_with_both_framings(connect: Make, framing: str) -> None:
    profile = _quick("reaper", ("port: 8000, reply_port: 9000", f"protocol: tcp-{framing}, port: 8000"))
    daw, client = connect(profile, slashes, framing=framing)
    assert client.do("track.gain_db", track="vocals", value=-1.5).by == "report"
    assert daw.values[1, "volume/db"] == -1.5


def test_several_messages_go_as_one_bundle_where_the_profile_says_so(connect: Make) -> None:
    profile = _quick("reaper", ("messages_per_s: 500", "messages_per_s: 500, bundle: true"))
    daw, client = connect(profile, slashes)
    client.do("marker.add", number=3, value="Chorus", position_s=30.5)
    while len(daw.received) < 4:
        time.sleep(0.01)
    assert [(each.address, each.arguments) for each in daw.received[-2:]] == [
        ("/marker_id/3/time", (30.5,)),
        ("/marker_id/3/name", ("Chorus",)),
    ]


def test_bursts_are_paced(connect: Make) -> None:
    profile = _quick("reaper", ("messages_per_s: 500", "messages_per_s: 100"))
    _, client = connect(profile, slashes)
    started = time.monotonic()
    for _ in range(20):
        client.do("transport.play")
    assert time.monotonic() - started >= 0.18


def test_nobody_there_is_one_line(connect: Make) -> None:
    with pytest.raises(DawUnreachable, match=r"REAPER does not answer at 127\.0\.0\.1:\d+; is it running with OSC on"):
        OscDaw(_quick("reaper"), MixerAddress(port=_free_port(), reply_port=_free_port()))
    with pytest.raises(DawUnreachable, match=r"Ardour does not list its tracks at .*; is it running with OSC on"):
        OscDaw(load_profile("ardour"), MixerAddress(port=_free_port()))
    with pytest.raises(DawUnreachable, match="no such host"):
        OscDaw(load_profile("ardour"), MixerAddress(host="no-such-host.invalid"))


def test_a_taken_feedback_port_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Busy, match=f"port {port}, where the DAW's feedback comes in, is taken"):
            OscDaw(_quick("reaper"), MixerAddress(port=_free_port(), reply_port=port))


def test_the_mixer_hears_moves_made_in_the_daw(connect: Make) -> None:
    daw, mixer = connect(_quick("bitwig"), banked, mixer=True)
    heard: list[MixerChange] = []
    mixer.on_change(heard.append)
    mixer.set("bass", "mute", 1.0)
    daw.push(Message("/track/2/volume", (101,)))
    while len(heard) < 2:
        time.sleep(0.01)
    assert heard[0] == MixerChange(channel="bass", parameter="mute", value=1.0)
    assert (heard[1].channel, heard[1].parameter) == ("drums", "gain_db")
    assert heard[1].value == pytest.approx(0.0, abs=0.06)  # 101 of 127 is 0 dB within Bitwig's own step


@pytest.mark.parametrize(("profile", "dialect"), [("abletonosc", live), ("reaper", slashes)])
def test_a_daw_that_was_started_anew_is_found_again_with_its_tracks(connect: Make, profile: str, dialect: Any) -> None:
    first, client = connect(_quick(profile), dialect)
    client.do("track.mute", track="drums", value=True)
    first.close()
    for _ in range(3):  # each says so, however long it stays away
        with pytest.raises(DawUnreachable):
            client.do("track.mute", track="bass", value=True)
    names = ["bass", "guitar", "vocals", "drums", "other"]
    again = SimulatedDaw(dialect, names, port=first.port, reply_port=first.reply_port)
    try:
        client.do("track.mute", track="bass", value=True)
        client.do("track.mute", track="drums", value=True)
        muted = sorted(key[0] for key, value in again.values.items() if key[1] == "mute" and value == 1)
        base = 0 if profile == "abletonosc" else 1
        assert muted == [base + names.index("bass"), base + names.index("drums")]
    finally:
        again.close()


def test_a_value_that_the_daw_has_already_is_no_time_out(connect: Make) -> None:
    """REAPER reports changes only, and cannot be asked."""
    daw, client = connect(_quick("reaper"), slashes)
    daw.push(Message("/track/2/mute", (1,)), Message("/track/2/volume/db", (-6.02,)))
    assert client.do("track.solo", track="vocals", value=True).by == "report"  # what was pushed before is in by now
    outcome = client.do("track.mute", track="drums", value=True)
    assert daw.values[2, "mute"] == 1  # it was sent all the same
    daw.deaf = True
    again = client.do("track.mute", track="drums", value=True)
    assert (outcome.by, again.by, again.tries) == ("report", "known", 1)
    with pytest.raises(DawUnreachable, match="no confirmation"):
        client.do("track.mute", track="drums", value=False)
    with pytest.raises(DawUnreachable, match="no confirmation"):
        client.do("track.mute", track="bass", value=True)


def test_the_command_line_sends_and_confirms(connect: Make, capsys: pytest.CaptureFixture[str]) -> None:
    daw, client = connect(_quick("reaper"), slashes)
    client.close()
    ports = ["--port", str(daw.port), "--reply-port", str(daw.reply_port)]
    assert main(["osc", "send", "reaper", "track.mute", "track=drums", "value=on", *ports]) == 0
    assert "confirmed by the DAW's report" in capsys.readouterr().out
    assert daw.values[2, "mute"] == 1
