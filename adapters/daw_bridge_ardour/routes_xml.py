"""One strip as the `<Route>` element of Ardour's session file (format 7002: Ardour 7 and 8 read it as their own)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from daw_bridge.errors import TemplateError
from daw_bridge.safe_xml import parse_xml
from daw_bridge.units import db_to_linear
from daw_bridge_ardour import plugins
from daw_bridge_ardour.effects import Insert
from daw_bridge_ardour.strips import Strip, StripSend

FORMAT = "7002"
_BALANCE = {"uri": "http://ardour.org/plugin/panner_balance", "type": "Stereo Balance"}


@dataclass(slots=True)
class Ids:
    """Ardour numbers everything in a session from one counter."""

    last: int = 100
    bitslot: int = 0
    routes: dict[str, str] = field(default_factory=dict)

    def new(self) -> str:
        self.last += 1
        return str(self.last)


def node(parent: ET.Element, tag: str, attributes: Mapping[str, object] | None = None, **more: object) -> ET.Element:
    """A child element; `more` is for names without dashes, and a trailing underscore is dropped."""
    values = {**(attributes or {}), **{key.rstrip("_"): value for key, value in more.items()}}
    return ET.SubElement(parent, tag, {key: str(value) for key, value in values.items()})


def number(value: float) -> str:
    """A float as Ardour writes it: the shortest text that reads back to the same value."""
    return repr(float(value)).removesuffix(".0")


def rgba(strip: Strip) -> int:
    """Ardour's colour number, 0xRRGGBBAA; 0 lets Ardour choose."""
    colour = strip.colour
    return 0 if colour is None else colour.red << 24 | colour.green << 16 | colour.blue << 8 | 0xFF


def route_element(parent: ET.Element, strip: Strip, ids: Ids, *, order: int, playlist: str = "") -> ET.Element:
    """The strip's `<Route>`; `playlist` is the id of a track's playlist."""
    attributes = {
        "version": FORMAT,
        "id": ids.routes[strip.name],
        "name": strip.name,
        "default-type": "audio",
        "strict-io": int(strip.kind == "master"),
        "active": 1,
        "denormal-protection": 0,
        "meter-point": "MeterPostFader",
        "disk-io-point": "DiskIOPreFader",
        "meter-type": "MeterK20" if strip.kind == "master" else "MeterPeak",
    }
    if strip.group:
        attributes["route-group"] = strip.group
    if strip.kind == "track":
        attributes |= {"audio-playlist": playlist, "saved-meter-point": "MeterPostFader", "mode": "Normal"}
    route = node(parent, "Route", attributes)
    flag = {"track": "AudioTrack", "bus": "AudioBus", "master": "MasterOut"}[strip.kind]
    node(route, "PresentationInfo", order=order, flags=f"{flag},OrderSet", color=rgba(strip))
    _solo_and_mute(route, strip, ids)
    _ports(route, strip, ids)
    _pannable(route, ids, strip.pan)
    _processors(route, strip, ids)
    return route


def _solo_and_mute(route: ET.Element, strip: Strip, ids: Ids) -> None:
    solo = {
        "name": "solo",
        "id": ids.new(),
        "flags": "Toggle,RealTime",
        "value": int(strip.solo),
        "self-solo": int(strip.solo),
        "soloed-by-upstream": strip.soloed_upstream,
        "soloed-by-downstream": strip.soloed_downstream,
    }
    node(route, "Controllable", solo)
    node(route, "MuteMaster", {"mute-point": "PostFader,Listen,Main", "muted": int(strip.mute)})
    node(route, "Controllable", name="mute", id=ids.new(), flags="Toggle,RealTime", value=int(strip.mute))


def _ports(route: ET.Element, strip: Strip, ids: Ids) -> None:
    inputs = _io(route, strip.name, "Input", ids)
    for channel in range(1, strip.channels + 1):
        node(inputs, "Port", type_="audio", name=f"{strip.name}/audio_in {channel}")
    outputs = _io(route, strip.name, "Output", ids)
    for channel in (1, 2):
        port = node(outputs, "Port", type_="audio", name=f"{strip.name}/audio_out {channel}")
        other = f"{strip.output}/audio_in {channel}" if strip.output else f"system:playback_{channel}"
        node(port, "Connection", other=other)


def _io(parent: ET.Element, name: str, direction: str, ids: Ids) -> ET.Element:
    return node(parent, "IO", {"name": name, "id": ids.new(), "direction": direction, "default-type": "audio"})


def _pannable(parent: ET.Element, ids: Ids, pan: float) -> None:
    pannable = node(parent, "Pannable")
    node(
        pannable, "Controllable", {"name": "pan-azimuth", "id": ids.new(), "flags": "", "value": number((1 + pan) / 2)}
    )
    node(pannable, "Controllable", {"name": "pan-width", "id": ids.new(), "flags": "", "value": "1"})


