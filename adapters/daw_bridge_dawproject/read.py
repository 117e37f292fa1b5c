"""Read a `.dawproject` into a SessionPlan: the round trip of what this package writes, and the mixer of others.

Levels come back as dB, times as samples, buses get names from their labels. A track that feeds no group is a bus of its
own; where no group holds all others, the master is the mix bus. Devices of other makers, and what stands on a track
inside a group, are named. Notes, warps and automation say nothing of a mixer and are passed by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Losses, ReadReport
from daw_bridge.errors import InputError
from daw_bridge.model import (
    MASTER,
    MIX_BUS,
    BandKind,
    Bus,
    Clip,
    Colour,
    Compressor,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    Marker,
    Send,
    SessionPlan,
    Track,
    free_bus_name,
)
from daw_bridge.safe_xml import parse_xml
from daw_bridge.units import linear_to_db, s_to_samples
from daw_bridge_dawproject.checks import problems
from daw_bridge_dawproject.container import read_container
from daw_bridge_dawproject.devices import BAND_TYPES, percent_to_ratio

_KINDS = {name: kind for kind, name in BAND_TYPES.items()}
LOWEST_DB = -150.0


@dataclass(frozen=True, slots=True)
class _Node:
    """A `<Track>` with its channel."""

    track: ET.Element
    channel: ET.Element

    @property
    def id(self) -> str:
        return self.channel.get("id", "")

    @property
    def name(self) -> str:
        return self.track.get("name", "")

    def flag(self, tag: str) -> bool:
        element = self.channel.find(tag)
        return element is not None and element.get("value") == "true"


def read_project(path: Path) -> ReadReport:
    """The plan inside a `.dawproject`, and what it could not take; clip paths are those inside the container.

    Raises InputError for a file that is damaged, that points outside itself, or that has no master.
    """
    project_text, metadata_text, audio = read_container(path)
    project, metadata = (_parse(path, text) for text in (project_text, metadata_text))
    try:
        wrong = problems(project, audio)
        if wrong:
            raise InputError(f"{path}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
        reader = _Reader(path, project, metadata)
        plan = reader.plan()
    except (ValueError, KeyError, TypeError, ArithmeticError, SyntaxError) as exc:  # SyntaxError: an id with a quote
        raise InputError(f"{path}: a value in its XML is none that DAWproject knows ({exc})") from exc
    return ReadReport(plan=plan, limits=tuple(reader.losses.limits))


def _parse(path: Path, text: bytes) -> ET.Element:
    try:
        return parse_xml(text)
    except ValueError as exc:
        raise InputError(f"{path}: its XML cannot be read: {exc}") from exc


def _is_draft(track: ET.Element, channel: ET.Element) -> bool:
    """Whether it holds notes and makes no sound: muted and without an instrument."""
    mute = channel.find("Mute")
    silent = mute is not None and mute.get("value") == "true"
    return track.get("contentType") == "notes" and silent and channel.find("Devices/*") is None


class _Reader:
    def __init__(self, path: Path, project: ET.Element, metadata: ET.Element) -> None:
        self._path, self._project, self._metadata = path, project, metadata
        self._nodes = {
            channel.get("id", ""): _Node(track, channel)
            for track in project.iter("Track")
            if (channel := track.find("Channel")) is not None and not _is_draft(track, channel)
        }
        self._names: dict[str, str] = {}
        self.losses = Losses("session")
        rates = [int(audio.get("sampleRate", "0")) for audio in project.iter("Audio")]
        self._rate = rates[0] if rates else 48_000

    def plan(self) -> SessionPlan:
        master = self._master()
        mix = self._mix(master)
        inside = [node for node in self._nodes.values() if node not in (master, mix)]
        beside = (
            [node for node in self._feeding(master) if node in inside and self._is_track(node)]
            if mix is not master
            else []
        )
        reference = beside[0] if len(beside) == 1 else None
        top = [node for node in self._feeding(mix) if node is not mix]
        returns = [node for node in inside if node.channel.get("role") == "effect"]
        buses = [
            node
            for node in inside
            if node not in returns and node is not reference and (self._is_group(node) or node in top or node in beside)
        ]
        for node in (*buses, *returns):
            self._names[node.id] = free_bus_name(node.name, self._names.values())
        self._names |= {mix.id: MIX_BUS}
        tracks = [
            self._track(node)
            for node in inside
            if self._is_track(node) and node is not reference and node not in returns
        ]
        read_reference = self._strip(reference, MASTER) if reference else None
        lengths = [
            clip.position_samples + clip.length_samples
            for track in (*tracks, *([read_reference] if read_reference else []))
            for clip in track.clips
        ]
        comment = self._metadata.findtext("Comment")
        tempo, signature = self._project.find("Transport/Tempo"), self._project.find("Transport/TimeSignature")
        return SessionPlan(
            name=self._metadata.findtext("Title") or self._path.stem,
            sample_rate_hz=self._rate,
            length_samples=max(lengths, default=0),
            tracks=tuple(tracks),
            buses=tuple(replace(self._bus(node, returns), parent=self._parent(node, buses)) for node in buses),
            returns=tuple(self._bus(node, []) for node in returns),
            mix_bus=self._bus(mix, []),
            reference=read_reference,
            markers=tuple(self._marker(marker) for marker in self._project.findall("Arrangement/Markers/Marker")),
            tempo_bpm=_value(tempo, 120.0),
            time_signature=(_integer(signature, "numerator", 4), _integer(signature, "denominator", 4)),
            notes=tuple(comment.split("\n")) if comment else (),
        )

    def _parent(self, node: _Node, buses: list[_Node]) -> str | None:
        """The bus that a bus feeds; None for the mix bus."""
        destination = node.channel.get("destination", "")
        return self._names[destination] if destination in {each.id for each in buses} else None

    def _mix(self, master: _Node) -> _Node:
        """The group around all others, beside which stands at most a muted track: the reference. Or else the master."""
        top = self._feeding(master)
        groups = [node for node in top if self._is_group(node)]
        if len(groups) != 1 or not any(self._is_group(node) for node in self._feeding(groups[0])):
            return master
        others = [node for node in top if node is not groups[0]]
        alone = len(others) <= 1 and all(self._is_track(node) and node.flag("Mute") for node in others)
        return groups[0] if alone else master

    def _master(self) -> _Node:
        found = [node for node in self._nodes.values() if node.channel.get("destination") is None]
        if len(found) != 1:
            raise InputError(f"{self._path}: {len(found)} tracks look like the master; one is needed")
        return found[0]

    def _feeding(self, target: _Node) -> list[_Node]:
        return [node for node in self._nodes.values() if node.channel.get("destination") == target.id]

    @staticmethod
    def _is_group(node: _Node) -> bool:
        return node.track.get("contentType") == "tracks"

    @staticmethod
    def _is_track(node: _Node) -> bool:
        return node.channel.get("role") == "regular"

    def _track(self, node: _Node) -> Track:
        """A track inside a group; one that is a bus of its own is the bare file on it."""
        if node.id in self._names:
            return Track(
                name=node.name, output=self._names[node.id], clips=tuple(self._clips(node.track.get("id", "")))
            )
        count = len(node.channel.findall("Devices/*"))
        if count:
            what = f"{count} device(s) on a track inside a group; a template has chains on buses"
            self.losses.at(node.name).lost(Feature.PLUGIN, what)
        return self._strip(node, self._names.get(node.channel.get("destination", ""), MIX_BUS))

    def _strip(self, node: _Node, output: str) -> Track:
        return Track(
            name=node.name,
            output=output,
            clips=tuple(self._clips(node.track.get("id", ""))),
            colour=_colour(node.track),
            gain_db=_level_db(node.channel),
            pan=_pan(node.channel),
            mute=node.flag("Mute"),
            solo=node.channel.get("solo") == "true",
        )

    def _bus(self, node: _Node, returns: list[_Node]) -> Bus:
        losses, sends = self.losses.at(node.name), list[Send]()
        known = {each.id for each in returns}
        for send in node.channel.findall("Sends/Send"):
            to = send.get("destination", "")
            if to in known:
                pre_fader = send.get("type") == "pre"
                sends.append(Send(to=self._names[to], gain_db=_level_db(send), pre_fader=pre_fader))
            else:
                losses.lost(Feature.SENDS, "a send to what is no effect track")
        effects: list[Effect] = []
        for device in node.channel.findall("Devices/*"):
            effect = _effect(device)
            if effect is None:
                name = device.get("deviceName") or device.get("name") or device.tag
                losses.lost(Feature.PLUGIN, f"{name}: only the format's own devices are read")
            else:
                effects.append(effect)
        return Bus(
            name=self._names[node.id],
            label=node.name,
            colour=_colour(node.track),
            gain_db=_level_db(node.channel),
            pan=_pan(node.channel),
            mute=node.flag("Mute"),
            solo=node.channel.get("solo") == "true",
            effects=tuple(effects),
            sends=tuple(sends),
        )

    def _clips(self, track_id: str) -> list[Clip]:
        clips = []
        for clip in self._project.findall(f"Arrangement/Lanes/Lanes[@track='{track_id}']/Clips/Clip"):
            audio, file = clip.find("Audio"), clip.find("Audio/File")
            if audio is None or file is None:
                continue
            rate = int(audio.get("sampleRate", "0"))
            clips.append(
                Clip(
                    path=Path(file.get("path", "")),
                    name=clip.get("name", ""),
                    sample_rate_hz=rate,
                    channels=int(audio.get("channels", "0")),
                    length_samples=s_to_samples(float(clip.get("duration", "0")), rate),
                    position_samples=s_to_samples(float(clip.get("time", "0")), rate),
                )
            )
        return clips

    def _marker(self, marker: ET.Element) -> Marker:
        position = s_to_samples(float(marker.get("time", "0")), self._rate)
        return Marker(name=marker.get("name", ""), position_samples=position, colour=_colour(marker))


def _effect(device: ET.Element) -> Effect | None:
    """The model's effect for a built-in device; None for any other device."""
    enabled = device.find("Enabled")
    on = enabled is None or enabled.get("value") == "true"
    match device.tag:
        case "Equalizer" if device.find("Band") is None:
            return Gain(gain_db=_parameter(device, "OutputGain", 0.0), enabled=on)
        case "Equalizer":
            return Equalizer(bands=tuple(_band(band) for band in device.findall("Band")), enabled=on)
        case "Compressor":
            return Compressor(
                threshold_db=_parameter(device, "Threshold", 0.0),
                ratio=percent_to_ratio(_parameter(device, "Ratio", 0.0)),
                attack_ms=1000.0 * _parameter(device, "Attack", 0.01),
                release_ms=1000.0 * _parameter(device, "Release", 0.12),
                makeup_db=_parameter(device, "OutputGain", 0.0),
                enabled=on,
            )
        case "NoiseGate":
            return Gate(
                threshold_db=_parameter(device, "Threshold", -60.0),
                attack_ms=1000.0 * _parameter(device, "Attack", 0.001),
                hold_ms=0.0,
                release_ms=1000.0 * _parameter(device, "Release", 0.1),
                enabled=on,
            )
        case "Limiter":
            level_db = _parameter(device, "Threshold", -1.0)
            release_ms = 1000.0 * _parameter(device, "Release", 0.1)
            return Limiter(ceiling_db=level_db, threshold_db=level_db, release_ms=release_ms, enabled=on)
    return None


