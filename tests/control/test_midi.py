"""MIDI: mapped controls, learning, Mackie Control both ways, and the .mid that every DAW imports."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.cli.main import main
from daw_bridge.control.midi.mackie import FADER_TOP, MackieSurface, db_to_fader, fader_to_db
from daw_bridge.control.midi.map import MidiInput, MidiMap, parse_map, read_map
from daw_bridge.control.midi.ports import DEFAULT_MAP, open_port
from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.errors import DawUnreachable, TemplateError, UsageError
from daw_bridge.midi_file import TICKS_PER_BEAT, plan_to_midi
from daw_bridge.mixer import MixerAddress, MixerChange, MixerParameter
from daw_bridge.model import Bus, Marker, SessionPlan
from daw_bridge.osc import Message
from tests.osc.simulated_daw import SimulatedDaw, slashes

mido = pytest.importorskip("mido")
sockets = pytest.importorskip("mido.sockets")
Make = Callable[..., Any]


def _move(channel: str, parameter: MixerParameter, value: Any) -> MixerChange:
    return MixerChange(channel=channel, parameter=parameter, value=value)


def _free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


MAP = """\
mappings:
  - {on: note, number: 60, send: /dawbridge/build, arguments: [mix.wav]}
  - {on: note, number: 61, send: /dawbridge/stem/vocals/mute, mode: toggle}
  - {on: control, number: 7, channel: 2, send: /dawbridge/bus/drums/gain_db, mode: fader, low: -60, high: 6}
  - {on: note, number: 62, send: /dawbridge/stem/bass/solo, mode: hold}
  - {on: program, number: 5, send: /dawbridge/template/select, arguments: [neutral]}
