"""Profiles: every message of the shipped ones is one that the DAW's documentation lists; wrong ones name their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.cli.main import main
from daw_bridge.errors import DawError, TemplateError, UsageError
from daw_bridge.osc import Message
from daw_bridge_osc.compose import Clock, Place, Request, compose, dry_run, place_of
from daw_bridge_osc.operations import OPERATIONS, Value
from daw_bridge_osc.profile import Profile
from daw_bridge_osc.profile_file import load_profile, parse_profile, profile_text, shipped_profiles
from daw_bridge_osc.scaling import Amplitude, FaderLaw, Linear, Logarithmic, Octaves, PowerLaw, Range, Scale, Toggle

ADDRESSES = Path(__file__).with_name("addresses")
TYPES = {"n": "f", "f": "f", "b": "i", "s": "s", "i": "i", "m": "i"}

# Values that every DAW of the list takes.
SAMPLE: dict[str, Value] = {
    "track": 2,
    "send": 1,
    "plugin": 1,
    "parameter": 3,
    "band": 2,
    "frequency_hz": 300.0,
    "gain_db": -3.0,
    "q": 1.0,
    "number": 4,
    "position_s": 2.5,
    "path": "/music/vocals.wav",
    "red": 200,
    "green": 80,
    "blue": 40,
}
VALUES: dict[str, Value] = {
    "track.gain_db": -6.0, "master.gain_db": -6.0, "send.gain_db": -12.0, "track.pan": -0.5, "track.mute": True,
    "track.solo": False, "plugin.parameter": 0.5, "tempo.set": 97.5, "action.run": "1",
}  # fmt: skip


def _request(operation: str) -> Request:
    arguments = OPERATIONS[operation].arguments
    values = {name: VALUES.get(operation, "Lead Vox") if name == "value" else SAMPLE[name] for name in arguments}
    return Request(operation=operation, values=values)


def _documented(name: str) -> list[tuple[re.Pattern[str], str]]:
    """Address pattern and types of each line of an address list."""
    found = []
    for line in (ADDRESSES / f"{name}.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            address, _, types = line.rpartition(" ")
            found.append((re.compile(re.escape(address).replace("@", r"[\w]+")), types))
    return found


def _is_documented(message: Message, documented: list[tuple[re.Pattern[str], str]]) -> bool:
    for pattern, types in documented:
        if not pattern.fullmatch(message.address):
            continue
        if types in ("-", "t") and message.tags == "":
            return True
        if types == "b" and message.tags == "":
            return True
        if "".join(TYPES.get(kind, kind) for kind in types) == message.tags:
            return True
    return False


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_message_of_a_shipped_profile_is_documented_by_its_daw(name: str) -> None:
    profile, documented = load_profile(name), _documented(name)
    requests = [_request(operation) for operation in profile.operations]
    messages = dry_run(profile, requests, Clock(sample_rate_hz=48_000))
    for mapping in profile.operations.values():
        if mapping.confirm is not None and mapping.confirm.ask is not None:
            messages.append(mapping.confirm.ask.fill({"track": 1, "send": 1}))
    tracks = profile.tracks
    messages += [template.fill({"track": 1}) for template in tracks.watch]
    messages += [tracks.list.ask.fill({})] if tracks.list else []
    messages += [tracks.bank.next.fill({}), tracks.bank.previous.fill({})] if tracks.bank else []
    unknown = [str(message) for message in messages if not _is_documented(message, documented)]
    assert not unknown
    assert len(messages) >= len(profile.operations)


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_profile_speaks_of_every_operation(name: str) -> None:
    profile = load_profile(name)
    assert set(profile.operations) | set(profile.unsupported) == set(OPERATIONS)
    assert all(len(reason) > 10 for reason in profile.unsupported.values())


@pytest.mark.daw
def test_the_ardour_addresses_are_in_the_installed_ardour() -> None:
    """Independent of our list: the strings of Ardour's own OSC surface."""
    surfaces = sorted(Path("/usr/lib").glob("ardour*/surfaces/libardour_osc.so"))
    if not surfaces:
        pytest.skip("Ardour is not installed")
    binary = surfaces[-1].read_bytes()
    for pattern, _ in _documented("ardour"):
        address = pattern.pattern.replace("\\", "").encode()
        # Ardour takes /master/... apart by itself, so only its root is a string of its own.
        assert (b"/master" if address.startswith(b"/master/") else address + b"\0") in binary


