"""A SessionPlan as `project.xml` and `metadata.xml` of the DAWproject format 1.0 (github.com/bitwig/dawproject).

Buses are group tracks that hold their tracks and the buses that feed them, the mix bus is a group track around them
all, returns are effect tracks inside it, and the reference stands outside beside it. Every channel also names its
`destination`, so importers that look only at routing agree. All times are seconds: Bitwig and Studio One place such
clips without warping them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import InputError
from daw_bridge.model import MIX_BUS, Bus, Clip, Colour, NoteTrack, SessionPlan, Track
from daw_bridge.units import samples_to_s
from daw_bridge.version import __version__
from daw_bridge_dawproject.devices import DeviceWriter
from daw_bridge_dawproject.elements import Builder, clean, number

FORMAT_VERSION = "1.0"
AUDIO_FOLDER = "audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectText:
    """The two XML files of the container, and what they could not express."""

    project: bytes
    metadata: bytes
    limits: tuple[Limit, ...]


def project_text(plan: SessionPlan, media: Mapping[Path, str]) -> ProjectText:
    """The XML of a plan; `media` maps each clip's path to its path inside the container.

    Raises InputError for a track or send that points at a bus which does not exist.
    """
    writer = _Writer(plan, media)
    return ProjectText(
        project=_bytes(writer.project()), metadata=_bytes(_metadata(plan)), limits=tuple(writer.losses.limits)
    )


def _bytes(root: ET.Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"


def _metadata(plan: SessionPlan) -> ET.Element:
    root = ET.Element("MetaData")
    ET.SubElement(root, "Title").text = clean(plan.name, "song")
    if plan.notes:
        ET.SubElement(root, "Comment").text = "\n".join(clean(note) for note in plan.notes)
    return root


class _Writer:
    def __init__(self, plan: SessionPlan, media: Mapping[Path, str]) -> None:
        self._plan, self._media, self._builder = plan, media, Builder()
        self.losses = Losses()
        buses = (*plan.buses, *plan.returns, plan.mix_bus)
        # Ids first: routing points forwards and backwards.
        self._channels = {bus.name: self._builder.new_id() for bus in buses}
        self._master = self._builder.new_id()
        self._lanes: list[tuple[str, Track]] = []
        self._note_lanes: list[tuple[str, NoteTrack]] = []
        self._tempo_id = self._metre_id = ""

    def project(self) -> ET.Element:
        add, plan = self._builder.add, self._plan
        root = ET.Element("Project", {"version": FORMAT_VERSION})
        add(root, "Application", {"name": "daw-bridge", "version": __version__})
        transport = add(root, "Transport")
        first = plan.tempo_map.placed[0].event
        self._tempo_id = self._builder.real(transport, "Tempo", first.tempo_bpm, "bpm", 20.0, 666.0)
        beats, unit = first.time_signature
        metre = self._builder.numbered(transport, "TimeSignature", {"numerator": str(beats), "denominator": str(unit)})
        self._metre_id = metre.get("id", "")
        self._structure(add(root, "Structure"))
        self._arrangement(self._builder.numbered(root, "Arrangement"))
        add(root, "Scenes")
        return root

    def _structure(self, parent: ET.Element) -> None:
        plan = self._plan
        mix = self._strip(parent, plan.mix_bus, "tracks", "master", self._master)
        mix_id = self._channels[plan.mix_bus.name]
        for bus in plan.children(MIX_BUS):
            self._group(mix, bus, mix_id)
        for track in plan.tracks:
            if track.output not in {bus.name for bus in plan.buses}:
                if track.output not in self._channels:
                    known = ", ".join(self._channels)
                    raise InputError(f"{track.name}: feeds the bus {track.output!r}, which is not here; known: {known}")
                self._track(mix, track, self._channels[track.output])
        for bus in plan.returns:
            self._strip(mix, bus, "audio", "effect", mix_id)
        if plan.reference is not None:
            self._track(parent, plan.reference, self._master)
        master = self._track_element(parent, "Master", "audio notes", None)
        attributes = {"id": self._master, "audioChannels": "2", "role": "master", "solo": "false"}
        self._mixer(self._builder.add(master, "Channel", attributes), gain_db=0.0, pan=0.0, mute=False)

    def _group(self, parent: ET.Element, bus: Bus, destination: str) -> None:
        """A bus with its tracks and the buses in it."""
        group, channel = self._strip(parent, bus, "tracks", "master", destination), self._channels[bus.name]
        for track in self._plan.tracks:
            if track.output == bus.name:
                self._track(group, track, channel)
        for inner in self._plan.children(bus.name):
            self._group(group, inner, channel)

    def _track_element(self, parent: ET.Element, name: str, content: str, colour: Colour | None) -> ET.Element:
        attributes = {"contentType": content, "loaded": "true", "name": clean(name, "track")}
        if colour is not None:
            attributes["color"] = colour.hex()
        return self._builder.numbered(parent, "Track", attributes)

    def _track(self, parent: ET.Element, track: Track, destination: str) -> None:
        element = self._track_element(parent, track.name, "audio", track.colour)
        attributes = {"audioChannels": "2", "destination": destination, "role": "regular", "solo": _flag(track.solo)}
        channel = self._builder.numbered(element, "Channel", attributes)
        self._mixer(channel, gain_db=track.gain_db, pan=track.pan, mute=track.mute)
        self._lanes.append((element.get("id", ""), track))
        for notes in self._plan.notes_of(track):
            self._note_track(parent, notes, destination)

    def _note_track(self, parent: ET.Element, notes: NoteTrack, destination: str) -> None:
        element = self._track_element(parent, notes.name, "notes", notes.colour)
        attributes = {"audioChannels": "2", "destination": destination, "role": "regular", "solo": "false"}
        channel = self._builder.numbered(element, "Channel", attributes)
        self._mixer(channel, gain_db=0.0, pan=0.0, mute=notes.mute)
        self._note_lanes.append((element.get("id", ""), notes))

    def _strip(self, parent: ET.Element, bus: Bus, content: str, role: str, destination: str) -> ET.Element:
        """A bus as a track; a return that lost an effect is muted, or it would add the dry signal."""
        name = bus.label or bus.name
        element = self._track_element(parent, name, content, bus.colour)
        attributes = {"audioChannels": "2", "destination": destination, "role": role, "solo": _flag(bus.solo)}
        channel = self._builder.add(element, "Channel", {"id": self._channels[bus.name], **attributes})
        losses = self.losses.at(name)
        writer = DeviceWriter(self._builder, losses)
        devices = self._builder.add(channel, "Devices") if bus.effects else channel
        written = [writer.write(devices, effect) for effect in bus.effects]
        silent = role == "effect" and not all(written) and not bus.mute
        if silent:
            what = "is muted: without its effect it would add the dry signal; insert one, then unmute"
            losses.bent(Feature.RETURNS, what)
        if bus.group is not None:
            losses.lost(Feature.GROUPS, f"the format has no edit groups: {bus.group!r} left out")
        self._mixer(channel, gain_db=bus.gain_db, pan=bus.pan, mute=bus.mute or silent, bus=bus)
        return element

    def _mixer(  # the order of these elements is the schema's
        self, channel: ET.Element, *, gain_db: float, pan: float, mute: bool, bus: Bus | None = None
    ) -> None:
        self._builder.flag(channel, "Mute", mute)
        self._builder.real(channel, "Pan", (1.0 + pan) / 2.0, "normalized", 0.0, 1.0)
        if bus is not None and bus.sends:
            sends = self._builder.add(channel, "Sends")
            for send in bus.sends:
                if send.to not in {made.name for made in self._plan.returns}:
                    raise InputError(f"{bus.name}: sends to {send.to!r}, which is no return of this session")
                kind = "pre" if send.pre_fader else "post"
                attributes = {"type": kind, "destination": self._channels[send.to]}
                element = self._builder.numbered(sends, "Send", attributes)
                self._builder.flag(element, "Enable", value=True)
                self._builder.level(element, send.gain_db)
        self._builder.level(channel, gain_db)

    def _arrangement(self, parent: ET.Element) -> None:
        lanes = self._builder.numbered(parent, "Lanes", {"timeUnit": "seconds"})
        for track_id, track in self._lanes:
            lane = self._builder.numbered(lanes, "Lanes", {"track": track_id})
            clips = self._builder.numbered(lane, "Clips")
            for clip in track.clips:
                if clip.length_samples > 0:
                    self._clip(clips, clip)
        for track_id, notes in self._note_lanes:
            lane = self._builder.numbered(lanes, "Lanes", {"track": track_id, "timeUnit": "beats"})
            self._notes(self._builder.numbered(lane, "Clips"), notes)
        if self._plan.markers:
            self._markers(self._builder.numbered(parent, "Markers", {"timeUnit": "seconds"}))
        if self._plan.tempo_map.changes:
            self._tempo(parent)

    def _tempo(self, parent: ET.Element) -> None:
        """Tempo and metre as steps, in beats: so no rounding of seconds can move a bar line."""
        tempos = self._builder.numbered(parent, "TempoAutomation", {"timeUnit": "beats", "unit": "bpm"})
        self._builder.add(tempos, "Target", {"parameter": self._tempo_id})
        metres = self._builder.numbered(parent, "TimeSignatureAutomation", {"timeUnit": "beats"})
        self._builder.add(metres, "Target", {"parameter": self._metre_id})
        metre: tuple[int, int] | None = None
        for placed in self._plan.tempo_map.placed:
            at = {"time": number(placed.quarters)}
            value = number(placed.event.tempo_bpm)
            self._builder.add(tempos, "RealPoint", {**at, "value": value, "interpolation": "hold"})
            if placed.event.time_signature != metre:
                metre = placed.event.time_signature
                sizes = {"numerator": str(metre[0]), "denominator": str(metre[1])}
                self._builder.add(metres, "TimeSignaturePoint", {**at, **sizes})

    def _clip(self, parent: ET.Element, clip: Clip) -> None:
        rate = clip.sample_rate_hz
        duration = number(samples_to_s(clip.length_samples, rate))
        element = self._builder.add(
            parent,
            "Clip",
            {
                "name": clean(clip.name, "audio"),
                "time": number(samples_to_s(clip.position_samples, rate)),
                "duration": duration,
                "contentTimeUnit": "seconds",
                "playStart": "0.0",
                "fadeTimeUnit": "seconds",
                "fadeInTime": "0.0",
                "fadeOutTime": "0.0",
            },
        )
        format_ = {"algorithm": "raw", "channels": str(clip.channels), "sampleRate": str(rate), "duration": duration}
        audio = self._builder.numbered(element, "Audio", format_)
        self._builder.add(audio, "File", {"path": self._media[clip.path], "external": "false"})

    def _notes(self, parent: ET.Element, track: NoteTrack) -> None:
        """One clip over the whole song, in beats, which the tempo map moves with the bars."""
        tempo, rate = self._plan.tempo_map, self._plan.sample_rate_hz

        def beats(position_samples: int) -> float:
            return tempo.quarters(samples_to_s(position_samples, rate))

        duration = number(beats(self._plan.length_samples))
        named = {"name": clean(track.name, "notes"), "time": "0.0", "duration": duration}
        clip = self._builder.add(parent, "Clip", {**named, "contentTimeUnit": "beats", "playStart": "0.0"})
        notes = self._builder.numbered(clip, "Notes")
        for note in track.notes:
            begin, end = beats(note.position_samples), beats(note.position_samples + note.length_samples)
            values = {"time": number(begin), "duration": number(end - begin), "channel": "0", "key": str(note.key)}
            self._builder.add(notes, "Note", {**values, "vel": number(note.velocity / 127.0)})

    def _markers(self, parent: ET.Element) -> None:
        for marker in self._plan.markers:
            time_s = samples_to_s(marker.position_samples, self._plan.sample_rate_hz)
            attributes = {"name": clean(marker.name, "marker"), "time": number(time_s)}
            if marker.colour is not None:
                attributes["color"] = marker.colour.hex()
            self._builder.add(parent, "Marker", attributes)
            if marker.length_samples > 0:
                what = "markers are points in this format: its length is left out"
                self.losses.at(marker.name).bent(Feature.MARKERS, what)


def _flag(value: bool) -> str:
    return "true" if value else "false"