def _processors(route: ET.Element, strip: Strip, ids: Ids) -> None:
    """The strip's processors in signal order: disk, trim, inserts, pre-fader sends, fader, post-fader sends, out."""
    if strip.kind == "track":
        _processor(route, f"player:{strip.name}", "diskreader", ids)
    elif strip.kind == "bus":
        _processor(route, "Return", "intreturn", ids)
    trim = _processor(route, "Amp", "trim", ids)
    node(trim, "Controllable", name="trimcontrol", id=ids.new(), flags="GainLike", value=1)
    for position, insert in enumerate(strip.inserts):
        _insert(route, strip, insert, position, ids)
    for send in strip.sends:
        if send.pre_fader:
            _send(route, send, strip, ids)
    fader = _processor(route, "Amp", "amp", ids)
    level = number(db_to_linear(strip.gain_db))
    node(fader, "Controllable", name="gaincontrol", id=ids.new(), flags="GainLike", value=level)
    for position, send in enumerate(strip.sends):
        if send.key:
            _key_send(route, send, strip, position, ids)
        elif not send.pre_fader:
            _send(route, send, strip, ids)
    _processor(route, f"meter-{strip.name}", "meter", ids)
    out = {"own-input": 1, "own-output": 0, "output": strip.name, "role": "Main"}
    delivery = _processor(route, strip.name, "main-outs", ids, out)
    # Ardour's mono panner lowers the centre by 3 dB; a bypassed one feeds both sides at unity.
    _panner_shell(delivery, bypassed=strip.channels == 1, follows_strip=True)


def _processor(
    parent: ET.Element, name: str, kind: str, ids: Ids, more: Mapping[str, object] | None = None, *, active: bool = True
) -> ET.Element:
    attributes = {"id": ids.new(), "name": name, "active": int(active), "user-latency": 0, "use-user-latency": 0}
    return node(parent, "Processor", {**attributes, **(more or {}), "type": kind})


def _panner_shell(parent: ET.Element, *, bypassed: bool, follows_strip: bool) -> None:
    attributes = {"bypassed": int(bypassed), "user-panner": "", "linked-to-route": int(follows_strip)}
    shell = node(parent, "PannerShell", attributes)
    if not bypassed:
        node(shell, "Panner", _BALANCE)


def _send(route: ET.Element, send: StripSend, strip: Strip, ids: Ids) -> None:
    """An aux send; behind the fader it follows the strip's pan, before the fader it is centred."""
    ids.bitslot += 1
    attributes = {
        "own-input": 1,
        "own-output": 1,
        "role": "Aux",
        "bitslot": ids.bitslot,
        "selfdestruct": 0,
        "target": ids.routes[send.to],
        "allow-feedback": 0,
    }
    processor = _processor(route, send.to, "intsend", ids, attributes)
    _panner_shell(processor, bypassed=False, follows_strip=not send.pre_fader)
    _pannable(processor, ids, 0.0 if send.pre_fader else strip.pan)
    level = number(db_to_linear(send.gain_db))
    node(processor, "Controllable", name="gaincontrol", id=ids.new(), flags="GainLike,InlineControl", value=level)


def _key_name(strip_name: str, insert: int) -> str:
    return f"SC {strip_name} {insert + 1}"


def _key_send(route: ET.Element, send: StripSend, strip: Strip, position: int, ids: Ids) -> None:
    """An external send whose two outputs meet in the key input of a compressor on another strip."""
    ids.bitslot += 1
    name = f"{strip.name} key {position + 1}"
    attributes = {
        "own-input": 1,
        "own-output": 1,
        "output": name,
        "role": "Send",
        "bitslot": ids.bitslot,
        "selfdestruct": 0,
    }
    processor = _processor(route, name, "send", ids, attributes)
    outputs = _io(processor, name, "Output", ids)
    for channel in (1, 2):
        port = node(outputs, "Port", type_="audio", name=f"{name}/audio_out {channel}")
        node(port, "Connection", other=f"{_key_name(send.to, send.insert)}/audio_in 1")
    _panner_shell(processor, bypassed=False, follows_strip=False)
    _pannable(processor, ids, 0.0)
    level = number(db_to_linear(send.gain_db))
    node(processor, "Controllable", name="gaincontrol", id=ids.new(), flags="GainLike,InlineControl", value=level)


def _insert(route: ET.Element, strip: Strip, insert: Insert, position: int, ids: Ids) -> None:
    if insert.state:
        route.append(_user_processor(insert.state, strip.name, ids))
        return
    plugin = insert.plugin
    count = strip.channels if plugin.channels == 1 else 1
    attributes = {"unique-id": plugin.unique_id, "count": count, "custom": 0}
    processor = _processor(route, plugin.name, plugin.kind, ids, attributes, active=insert.enabled)
    if insert.sidechain_bus is not None:
        name = _key_name(strip.name, position)
        key = _processor(processor, name, "sidechain", ids, {"own-input": 1, "own-output": 1})
        node(_io(key, name, "Input", ids), "Port", type_="audio", name=f"{name}/audio_in 1")
    state = node(processor, plugin.kind, {"last-preset-uri": "", "last-preset-label": ""})
    if plugin.kind == "luaproc":
        script = node(state, "script", lua="Lua 5.3", origin="")
        script.text = base64.b64encode(plugins.filter_script().encode()).decode()
    for symbol, value in insert.values.items():
        node(state, "Port", {"id" if plugin.kind == "luaproc" else "symbol": symbol, "value": number(value)})


def _user_processor(text: str, where: str, ids: Ids) -> ET.Element:
    """The `<Processor>` element that a template carries as a plug-in's state; TemplateError when it is none."""
    if "<!" in text:
        raise TemplateError(f"{where}: the state of an Ardour plug-in must be plain XML without <!...>")
    try:
        element = parse_xml(text.encode())
    except ValueError as exc:
        raise TemplateError(f"{where}: the state of an Ardour plug-in must be its <Processor> element ({exc})") from exc
    if element.tag != "Processor" or not element.get("unique-id"):
        raise TemplateError(f"{where}: the state of an Ardour plug-in must be its <Processor> element from a session")
    for inner in element.iter():
        if inner.get("id", "").isdigit() and inner.tag != "Port":
            inner.set("id", ids.new())
    return element