def test_reaper_gets_db_and_one_based_tracks() -> None:
    messages = dry_run(load_profile("reaper"), [_request("track.gain_db")])
    assert str(messages[-1]) == "/track/2/volume/db f -6.0"


def test_live_gets_its_fader_position_and_zero_based_tracks() -> None:
    profile = load_profile("abletonosc")
    request = Request(operation="track.gain_db", values={"track": 1, "value": 0.0})
    message = dry_run(profile, [request])[-1]
    assert message.arguments[0] == 0
    assert message.arguments[1] == pytest.approx(0.85, abs=1e-6)  # the one value of Live's law that all sources give


def test_bitwig_gets_its_cubic_fader_and_pages_through_banks() -> None:
    profile = load_profile("bitwig")
    requests = [Request(operation="track.gain_db", values={"track": track, "value": 0.0}) for track in (18, 2)]
    messages = [str(message) for message in dry_run(profile, requests)]
    assert messages == [
        "/refresh",
        "/track/bank/page/+", "/track/bank/page/+", "/track/2/volume i 101",
        "/track/bank/page/-", "/track/bank/page/-", "/track/2/volume i 101",
    ]  # fmt: skip


def test_ardours_pan_runs_backwards_as_measured_there() -> None:
    request = Request(operation="track.pan", values={"track": 1, "value": -0.4})
    message = dry_run(load_profile("ardour"), [request])[-1]
    assert message.arguments[1] == pytest.approx(0.7)


def test_what_a_daw_cannot_do_is_said_before_anything_is_composed() -> None:
    requests = [_request("track.gain_db"), _request("clip.import"), _request("tempo.set")]
    with pytest.raises(DawError, match=r"clip\.import: .*; tempo\.set: "):
        dry_run(load_profile("ardour"), requests)


