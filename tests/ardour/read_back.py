"""Read an Ardour session file back into plain values: what a test compares before and after Ardour saved it.

Only what this package writes is read. XML with a document type is refused, so nothing in it can expand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.errors import InputError
from daw_bridge.safe_xml import parse_xml
from daw_bridge_ardour.session_xml import SUPERCLOCKS_PER_S

_PLUGIN_TYPES = ("lv2", "luaproc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSend:
    to: str
    gain_linear: float
    pre_fader: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlugin:
    unique_id: str
    active: bool
    values: tuple[tuple[str, float], ...]
    has_key_input: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRegion:
    """A region on a track; times in samples."""

    file: str
    position_samples: int
    length_samples: int
    channels: int
    fades: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStrip:
    """One strip. `outputs` are the strips (or hardware) that its two outputs feed."""

    kind: str
    colour: int
    gain_linear: float
    azimuth: float
    mute: bool
    solo: bool
    group: str
    outputs: tuple[str, ...]
    plugins: tuple[ReadPlugin, ...]
    sends: tuple[ReadSend, ...]
    key_sends: tuple[str, ...]
    regions: tuple[ReadRegion, ...]


LARGEST_SESSION_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSession:
    """A whole session; `markers` are (name, start, end) in samples without the session range."""

    sample_rate_hz: int
    strips: dict[str, ReadStrip]
    markers: tuple[tuple[str, int, int], ...]
    range_samples: tuple[int, int]
    tempo_bpm: float
    time_signature: tuple[int, int]


def read_session(path: Path) -> ReadSession:
    """The values of a `.ardour` file; InputError when it is none."""
    try:
        if path.stat().st_size > LARGEST_SESSION_BYTES:
            raise InputError(f"{path}: more than {LARGEST_SESSION_BYTES} bytes are not read as an Ardour session")
        root = parse_xml(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: not an Ardour session: {exc}") from exc
    if root.tag != "Session":
        raise InputError(f"{path}: not an Ardour session (it starts with <{root.tag}>)")
    try:
        return _session(root)
    except (ValueError, KeyError, TypeError, ArithmeticError, SyntaxError) as exc:  # SyntaxError: a name with a quote
        raise InputError(f"{path}: a value in it is none that Ardour writes ({exc})") from exc


def _session(root: ET.Element) -> ReadSession:
    rate = int(root.get("sample-rate", "0"))
    routes = {route.get("id", ""): route for route in root.findall("Routes/Route")}
    strips = {route.get("name", ""): _strip(root, route, routes, rate) for route in routes.values()}
    places = [
        (place.get("name", ""), _samples(place.get("start", ""), rate), _samples(place.get("end", ""), rate), flags)
        for place in root.findall("Locations/Location")
        if (flags := place.get("flags", "")) and ("IsMark" in flags or "IsRange" in flags or "IsSessionRange" in flags)
    ]
    ranges = [(start, end) for _, start, end, flags in places if "IsSessionRange" in flags]
    tempo, meter = root.find("TempoMap/Tempos/Tempo"), root.find("TempoMap/Meters/Meter")
    return ReadSession(
        sample_rate_hz=rate,
        strips=strips,
        markers=tuple((name, start, end) for name, start, end, flags in places if "IsSessionRange" not in flags),
        range_samples=ranges[0] if ranges else (0, 0),
        tempo_bpm=_number(tempo, "npm"),
        time_signature=(int(_number(meter, "divisions-per-bar")), int(_number(meter, "note-value"))),
    )


def _strip(root: ET.Element, route: ET.Element, routes: dict[str, ET.Element], rate: int) -> ReadStrip:
    info = route.find("PresentationInfo")
    flags = info.get("flags", "") if info is not None else ""
    processors = route.findall("Processor")
    before_fader = True
    sends: list[ReadSend] = []
    keys: list[str] = []
    gain_linear = 1.0
    for processor in processors:
        kind = processor.get("type")
        if kind == "amp":
            before_fader, gain_linear = False, _control(processor, "gaincontrol")
        elif kind == "intsend":
            to = routes[processor.get("target", "")].get("name", "")
            sends.append(ReadSend(to=to, gain_linear=_control(processor, "gaincontrol"), pre_fader=before_fader))
        elif kind == "send":
            keys += sorted({link.get("other", "").rpartition("/")[0] for link in processor.iter("Connection")})
    return ReadStrip(
        kind=next((kind for kind in ("MasterOut", "AudioTrack", "AudioBus") if kind in flags), "?"),
        colour=int(info.get("color", "0")) if info is not None else 0,
        gain_linear=gain_linear,
        azimuth=_control(route.find("Pannable"), "pan-azimuth"),
        mute=_control(route, "mute") > 0.0,
        solo=any(c.get("self-solo") == "1" for c in route.findall("Controllable")),
        group=route.get("route-group", ""),
        outputs=tuple(
            link.get("other", "")
            for io in route.findall("IO")
            if io.get("direction") == "Output"
            for link in io.iter("Connection")
        ),
        plugins=tuple(_plugin(processor) for processor in processors if processor.get("type") in _PLUGIN_TYPES),
        sends=tuple(sends),
        key_sends=tuple(keys),
        regions=_regions(root, route.get("audio-playlist", ""), rate),
    )


def _plugin(processor: ET.Element) -> ReadPlugin:
    state = processor.find(processor.get("type", ""))
    ports = [] if state is None else state.findall("Port")
    values = tuple((port.get("symbol", port.get("id", "")), float(port.get("value", "0"))) for port in ports)
    keyed = any(inner.get("type") == "sidechain" for inner in processor.findall("Processor"))
    active = processor.get("active") == "1"
    return ReadPlugin(unique_id=processor.get("unique-id", ""), active=active, values=values, has_key_input=keyed)


def _regions(root: ET.Element, playlist: str, rate: int) -> tuple[ReadRegion, ...]:
    files = {source.get("id", ""): source.get("name", "") for source in root.findall("Sources/Source")}
    found = []
    for region in root.findall(f"Playlists/Playlist[@id='{playlist}']/Region") if playlist else []:
        length, _, position = region.get("length", "a0@a0").partition("@")
        fades = "1" in (region.get("fade-in-active"), region.get("fade-out-active"))
        found.append(
            ReadRegion(
                file=files.get(region.get("source-0", ""), "?"),
                position_samples=_samples(position, rate),
                length_samples=_samples(length, rate),
                channels=int(region.get("channels", "0")),
                fades=fades,
            )
        )
    return tuple(found)


def _samples(time: str, rate: int) -> int:
    """`a<superclocks>` (or plain samples, as older files have them) -> samples."""
    if time.startswith("a"):
        return round(int(time[1:]) * rate / SUPERCLOCKS_PER_S)
    return int(time) if time.lstrip("-").isdigit() else 0


def _control(parent: ET.Element | None, name: str) -> float:
    if parent is None:
        return 0.0
    return next((float(c.get("value", "0")) for c in parent.findall("Controllable") if c.get("name") == name), 0.0)


def _number(element: ET.Element | None, name: str) -> float:
    return float(element.get(name, "0")) if element is not None else 0.0
