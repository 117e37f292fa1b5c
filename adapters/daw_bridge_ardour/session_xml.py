"""A SessionPlan as the text of an Ardour session file, without Ardour.

The format (7002) was read off files that Ardour 7.3 saved; the smallest set of elements that Ardour 7 and 8 load
without a question is written, and the rest is left to their defaults. Times are `a<superclocks>`: 282 240 000 of them
make one second, so every sample of every common rate is a whole number.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import InputError
from daw_bridge.model import Clip, Marker, SessionPlan
from daw_bridge_ardour.midi import add_midi_track
from daw_bridge_ardour.names import printable
from daw_bridge_ardour.routes_xml import FORMAT, Ids, node, number, route_element
from daw_bridge_ardour.strips import Mixer, Strip, mixer_of

SUPERCLOCKS_PER_S = 282_240_000
TICKS_PER_QUARTER = 1920


class _Time:
    """Samples as Ardour's audio time."""

    def __init__(self, sample_rate_hz: int) -> None:
        if SUPERCLOCKS_PER_S % sample_rate_hz:
            raise InputError(f"{sample_rate_hz} Hz: Ardour cannot place samples of this rate exactly; resample the mix")
        self._clocks = SUPERCLOCKS_PER_S // sample_rate_hz

    def at(self, position_samples: int) -> str:
        return f"a{position_samples * self._clocks}"

    def span(self, length_samples: int, position_samples: int) -> str:
        return f"{self.at(length_samples)}@{self.at(position_samples)}"


def session_text(plan: SessionPlan, name: str, media: Mapping[Path, str]) -> tuple[bytes, tuple[Limit, ...]]:
    """The `.ardour` file of a plan, and what it could not express.

    `media` maps each clip's path to its file name in the session's audio folder. Raises InputError when a clip does not
    fit into the session.
    """
    time = _Time(plan.sample_rate_hz)
    mixer = mixer_of(plan)
    ids = Ids()
    ids.routes = {strip.name: ids.new() for strip in mixer.strips}
    root = ET.Element(
        "Session",
        {"version": FORMAT, "name": name, "sample-rate": str(plan.sample_rate_hz), "session-range-is-free": "1"},
    )
    made_by = "daw-bridge"
    node(root, "ProgramVersion", {"created-with": made_by, "modified-with": made_by})
    _config(root, plan)
    sources, regions = node(root, "Sources"), node(root, "Regions")
    _locations(root, plan, time, ids)
    node(root, "Bundles")
    routes, playlists = node(root, "Routes"), node(root, "Playlists")
    node(root, "UnusedPlaylists")
    audio = _Audio(sources, regions, media, time, ids)
    order = count()
    for strip in mixer.strips:
        playlist = ids.new() if strip.kind == "track" else ""
        route_element(routes, strip, ids, order=next(order), playlist=playlist)
        if strip.kind == "track":
            audio.playlist(playlists, strip, playlist)
        for draft in mixer.drafts:
            if draft.under == strip.name:
                add_midi_track(root, plan, draft, ids, order=next(order))
    _groups(root, mixer, ids)
    _click(root, ids)
    _tempo(root, plan)
    root.set("id-counter", str(ids.last + 1))
    root.set("name-counter", "1")
    root.set("event-counter", "0")
    ET.indent(root)
    text = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n", (*mixer.limits, *_marker_limits(plan.markers))


def _config(root: ET.Element, plan: SessionPlan) -> None:
    config = node(root, "Config")
    # Without the data format Ardour's tools cannot tell the session's rate.
    node(config, "Option", name="native-file-data-format", value="FormatFloat")
    node(config, "Option", name="native-file-header-format", value="WAVE")
    # Ardour 8 else turns every time into beats, which rounds markers and the session's end by some samples.
    node(config, "Option", {"name": "default-time-domain", "value": "AudioTime"})
    metadata = node(root, "Metadata")
    node(metadata, "title").text = printable(plan.name) or "song"
    if plan.notes:
        node(metadata, "comment").text = "\n".join(printable(note) for note in plan.notes)


def _locations(root: ET.Element, plan: SessionPlan, time: _Time, ids: Ids) -> None:
    """The session range, which is what an export renders, then the markers."""
    locations = node(root, "Locations")
    rows = [("session", 0, max(plan.length_samples, 1), "IsSessionRange")]
    for marker in plan.markers:
        flag = "IsRangeMarker" if marker.length_samples > 0 else "IsMark"
        end = marker.position_samples + max(marker.length_samples, 0)
        rows.append((printable(marker.name) or "mark", marker.position_samples, end, flag))
    for name, start, end, flags in rows:
        node(
            locations,
            "Location",
            id=ids.new(),
            name=name,
            start=time.at(start),
            end=time.at(end),
            flags=flags,
            locked=0,
        )


def _marker_limits(markers: tuple[Marker, ...]) -> list[Limit]:
    losses = Losses()
    for marker in markers:
        if marker.colour is not None:
            losses.at(marker.name).bent(Feature.MARKERS, "markers have no colour of their own in Ardour")
    return losses.limits