def _band(band: ET.Element) -> EqBand:
    enabled = band.find("Enabled")
    return EqBand(
        kind=_KINDS.get(band.get("type", ""), BandKind.BELL),
        frequency_hz=_hertz(band.find("Freq")),
        gain_db=_parameter(band, "Gain", 0.0),
        q=_parameter(band, "Q", math.sqrt(0.5)),
        enabled=enabled is None or enabled.get("value") == "true",
    )


def _hertz(element: ET.Element | None) -> float:
    """A frequency in the unit that stands beside it: Bitwig's own files have MIDI keys there, 69 being 440 Hz."""
    value = _value(element, 1000.0)
    semitones = element is not None and element.get("unit") == "semitones"
    return 440.0 * math.pow(2.0, (value - 69.0) / 12.0) if semitones else value


def _parameter(parent: ET.Element, tag: str, default: float) -> float:
    return _value(parent.find(tag), default)


def _value(element: ET.Element | None, default: float) -> float:
    return float(element.get("value", default)) if element is not None else default


def _integer(element: ET.Element | None, name: str, default: int) -> int:
    return int(element.get(name, default)) if element is not None else default


def _level_db(parent: ET.Element) -> float:
    return max(linear_to_db(_parameter(parent, "Volume", 1.0)), LOWEST_DB)


def _pan(channel: ET.Element) -> float:
    return 2.0 * _parameter(channel, "Pan", 0.5) - 1.0


def _colour(element: ET.Element) -> Colour | None:
    text = element.get("color")
    return Colour.from_hex(text) if text else None
