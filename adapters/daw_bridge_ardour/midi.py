"""Drafts of notes as muted MIDI tracks: a Standard MIDI File each, its source, its region and its strip.

Places are beats (`b` and ticks of 1/1920 quarter note), so that the notes stay on the bars of the tempo map. Nothing is
connected behind such a track: it has no instrument, and a producer gives it one.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from daw_bridge.model import NoteTrack, SessionPlan
from daw_bridge.units import samples_to_s
from daw_bridge_ardour.routes_xml import FORMAT, Ids, node
from daw_bridge_ardour.strips import NoteStrip

TICKS_PER_QUARTER = 1920
_NOTE_ON, _NOTE_OFF = 0x90, 0x80
_END_OF_TRACK = b"\xff\x2f\x00"


def midi_file(plan: SessionPlan, track: NoteTrack) -> bytes:
    """The notes as a file of one track (SMF 1.0, format 0), from the start of the session to its end."""
    events: list[tuple[int, int, bytes]] = []
    for note in track.notes:
        begin = _ticks(plan, note.position_samples)
        end = max(begin + 1, _ticks(plan, note.position_samples + note.length_samples))
        events += [(begin, 1, bytes((_NOTE_ON, note.key, note.velocity))), (end, 0, bytes((_NOTE_OFF, note.key, 0)))]
    events.sort()
    last = max([_ticks(plan, plan.length_samples), *(at for at, _, _ in events)])
    body, before = b"", 0
    for at, _, message in [*events, (last, 2, _END_OF_TRACK)]:
        body += _variable(at - before) + message
        before = at
    head = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x00\x00\x01" + TICKS_PER_QUARTER.to_bytes(2, "big")
    return head + b"MTrk" + len(body).to_bytes(4, "big") + body


def _variable(value: int) -> bytes:
    """A number of any size, seven bits a byte, all but the last with the top bit set."""
    made = [value & 0x7F]
    while value := value >> 7:
        made.append(value & 0x7F | 0x80)
    return bytes(reversed(made))


def _ticks(plan: SessionPlan, position_samples: int) -> int:
    return round(plan.tempo_map.quarters(samples_to_s(position_samples, plan.sample_rate_hz)) * TICKS_PER_QUARTER)


def add_midi_track(root: ET.Element, plan: SessionPlan, strip: NoteStrip, ids: Ids, *, order: int) -> None:
    """Source, whole-file region, playlist and strip of one draft."""
    sources, regions, routes, playlists = (_child(root, tag) for tag in ("Sources", "Regions", "Routes", "Playlists"))
    source, playlist, route = ids.new(), ids.new(), ids.new()
    node(
        sources,
        "Source",
        {"name": strip.file, "take-id": "", "type": "midi", "flags": "", "id": source, "origin": ""},
    )
    _region(regions, plan, strip, source, ids, whole=True)
    list_ = {"id": playlist, "name": strip.name, "type": "midi", "orig-track-id": route, "frozen": 0, "combine-ops": 0}
    _region(node(playlists, "Playlist", list_), plan, strip, source, ids, whole=False)
    _route(routes, strip, ids, route, playlist, order)


def _child(root: ET.Element, tag: str) -> ET.Element:
    found = root.find(tag)
    return found if found is not None else node(root, tag)


def _region(parent: ET.Element, plan: SessionPlan, strip: NoteStrip, source: str, ids: Ids, *, whole: bool) -> None:
    length = f"b{max(1, _ticks(plan, plan.length_samples))}@b0"
    node(
        parent,
        "Region",
        {
            "name": strip.name,
            "id": ids.new(),
            "type": "midi",
            "channels": 1,
            "whole-file": int(whole),
            "automatic": int(whole),
            "muted": 0,
            "opaque": 1,
            "locked": 0,
            "start": "b0",
            "length": length,
            "sync-position": "b0",
            "ancestral-start": "b0",
            "ancestral-length": length,
            "stretch": 1,
            "shift": 1,
            "layering-index": 0,
            "first-edit": "nothing",
            "source-0": source,
            "master-source-0": source,
        },
    )


def _route(parent: ET.Element, strip: NoteStrip, ids: Ids, route_id: str, playlist: str, order: int) -> None:
    attributes = {
        "version": FORMAT,
        "id": route_id,
        "name": strip.name,
        "default-type": "midi",
        "strict-io": 0,
        "active": 1,
        "denormal-protection": 0,
        "meter-point": "MeterPostFader",
        "disk-io-point": "DiskIOPreFader",
        "meter-type": "MeterPeak",
        "midi-playlist": playlist,
        "saved-meter-point": "MeterPostFader",
        "mode": "Normal",
        "note-mode": "Sustained",
        "step-editing": 0,
        "input-active": 1,
        "restore-pgm": 0,
    }
    route = node(parent, "Route", attributes)
    node(route, "PresentationInfo", order=order, flags="MidiTrack,OrderSet", color=strip.colour)
    node(route, "MuteMaster", {"mute-point": "PostFader,Listen,Main", "muted": int(strip.mute)})
    node(route, "Controllable", name="mute", id=ids.new(), flags="Toggle,RealTime", value=int(strip.mute))
    for direction, port in (("Input", "midi_in"), ("Output", "midi_out")):
        io = {"name": strip.name, "id": ids.new(), "direction": direction, "default-type": "midi"}
        node(node(route, "IO", io), "Port", type_="midi", name=f"{strip.name}/{port} 1")
    for name, kind in ((f"player:{strip.name}", "diskreader"), (f"meter-{strip.name}", "meter")):
        fixed = {"id": ids.new(), "name": name, "active": 1, "user-latency": 0, "use-user-latency": 0}
        node(route, "Processor", {**fixed, "type": kind})
    out = {"id": ids.new(), "name": strip.name, "active": 1, "user-latency": 0, "use-user-latency": 0}
    delivery = {"own-input": 1, "own-output": 0, "output": strip.name, "role": "Main", "type": "main-outs"}
    node(route, "Processor", {**out, **delivery})