def _groups(root: ET.Element, mixer: Mixer, ids: Ids) -> None:
    """One route group per bus group; `color=0`, or the group's colour would hide those of its strips."""
    groups = node(root, "RouteGroups")
    names = dict.fromkeys(strip.group for strip in mixer.strips if strip.group)
    shared = dict.fromkeys(("gain", "mute", "solo", "select", "recenable", "monitoring", "relative"), 1)
    for name in names:
        members = " ".join(ids.routes[strip.name] for strip in mixer.strips if strip.group == name)
        fixed = {"id": ids.new(), "name": name, "hidden": 0, "active": 1, "route-active": 1, "color": 0, "rgba": 0}
        node(groups, "RouteGroup", {**fixed, **shared, "routes": members})


def _click(root: ET.Element, ids: Ids) -> None:
    """Where the metronome sounds; without it Ardour warns while loading."""
    outputs = node(node(root, "Click"), "IO", {"name": "Click", "id": ids.new(), "direction": "Output"})
    outputs.set("default-type", "audio")
    for channel in (1, 2):
        port = node(outputs, "Port", type_="audio", name=f"Click/audio_out {channel}")
        node(port, "Connection", other=f"system:playback_{channel}")


def _tempo(root: ET.Element, plan: SessionPlan) -> None:
    """A tempo point on every bar line where something changes, and a meter where the metre does."""
    tempo_map = node(root, "TempoMap", {"superclocks-per-second": SUPERCLOCKS_PER_S})
    tempos, meters = node(tempo_map, "Tempos"), node(tempo_map, "Meters")
    metre: tuple[int, int] | None = None
    for placed in plan.tempo_map.placed:
        ticks = round(placed.quarters * TICKS_PER_QUARTER)
        start = {
            "sclock": round(placed.time_s * SUPERCLOCKS_PER_S),
            "quarters": f"{ticks // TICKS_PER_QUARTER}:{ticks % TICKS_PER_QUARTER}",
            "bbt": f"{placed.event.bar + 1}|1|0",
        }
        tempo = {
            "npm": number(placed.event.tempo_bpm),
            "enpm": number(placed.event.tempo_bpm),
            "note-type": 4,
            "type": "Tempo::Constant",
            "active": 1,
            "locked-to-meter": 0,
            "continuing": 0,
            "omega": 0,
        }
        node(tempos, "Tempo", {**tempo, **start})
        if placed.event.time_signature != metre:
            metre = placed.event.time_signature
            node(meters, "Meter", {"note-value": metre[1], "divisions-per-bar": metre[0], **start})
    node(tempo_map, "MusicTimes")


class _Audio:
    """Sources, whole-file regions and playlists; a file that two tracks use becomes one source."""

    def __init__(
        self, sources: ET.Element, regions: ET.Element, media: Mapping[Path, str], time: _Time, ids: Ids
    ) -> None:
        self._sources, self._regions, self._media, self._time, self._ids = sources, regions, media, time, ids
        self._known: dict[tuple[Path, int], list[str]] = {}

    def playlist(self, playlists: ET.Element, strip: Strip, playlist_id: str) -> None:
        attributes = {
            "id": playlist_id,
            "name": strip.name,
            "type": "audio",
            "orig-track-id": self._ids.routes[strip.name],
        }
        playlist = node(playlists, "Playlist", {**attributes, "frozen": 0, "combine-ops": 0})
        for clip in strip.clips:
            if clip.length_samples > 0:
                self._region(playlist, clip, self._sources_of(clip, strip.channels), whole=False)

    def _sources_of(self, clip: Clip, channels: int) -> list[str]:
        """The source ids of a clip, one per channel of the track; a mono file on a stereo track is used twice."""
        key = (clip.path, channels)
        if key not in self._known:
            self._known[key] = [self._ids.new() for _ in range(channels)]
            for channel, source_id in enumerate(self._known[key]):
                attributes = {
                    "name": self._media[clip.path],
                    "take-id": "",
                    "type": "audio",
                    "flags": "",
                    "id": source_id,
                }
                place = {"channel": min(channel, clip.channels - 1), "origin": "", "gain": 1}
                node(self._sources, "Source", {**attributes, **place})
            self._region(self._regions, clip, self._known[key], whole=True)
        return self._known[key]

    def _region(self, parent: ET.Element, clip: Clip, sources: list[str], *, whole: bool) -> None:
        """A region without fades: Ardour's default fades would touch 64 samples at each end."""
        position = 0 if whole else clip.position_samples
        length = self._time.span(clip.length_samples, position)
        attributes: dict[str, object] = {
            "name": printable(clip.name) or "audio",
            "id": self._ids.new(),
            "type": "audio",
            "channels": len(sources),
            "whole-file": int(whole),
            "automatic": int(whole),
            "muted": 0,
            "opaque": 1,
            "locked": 0,
            "start": self._time.at(0),
            "length": length,
            "sync-position": self._time.at(0),
            "ancestral-start": self._time.at(0),
            "ancestral-length": length,
            "default-fade-in": 0,
            "default-fade-out": 0,
            "fade-in-active": 0,
            "fade-out-active": 0,
            "scale-amplitude": 1,
            "stretch": 1,
            "shift": 1,
            "layering-index": 0,
            "first-edit": "nothing",
        }
        for number_, source in enumerate(sources):
            attributes |= {f"source-{number_}": source, f"master-source-{number_}": source}
        region = node(parent, "Region", attributes)
        node(region, "Envelope", default="yes")
        for fade in ("FadeIn", "FadeOut"):
            node(region, fade, default=1, active=0)
