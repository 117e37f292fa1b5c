"""A built session sent to an open project: losses said first, exact messages in a dry run, every value confirmed."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.adapter import Feature, Support
from daw_bridge.cli.main import main
from daw_bridge.model import (
    BandKind,
    Bus,
    Colour,
    Compressor,
    EqBand,
    Equalizer,
    Marker,
    Send,
    SessionPlan,
    Track,
)
from daw_bridge.osc import decode, encode
from daw_bridge.plan_json import plan_to_json
from daw_bridge_osc.apply import plan_limits, plan_messages, plan_requests, track_names
from daw_bridge_osc.profile_file import load_profile, profile_text
from tests.osc.simulated_daw import SimulatedDaw, live, slashes

Make = Callable[..., Any]
NAMES = ["vocals", "Vocals", "Mix", "Reference"]


def make_plan(**changes: Any) -> SessionPlan:
    bell = EqBand(kind=BandKind.BELL, frequency_hz=300.0, gain_db=-3.0, q=1.4)
    shelf = EqBand(kind=BandKind.HIGHSHELF, frequency_hz=8000.0, gain_db=2.0)
    vocals = Bus(
        name="vocals", label="Vocals", colour=Colour.from_hex("#ff8800"), gain_db=-2.0, pan=0.1, group="leads",
        effects=(Equalizer(bands=(bell, shelf)), Compressor(threshold_db=-18.0, ratio=3.0)),
    )  # fmt: skip
    values: dict[str, Any] = {
        "name": "song",
        "sample_rate_hz": 44_100,
        "length_samples": 441_000,
        "tracks": (Track(name="vocals", output="vocals", gain_db=-1.5),),
        "buses": (vocals,),
        "mix_bus": Bus(name="mix", label="Mix"),
        "reference": Track(name="Reference", output="master", mute=True),
        "markers": (Marker(name="Chorus", position_samples=88_200, length_samples=44_100),),
        "tempo_bpm": 97.5,
    }
    return SessionPlan(**(values | changes))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A song folder whose last session is that plan."""
    return write_song(tmp_path / "song.session", plan_to_json(make_plan(), tmp_path / "song.session"))


def write_song(folder: Path, plan: dict[str, object]) -> Path:
    folder.mkdir()
    session = {
        "adapter": "reaper", "file": "x.rpp", "files": [], "sha256": "", "template": "band", "template_sha256": "",
        "limits": [], "plan": plan,
    }  # fmt: skip
    body = {
        "format": "daw-bridge manifest", "version": 1, "name": "song", "daw_bridge": "0.1", "state": "complete",
        "request": {}, "sessions": [session],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(body), "utf-8")
    return folder


@pytest.fixture
def make_daw() -> Iterator[Make]:
    daws: list[SimulatedDaw] = []

    def make(dialect: Any = slashes, names: list[str] = NAMES, **more: Any) -> SimulatedDaw:
        daws.append(SimulatedDaw(dialect, names, reply_port=_free_port(), **more))
        return daws[-1]

    yield make
    for daw in daws:
        daw.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def reaper(tmp_path: Path) -> str:
    """REAPER's profile with short time-outs, as a file."""
    path = tmp_path / "my-reaper.yaml"
    path.write_text(profile_text("reaper").replace("timeout_ms: 800", "timeout_ms: 150"), "utf-8")
    return str(path)


def ports(daw: SimulatedDaw) -> list[str]:
    return ["--port", str(daw.port), "--reply-port", str(daw.reply_port)]


def unlike(daw: SimulatedDaw) -> SimulatedDaw:
    """Every value is another one than the session's, so that each is reported when it is set."""
    parameters = ("volume/db", "pan", "mute", "solo")
    daw.values |= {(number, name): -99 for number in range(1, len(daw.names) + 1) for name in parameters}
    return daw


def test_nothing_that_a_profile_cannot_do_is_left_unsaid() -> None:
    limits = plan_limits(make_plan(), load_profile("reaper"))
    said = {(limit.feature, limit.where) for limit in limits}
    assert said == {
        (Feature.CLIPS, "session"),
        (Feature.COLOURS, "Vocals"),
        (Feature.COMPRESSOR, "Vocals"),
        (Feature.EQUALIZER, "Vocals"),
        (Feature.GROUPS, "Vocals"),
        (Feature.MARKERS, "Chorus"),
    }
    assert [limit.support for limit in limits if limit.feature is Feature.MARKERS] == [Support.APPROXIMATED]
    assert any("highshelf at 8000 Hz" in limit.what for limit in limits)
    ardour = {(limit.feature, limit.where) for limit in plan_limits(make_plan(), load_profile("ardour"))}
    assert {(Feature.TEMPO, "session"), (Feature.EQUALIZER, "Vocals")} <= ardour


