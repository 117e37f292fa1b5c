"""Read a `.dawproject` back into a SessionPlan: the round trip of what this package writes, and a first look at others.

Levels come back as dB, times as samples. What other programs write beyond that (notes, warps, automation) is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.errors import InputError
from daw_bridge.model import (
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
    def name(self) -> str:
        return self.track.get("name", "")

    def flag(self, tag: str) -> bool:
        element = self.channel.find(tag)
        return element is not None and element.get("value") == "true"


def read_project(path: Path) -> SessionPlan:
    """The plan inside a `.dawproject`; clip paths are those inside the container.

    Raises InputError for a file that is damaged, that points outside itself, or whose routing is not that of a session
    of ours (tracks, group tracks, one mix group, effect tracks, one master).
    """
    project_text, metadata_text, audio = read_container(path)
    project, metadata = (_parse(path, text) for text in (project_text, metadata_text))
    try:
        wrong = problems(project, audio)
        if wrong:
            raise InputError(f"{path}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
        return _Reader(path, project, metadata).plan()
    except (ValueError, KeyError, TypeError, ArithmeticError, SyntaxError) as exc:  # SyntaxError: an id with a quote
        raise InputError(f"{path}: a value in its XML is none that DAWproject knows ({exc})") from exc


def _parse(path: Path, text: bytes) -> ET.Element:
    try:
        return parse_xml(text)
    except ValueError as exc:
        raise InputError(f"{path}: its XML cannot be read: {exc}") from exc


class _Reader:
    def __init__(self, path: Path, project: ET.Element, metadata: ET.Element) -> None:
        self._path, self._project, self._metadata = path, project, metadata
        self._nodes = {
            channel.get("id", ""): _Node(track, channel)
            for track in project.iter("Track")
            if (channel := track.find("Channel")) is not None
        }
        rates = [int(audio.get("sampleRate", "0")) for audio in project.iter("Audio")]
        self._rate = rates[0] if rates else 48_000

    def plan(self) -> SessionPlan:
        master = self._one(lambda node: node.channel.get("destination") is None, "master")
        master_id = master.channel.get("id")
        mix = self._one(lambda node: node.channel.get("destination") == master_id and self._is_group(node), "mix bus")
        mix_id = mix.channel.get("id", "")
        nodes = [node for node in self._nodes.values() if node not in (master, mix)]
        tracks = [node for node in nodes if node.channel.get("role") == "regular"]
        names = {node.channel.get("id", ""): node.name for node in nodes} | {mix_id: "mix", str(master_id): "master"}
        reference = [node for node in tracks if node.channel.get("destination") == master_id]
        stems = [node for node in tracks if node not in reference]
        read_tracks = [self._track(node, names) for node in stems]
        read_reference = self._track(reference[0], names) if reference else None
        lengths = [
            clip.position_samples + clip.length_samples
            for track in (*read_tracks, *([read_reference] if read_reference else []))
            for clip in track.clips
        ]
        comment = self._metadata.findtext("Comment")
        tempo, signature = self._project.find("Transport/Tempo"), self._project.find("Transport/TimeSignature")
        return SessionPlan(
            name=self._metadata.findtext("Title") or self._path.stem,
            sample_rate_hz=self._rate,
            length_samples=max(lengths, default=0),
            tracks=tuple(read_tracks),
            buses=tuple(self._bus(node, node.name) for node in nodes if self._is_group(node)),
            returns=tuple(self._bus(node, node.name) for node in nodes if node.channel.get("role") == "effect"),
            mix_bus=self._bus(mix, "mix"),
            reference=read_reference,
            markers=tuple(self._marker(marker) for marker in self._project.findall("Arrangement/Markers/Marker")),
            tempo_bpm=_value(tempo, 120.0),
            time_signature=(_integer(signature, "numerator", 4), _integer(signature, "denominator", 4)),
            notes=tuple(comment.split("\n")) if comment else (),
        )

    def _one(self, wanted: object, what: str) -> _Node:
        found = [node for node in self._nodes.values() if callable(wanted) and wanted(node)]
        if len(found) != 1:
            raise InputError(f"{self._path}: {len(found)} tracks look like the {what}; one is needed")
        return found[0]

    def _is_group(self, node: _Node) -> bool:
        return node.track.get("contentType") == "tracks"

    def _track(self, node: _Node, names: dict[str, str]) -> Track:
        return Track(
            name=node.name,
            output=names[node.channel.get("destination", "")],
            clips=tuple(self._clips(node.track.get("id", ""))),
            colour=_colour(node.track),
            gain_db=_level_db(node.channel),
            pan=_pan(node.channel),
            mute=node.flag("Mute"),
            solo=node.channel.get("solo") == "true",
        )

    def _bus(self, node: _Node, name: str) -> Bus:
        sends = [
            Send(
                to=self._nodes[send.get("destination", "")].name,
                gain_db=_level_db(send),
                pre_fader=send.get("type") == "pre",
            )
            for send in node.channel.findall("Sends/Send")
        ]
        return Bus(
            name=name,
            label=node.name,
            colour=_colour(node.track),
            gain_db=_level_db(node.channel),
            pan=_pan(node.channel),
            mute=node.flag("Mute"),
            solo=node.channel.get("solo") == "true",
            effects=tuple(effect for device in node.channel.findall("Devices/*") if (effect := _effect(device))),
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
        frequency_hz=_parameter(band, "Freq", 1000.0),
        gain_db=_parameter(band, "Gain", 0.0),
        q=_parameter(band, "Q", math.sqrt(0.5)),
        enabled=enabled is None or enabled.get("value") == "true",
    )


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