@pytest.mark.parametrize(
    ("operation", "values", "reason"),
    [
        ("track.gain_db", {"track": 1, "value": 40.0}, "out of this DAW's range"),
        ("track.gain_db", {"track": 1, "value": "loud"}, "value is a number"),
        ("track.gain_db", {"track": 1}, "value is missing"),
        ("track.gain_db", {"track": 1, "value": 0.0, "gain": 1}, "no argument 'gain'"),
        ("track.gain_db", {"track": 0, "value": 0.0}, "tracks count from 1"),
        ("track.gain_db", {"track": "vocals", "value": 0.0}, "a dry run asks no DAW"),
        ("track.volume", {}, "no operation called"),
        ("transport.locate", {"position_s": 1.0}, "say the session's rate"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(operation: str, values: dict[str, Value], reason: str) -> None:
    with pytest.raises((UsageError, DawError), match=reason):
        dry_run(load_profile("ardour"), [Request(operation=operation, values=values)])


SCALES: list[tuple[Scale, float, float]] = [
    (Range(low=-60, high=6), -60, 6),
    (Linear(low=-1, high=1, wire_low=1, wire_high=0), -1, 1),
    (Logarithmic(low=20, high=20_000), 20, 20_000),
    (FaderLaw(points=((-70, 0), (-18, 0.4), (6, 1))), -70, 6),
    (PowerLaw(exponent=3, top_db=6.0206, wire_high=127), -60, 6),
    (Amplitude(top_db=12), -90, 12),
    (Octaves(), 0.4, 100),
]


@pytest.mark.parametrize(("scale", "low", "high"), SCALES, ids=[type(entry[0]).__name__ for entry in SCALES])
@given(share=st.floats(0, 1), other=st.floats(0, 1))
def test_a_scale_is_reversible_and_monotonic(scale: Scale, low: float, high: float, share: float, other: float) -> None:
    value, second = low + share * (high - low), low + other * (high - low)
    assert scale.from_wire(scale.to_wire(value)) == pytest.approx(value, abs=1e-6, rel=1e-6)
    rising = scale.to_wire(high) > scale.to_wire(low)
    if value + 1e-6 < second:
        assert (scale.to_wire(value) < scale.to_wire(second)) == rising


def test_a_toggle_and_the_end_of_a_fader() -> None:
    assert [Toggle(on=127, off=0).to_wire(value) for value in (1, 0)] == [127, 0]
    assert Toggle(on=0, off=1).from_wire(0) == 1.0
    assert FaderLaw(points=((-70, 0), (6, 1))).to_wire(-150) == 0
    assert PowerLaw(exponent=3, top_db=6).to_wire(-1000) == pytest.approx(0, abs=1e-12)


GOOD = profile_text("custom")


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        ("timeout_ms: 500", "timout_ms: 500", r"my\.yaml:15:3", "did you mean timeout_ms"),
        ("port: 8000", "port: 80000", r"my\.yaml:12:9", "out of range"),
        (
            'volume", "f:{value}"]]',
            'volume", "f:{valeu}"]]',
            r"my\.yaml:\d+:12",
            r"unknown placeholder \{valeu\} \(did you mean value\?\)",
        ),
        ('volume", "f:{value}"]]', 'volume", "{value}"]]', r"my\.yaml:\d+:\d+", "say the OSC type first"),
        ('["/track/{track}/volume", "f:{value}"]', "[]", r"my\.yaml:\d+:\d+", "an empty message"),
        ('[["/track/{track}/volume"', '[["track/{track}/volume"', r"my\.yaml:\d+:\d+", "not an OSC address"),
        ("range: {low: -150, high: 6}", "fader: {}", r"my\.yaml:\d+:\d+", "unknown scale 'fader'"),
        ("  track.mute:", "  track.muet:", r"my\.yaml:\d+:3", "did you mean track.mute"),
        ("  tempo.set: not mapped yet\n", "", r"my\.yaml:", "say how, or under 'unsupported' why not: tempo.set"),
        ("unsupported:\n", "unsupported:\n  track.mute: twice\n", r"my\.yaml:\d+:\d+", "also among the operations"),
        ("protocol: udp", "protocol: ucp", r"my\.yaml:11:13", "not one of udp"),
        ("name: custom", "name: custom\nname: again", r"my\.yaml:\d+:1", "given twice"),
        ("toggle: {on: 1, off: 0}", "fader_law: {points: [[0, 1], [-6, 2]]}", r"my\.yaml:\d+:\d+", "must rise"),
    ],
)
def test_a_wrong_profile_names_its_place(old: str, new: str, where: str, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(TemplateError, match=f"^{where}.*{reason}"):
        parse_profile(GOOD.replace(old, new, 1), "my.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_profile_or_a_templateerror(text: str) -> None:
    with pytest.raises(TemplateError):
        parse_profile(text, "my.yaml")


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(TemplateError, match=r"no OSC profile called 'reapr' \(did you mean reaper\?\)"):
        load_profile("reapr")


def test_the_command_line_prints_the_exact_messages(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["osc", "dry-run", "reaper", "track.pan", "track=3", "value=-1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "/track/3/pan f 0.0"
    assert main(["osc", "dry-run", "ardour", "tempo.set", "value=120"]) == 9
    assert "Ardour's OSC cannot set the tempo" in capsys.readouterr().err
    mine = tmp_path / "my-daw.yaml"
    assert main(["osc", "show", "custom"]) == 0
    mine.write_text(capsys.readouterr().out, "utf-8")
    assert main(["osc", "check", str(mine)]) == 0
    mine.write_text(mine.read_text("utf-8").replace("retries: 2", "retries: lots"), "utf-8")
    assert main(["osc", "check", str(mine)]) == 5
    assert f"{mine}:16:12" in capsys.readouterr().err
    assert main(["osc", "list"]) == 0


def test_positions_and_banks(profile: Profile | None = None) -> None:
    bitwig, live = load_profile("bitwig"), load_profile("abletonosc")
    assert [place_of(bitwig, position) for position in (1, 8, 9)] == [
        Place(number=1, bank=1), Place(number=8, bank=1), Place(number=1, bank=2)
    ]  # fmt: skip
    assert place_of(live, 1) == Place(number=0)
    request = Request(operation="transport.locate", values={"position_s": 2.0})
    assert compose(live, request, None, Clock(tempo_bpm=90.0))[0].arguments == (3.0,)