def test_one_reason_is_said_once_with_all_its_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red = Colour.from_hex("#ff0000")
    plan = make_plan(tracks=tuple(Track(name=name, output="vocals", colour=red) for name in ("one", "two", "three")))
    song = write_song(tmp_path / "many.session", plan_to_json(plan, tmp_path / "many.session"))
    assert main(["osc", "apply", str(song), "--profile", "reaper", "--dry-run"]) == 0
    (colours,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: colours")]
    assert colours.endswith("(one, two, three, Vocals)")


@pytest.mark.parametrize("name", ["reaper", "ardour", "abletonosc", "bitwig", "custom"])
def test_what_is_not_in_the_limits_is_sent(name: str) -> None:
    """For each shipped profile: an operation is either among the messages or among the losses."""
    plan, profile = make_plan(returns=(Bus(name="verb", label="Verb"),)), load_profile(name)
    plan = make_plan(
        returns=plan.returns, buses=(Bus(name="vocals", label="Vocals", sends=(Send(to="verb", gain_db=-9.0),)),)
    )
    done = {request.operation for request in plan_requests(plan, profile)}
    lost = {operation for operation in profile.unsupported if operation not in done}
    wanted = {"tempo.set", "track.gain_db", "track.pan", "track.mute", "track.solo", "send.gain_db", "marker.add"}
    assert wanted <= done | lost
    for feature, operation in ((Feature.SENDS, "send.gain_db"), (Feature.TEMPO, "tempo.set")):
        assert (operation in done) != any(limit.feature is feature for limit in plan_limits(plan, profile))
    assert plan_messages(plan, profile)


def test_a_dry_run_prints_the_exact_messages_and_sends_nothing(
    song: Path, reaper: str, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    daw = make_daw()
    assert main(["osc", "apply", str(song), "--profile", reaper, "--dry-run", *ports(daw)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Note: clips not possible: REAPER's OSC cannot import audio; build with --daw reaper")
    assert lines[0].endswith(" (session)")
    assert "Tracks counted as in the session: vocals, Vocals, Mix, Reference." in lines[6]
    assert lines[7:13] == [
        "/device/track/count i 64",
        "/device/send/count i 8",
        "/tempo/raw f 97.5",
        "/track/1/volume/db f -1.5",
        "/track/1/pan f 0.5",
        "/track/1/mute i 0",
    ]
    assert lines[-2:] == ["/marker_id/1/time f 2.0", '/marker_id/1/name s "Chorus"']
    assert daw.received == []
    # What a real run sends to that project is what was printed.
    assert main(["osc", "apply", str(song), "--profile", reaper, "-q", *ports(unlike(daw))]) == 0
    messages = plan_messages(make_plan(), load_profile("", Path(reaper)))
    assert lines[7:] == [str(message) for message in messages]
    assert daw.received == [decode(encode(message))[0] for message in messages]


def test_a_session_is_set_and_confirmed(
    song: Path, reaper: str, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    daw = unlike(make_daw(names=["Mix", "Reference", "Vocals", "something else", "vocals"]))
    assert main(["osc", "apply", str(song / "manifest.json"), "--profile", reaper, *ports(daw)]) == 0
    assert (daw.values[5, "volume/db"], daw.values[3, "volume/db"]) == (-1.5, -2.0)
    assert daw.values[3, "pan"] == pytest.approx(0.55)
    assert (daw.values[2, "mute"], daw.values[1, "mute"], daw.values[4, "mute"]) == (1, 0, -99)
    out = capsys.readouterr().out
    assert "REAPER: 19 operations, 17 confirmed by its reports; 2 sent without a confirmation" in out
    assert "(eq.band, marker.add)" in out
    # Again: nothing changes, so nothing is reported but what REAPER tells everybody who connects.
    assert main(["osc", "apply", str(song), "--profile", reaper, "--json", *ports(daw)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {each["by"] for each in answer["operations"]} == {"known", "none"}


def test_a_second_run_with_equal_values_asks_where_the_daw_can_be_asked(
    song: Path, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    daw = make_daw(live)
    command = ["osc", "apply", str(song), "--profile", "abletonosc", "--json", *ports(daw)]
    for _ in range(2):
        assert main(command) == 0
        answer = json.loads(capsys.readouterr().out)
        assert {each["by"] for each in answer["operations"] if each["operation"].startswith("track.m")} == {"answer"}
        assert any("cannot" in line or "not possible" in line for line in answer["cannot"])


def test_missing_and_doubled_tracks_are_said_before_anything_is_set(
    song: Path, reaper: str, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    daw = unlike(make_daw(names=["vocals", "Vocalz", "Mix"]))
    before = dict(daw.values)
    assert main(["osc", "apply", str(song), "--profile", reaper, *ports(daw)]) == 9
    error = capsys.readouterr().err
    assert "REAPER has no track 'Vocals' (did you mean Vocalz?), 'Reference'; import the stems" in error
    assert error.count("\n") == 1 and daw.values == before
    assert main(["osc", "apply", str(song), "--profile", reaper, "--skip-missing", *ports(daw)]) == 0
    assert "Note: Vocals: left out, REAPER has no track of that name" in capsys.readouterr().out
    assert (daw.values[1, "volume/db"], daw.values[2, "volume/db"]) == (-1.5, -99)
    twice = make_daw(names=["vocals", "Vocals", "Mix", "Reference", "Vocals"])
    assert main(["osc", "apply", str(song), "--profile", reaper, *ports(twice)]) == 9
    assert "has several tracks called 'Vocals'; rename all but the one" in capsys.readouterr().err
    assert twice.values == {}


def test_retries_and_time_outs_are_explicit_and_a_failure_says_how_far_it_came(
    song: Path, reaper: str, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    daw = unlike(make_daw())
    daw.lose = 3  # both hellos, and one of the next try
    command = ["osc", "apply", str(song), "--profile", reaper, "--timeout", "100", *ports(daw)]
    assert main([*command, "--retries", "2", "--json"]) == 0
    capsys.readouterr()
    daw.lose = 3
    assert main([*command, "--retries", "0"]) == 9
    assert "REAPER does not answer" in capsys.readouterr().err
    daw.lose, daw.deaf = 0, True
    unlike(daw).received.clear()
    assert main([*command, "--retries", "1"]) == 9
    error = capsys.readouterr().err
    assert "track.gain_db track=vocals value=-1.5: no confirmation from REAPER after 2 tries" in error
    assert "; 1 of 19 operations were done, run it again to go on" in error  # the tempo was known
    assert [message.address for message in daw.received].count("/track/1/volume/db") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--profile", "repaer"], 5, "did you mean reaper"),
        (["--profile", "nowhere.yaml"], 5, "nowhere.yaml"),
        (["--profile", "reaper", "--retries", "-1"], 2, "give 0 to 20"),
        (["--profile", "reaper", "--timeout", "0"], 2, "give 1 to 60000 ms"),
        (["--profile", "reaper", "--port", "0"], 2, "ports 0 and 9000: a port is a number from 1 to 65535"),
        (["--profile", "reaper", "--reply-port", "65536"], 2, "a port is a number from 1 to 65535"),
        (["--profile", "reaper", "--port", "9", "--reply-port", "0"], 9, "is it running with OSC on"),
        (["--profile", "ardour", "--host", "no-such-host.invalid"], 9, "no such host"),
    ],
)
def test_wrong_arguments_are_one_line(
    song: Path, arguments: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["osc", "apply", str(song), *arguments]) == code
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1 and "Traceback" not in error


def test_a_folder_without_a_session_is_an_input_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["osc", "apply", str(tmp_path), "--profile", "reaper"]) == 3
    assert "holds no session" in capsys.readouterr().err


def test_a_level_that_the_daw_does_not_have_is_said_before_anything_is_set(
    tmp_path: Path, reaper: str, make_daw: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = make_plan(buses=(Bus(name="vocals", label="Vocals", gain_db=20.0),))
    song = write_song(tmp_path / "loud.session", plan_to_json(loud, tmp_path / "loud.session"))
    daw = unlike(make_daw())
    before = dict(daw.values)
    assert main(["osc", "apply", str(song), "--profile", reaper, *ports(daw)]) == 2
    assert "track.gain_db: value:" in capsys.readouterr().err
    assert daw.values == before


def test_the_names_are_those_of_the_session_in_its_order() -> None:
    assert track_names(make_plan()) == NAMES