"""


def test_each_mode_means_what_it_says() -> None:
    mapping = MidiMap(parse_map(MAP, "map.yaml"))

    def play(event: str, number: int, value: int, channel: int = 1) -> list[str]:
        return [str(each) for each in mapping.translate(MidiInput(event, number, channel, value))]  # type: ignore[arg-type]

    assert play("note", 60, 100) == ['/dawbridge/build s "mix.wav"']
    assert play("note", 60, 0) == []
    toggles = [play("note", 61, value) for value in (90, 0, 90)]
    assert toggles == [["/dawbridge/stem/vocals/mute i 1"], [], ["/dawbridge/stem/vocals/mute i 0"]]
    assert play("control", 7, 127, channel=2) == ["/dawbridge/bus/drums/gain_db f 6.0"]
    assert play("control", 7, 127, channel=1) == []
    assert play("note", 62, 1) + play("note", 62, 0) == [
        "/dawbridge/stem/bass/solo i 1", "/dawbridge/stem/bass/solo i 0"
    ]  # fmt: skip
    assert play("program", 5, 127) == ['/dawbridge/template/select s "neutral"']


def test_a_toggle_follows_a_change_made_elsewhere() -> None:
    mapping = MidiMap(parse_map(MAP, "map.yaml"))
    change = MixerChange(channel="Vocals Bus", parameter="mute", value=1.0)
    mapping.follow(change, lambda kind, name, channel: (kind, name, channel) == ("stem", "vocals", "Drum Bus"))
    assert not mapping._on
    mapping.follow(change, lambda kind, name, channel: (kind, name, channel) == ("stem", "vocals", "Vocals Bus"))
    (message,) = mapping.translate(MidiInput("note", 61, 1, 100))
    assert message.arguments == (0,)


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ("number: 60", "number: 160", "2:24", "out of range"),
        ("/dawbridge/build,", "/dawbridge/biuld,", "2:34", "did you mean /dawbridge/build"),
        ("arguments: [mix.wav]", "arguments: []", "2:34", "mix is missing"),
        ("mode: toggle", "mode: togle", "3:69", "did you mean toggle"),
        ("high: 6", "high: 60", None, None),
        ("low: -60", "low: -600", "4:48", "out of range"),
        ("channel: 2", "chanel: 2", "4:30", "did you mean channel"),
    ],
)
def test_a_wrong_mapping_names_its_place(old: str, new: str, place: str | None, reason: str | None) -> None:
    text = MAP.replace(old, new, 1)
    if place is None:
        assert parse_map(text, "map.yaml")
        return
    with pytest.raises(TemplateError, match=f"^map\\.yaml:{place}: .*{reason}"):
        parse_map(text, "map.yaml")


def test_the_shipped_map_is_good() -> None:
    assert len(parse_map(DEFAULT_MAP, "default")) == 5


def test_a_pad_builds_through_midos_socket_port(
    make_daemon: Make, make_peer: Make, make_mix: Make, tmp_path: Path
) -> None:
    make_mix(steps=5)
    (tmp_path / "map.yaml").write_text(MAP, "utf-8")
    midi_port = _free_port()
    daemon = make_daemon(midi_ports=[f"tcp:127.0.0.1:{midi_port}"], midi_map=tmp_path / "map.yaml")
    peer = make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    with sockets.connect("127.0.0.1", midi_port) as pad:
        pad.send(mido.Message("note_on", note=60, velocity=100))
        percents = []
        for message in peer.messages(20):
            if message.address == "/dawbridge/progress":
                percents.append(message.arguments[2])
            if message.address == "/dawbridge/state" and message.arguments[3] == "done":
                break
    assert percents[-1] == 100.0
    assert message.arguments[5].endswith("mix.rpp")


def test_a_pad_of_this_machine_needs_no_token(make_daemon: Make, make_peer: Make, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP, "utf-8")
    midi_port = _free_port()
    policy = AccessPolicy(token="for other machines: " + "x" * 16)
    daemon = make_daemon(policy=policy, midi_ports=[f"tcp:127.0.0.1:{midi_port}"], midi_map=tmp_path / "map.yaml")
    peer = make_peer(daemon.port)
    peer.ask("/dawbridge/template/select", "rock")
    peer.ask("/dawbridge/subscribe")
    with sockets.connect("127.0.0.1", midi_port) as pad:
        pad.send(mido.Message("program_change", program=5))
        peer.wait(lambda each: each.address == "/dawbridge/surface/selected" and each.arguments[0] == "neutral")


def test_learning_writes_a_mapping_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    map_file, midi_port = tmp_path / "my-map.yaml", _free_port()

    def learn(*arguments: str, message: Any) -> int:
        def play() -> None:
            for _ in range(100):
                try:
                    with sockets.connect("127.0.0.1", midi_port) as pad:
                        pad.send(mido.Message("clock"))
                        pad.send(message)
                        time.sleep(0.3)
                        return
                except OSError:
                    time.sleep(0.05)

        thread = threading.Thread(target=play)
        thread.start()
        code = main(["midi", "learn", f"tcp:127.0.0.1:{midi_port}", *arguments, "--map", str(map_file)])
        thread.join()
        return code

    note = mido.Message("note_on", note=48, velocity=70, channel=9)
    assert learn("/dawbridge/stem/vocals/mute", "--mode", "toggle", message=note) == 0
    fader = mido.Message("control_change", control=21, value=64, channel=0)
    levels = ["--mode", "fader", "--low", "-60", "--high", "6"]
    assert learn("/dawbridge/bus/drums/gain_db", *levels, message=fader) == 0
    first, second = read_map(map_file)
    assert (first.on, first.number, first.channel, first.mode) == ("note", 48, 10, "toggle")
    assert (second.send, second.number, second.low, second.high) == ("/dawbridge/bus/drums/gain_db", 21, -60.0, 6.0)
    assert map_file.read_text("utf-8").startswith("# MIDI messages and the commands")
    assert main(["midi", "check", str(map_file)]) == 0
    capsys.readouterr()
    assert main(["midi", "learn", f"tcp:127.0.0.1:{midi_port}", "/dawbridge/nothing"]) == 2
    assert "no such command" in capsys.readouterr().err


def test_ports_that_cannot_be_opened_say_why() -> None:
    with pytest.raises(UsageError, match="MIDI sockets stay on this machine"):
        open_port("tcp:0.0.0.0:9000")
    for port in ("0", "65536", "x", ""):
        with pytest.raises(UsageError, match=r"write it as tcp:127\.0\.0\.1:PORT"):
            open_port(f"tcp:127.0.0.1:{port}")
    with pytest.raises(DawUnreachable, match="see daw-bridge midi ports"):
        open_port("no such port at all")


# Mackie Control


@given(st.floats(-90, 6))
def test_a_mackie_fader_reads_back_its_level(level_db: float) -> None:
    position = db_to_fader(level_db)
    assert 0 <= position <= FADER_TOP
    assert fader_to_db(position) == pytest.approx(level_db, abs=0.15)


def test_mackie_faders_have_zero_db_at_three_quarters() -> None:
    assert db_to_fader(0.0) == round(FADER_TOP * 0.75)
    assert fader_to_db(0) == -100.0
    assert fader_to_db(FADER_TOP) == 6.0


def test_a_touched_fader_is_not_fought() -> None:
    surface = MackieSurface()
    surface.set_channels(["Vocals", "Drums"])
    surface.received({"type": "note_on", "note": 104, "velocity": 127})
    moves, _ = surface.received({"type": "pitchwheel", "channel": 0, "pitch": db_to_fader(-6.0) - 8192})
    assert moves == [_move("Vocals", "gain_db", pytest.approx(-6.0, abs=0.01))]
    while_touched = surface.changed(_move("Vocals", "gain_db", -6.0))
    assert [each["type"] for each in while_touched] == ["sysex"]
    _, released = surface.received({"type": "note_on", "note": 104, "velocity": 0})
    assert released[0] == {"type": "pitchwheel", "channel": 0, "pitch": db_to_fader(-6.0) - 8192}


def test_mackie_buttons_banks_and_scribble_strips() -> None:
    surface = MackieSurface()
    names = [f"Bus {number}" for number in range(1, 11)]
    texts = [each for each in surface.set_channels(names) if each["type"] == "sysex"]
    # F0 00 00 66 14 12 OFFSET TEXT F7: strip 2 of the upper row begins at 7.
    assert {"type": "sysex", "data": (0, 0, 0x66, 0x14, 0x12, 7, *b"Bus 2  ")} in texts
    assert surface.received({"type": "note_on", "note": 17, "velocity": 127})[0] == [_move("Bus 2", "mute", 1.0)]
    assert surface.changed(_move("Bus 2", "mute", 1.0)) == [
        {"type": "note_on", "channel": 0, "note": 17, "velocity": 127}
    ]
    assert surface.received({"type": "note_on", "note": 17, "velocity": 127})[0] == [_move("Bus 2", "mute", 0.0)]
    assert surface.received({"type": "note_on", "note": 8, "velocity": 127})[0] == [_move("Bus 1", "solo", 1.0)]
    surface.received({"type": "note_on", "note": 47, "velocity": 127})
    assert surface.first == 8
    assert surface.received({"type": "note_on", "note": 16, "velocity": 127})[0] == [_move("Bus 9", "mute", 1.0)]
    assert surface.received({"type": "note_on", "note": 19, "velocity": 127})[0] == []


def test_a_mackie_control_moves_the_daw_and_its_motors_follow(make_daemon: Make, make_peer: Make) -> None:
    reply_port = _free_port(socket.SOCK_DGRAM)
    daw = SimulatedDaw(slashes, ["Vocals", "Drums"], reply_port=reply_port)
    midi_port = _free_port()
    try:
        address = MixerAddress(port=daw.port, reply_port=reply_port)
        daemon = make_daemon(mackie_ports=[f"tcp:127.0.0.1:{midi_port}"], mixers={"reaper": address})
        peer = make_peer(daemon.port)
        peer.ask("/dawbridge/subscribe")
        with sockets.connect("127.0.0.1", midi_port) as mackie:
            time.sleep(0.1)
            peer.ask("/dawbridge/session/open", "reaper")
            assert _wait_for_text(mackie, 7) == "Drums"
            mackie.send(mido.Message("note_on", note=17, velocity=127))
            peer.wait(lambda each: each.address == "/dawbridge/bus/Drums/mute" and each.arguments == (1,))
            assert daw.values[2, "mute"] == 1
            mackie.send(mido.Message("pitchwheel", channel=0, pitch=db_to_fader(-10.0) - 8192))
            peer.wait(lambda each: each.address == "/dawbridge/bus/Vocals/gain_db")
            assert daw.values[1, "volume/db"] == pytest.approx(-10.0, abs=0.02)
            daw.push(Message("/track/2/volume/db", (-20.0,)))
            motor = _wait_for(mackie, "pitchwheel", 1)
            assert fader_to_db(motor.pitch + 8192) == pytest.approx(-20.0, abs=0.05)
    finally:
        daw.close()


def _wait_for_text(port: Any, offset: int) -> str:
    """The next text on the scribble strips at an offset that is not empty."""
    while True:
        for message in port.iter_pending():
            if message.type == "sysex" and message.data[:6] == (0, 0, 0x66, 0x14, 0x12, offset):
                text = bytes(message.data[6:]).decode("ascii").strip()
                if text:
                    return text
        time.sleep(0.01)


def _wait_for(port: Any, kind: str, channel: int) -> Any:
    found = None
    while True:
        for message in port.iter_pending():
            if message.type == kind and message.channel == channel and message.pitch != -8192:
                found = message
        if found:
            return found
        time.sleep(0.01)


# Tempo map and markers


def _plan(**changes: Any) -> SessionPlan:
    values: dict[str, Any] = {
        "name": "Größe & Сон",
        "sample_rate_hz": 48_000,
        "length_samples": 48_000 * 60,
        "tracks": (),
        "buses": (),
        "mix_bus": Bus(name="mix", label="Mix"),
        "markers": (
            Marker(name="Verse", position_samples=48_000 * 10),
            Marker(name="Chorus ♥", position_samples=48_000 * 20, length_samples=48_000 * 5),
        ),
        "tempo_bpm": 97.5,
        "time_signature": (6, 8),
    }
    return SessionPlan(**(values | changes))


def test_markers_and_tempo_read_back_from_the_mid_file() -> None:
    song = mido.MidiFile(file=io.BytesIO(plan_to_midi(_plan())), charset="utf-8")
    assert song.ticks_per_beat == TICKS_PER_BEAT
    (track,) = song.tracks
    events = {message.type: message for message in track}
    assert mido.tempo2bpm(events["set_tempo"].tempo) == pytest.approx(97.5, abs=1e-4)
    assert (events["time_signature"].numerator, events["time_signature"].denominator) == (6, 8)
    at, found = 0, {}
    for message in track:
        at += message.time
        if message.type == "marker":
            found[message.text] = mido.tick2second(at, TICKS_PER_BEAT, events["set_tempo"].tempo)
    expected = {"Verse": 10.0, "Chorus ♥": 20.0, "Chorus ♥ (end)": 25.0}
    assert found == pytest.approx(expected, abs=0.5 / 960 * 60 / 97.5 + 1e-9)
    assert song.length == pytest.approx(60.0, abs=1e-3)


@given(st.floats(4, 960), st.lists(st.integers(0, 48_000 * 3600), max_size=20))
def test_every_marker_is_within_half_a_tick(tempo_bpm: float, positions: list[int]) -> None:
    markers = tuple(Marker(name=f"m{number}", position_samples=at) for number, at in enumerate(positions))
    song = mido.MidiFile(file=io.BytesIO(plan_to_midi(_plan(markers=markers, tempo_bpm=tempo_bpm))), charset="utf-8")
    tempo, at, found = 500_000, 0, {}
    for message in song.tracks[0]:
        at += message.time
        if message.type == "set_tempo":
            tempo = message.tempo
        if message.type == "marker":
            found[message.text] = mido.tick2second(at, TICKS_PER_BEAT, tempo)
    half_tick_s = tempo / 1e6 / TICKS_PER_BEAT / 2
    for marker in markers:
        assert abs(found[marker.name] - marker.position_samples / 48_000) <= half_tick_s + 1e-9


def test_a_tempo_that_no_midi_file_holds_is_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 3\.6 BPM"):
        plan_to_midi(_plan(tempo_bpm=2.0))


def test_the_command_line_exports_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from daw_bridge.plan_json import plan_to_json

    session = {
        "adapter": "reaper", "file": "x.rpp", "files": [], "sha256": "", "template": "band", "template_sha256": "",
        "limits": [], "plan": plan_to_json(_plan(), tmp_path),
    }  # fmt: skip
    body = {
        "format": "daw-bridge manifest", "version": 1, "name": "x", "daw_bridge": "0.1", "state": "complete",
        "request": {}, "sessions": [session],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(body), "utf-8")
    assert main(["midi", "export", str(tmp_path)]) == 0
    (made,) = tmp_path.glob("*.mid")
    assert made.read_bytes().startswith(b"MThd")
    assert main(["midi", "export", str(tmp_path)]) == 4
    assert "exists" in capsys.readouterr().err
    assert main(["midi", "export", str(tmp_path / "nowhere")]) == 3
