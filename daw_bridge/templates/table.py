"""The table of the bus template format: every key, what it may hold, what it means. See `templates.yaml_table`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from daw_bridge.model import (
    BandKind,
    Colour,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    Send,
)
from daw_bridge.templates.plugin_state import PluginState
from daw_bridge.templates.yaml_nodes import YamlNode
from daw_bridge.templates.yaml_table import Choice, Field, Flag, JsonSchema, ListOf, MapOf, Number, Record, Tagged, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateBus:
    """A bus as the template has it: `stems` are the stems that it takes (default: the one of its own name), `parent`
    is the bus that it feeds (default: the mix bus)."""

    name: str
    label: str | None = None
    stems: tuple[str, ...] = ()
    colour: Colour | None = None
    group: str | None = None
    parent: str | None = None
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    effects: tuple[Effect, ...] = ()
    sends: tuple[Send, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMarker:
    """A marker, or a region when it has a length; bars count from 1 and follow tempo and time signature."""

    name: str
    position_s: float | None = None
    position_bar: float | None = None
    length_s: float | None = None
    length_bars: float | None = None
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReference:
    """The original mix, muted and around the mix bus."""

    include: bool = True
    name: str = "Reference"
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTemplate:
    """A whole template. Buses and returns stand in the order of the file."""

    name: str = ""
    description: str = ""
    tempo_bpm: float = 120.0
    time_signature: tuple[int, int] = (4, 4)
    buses: tuple[TemplateBus, ...] = ()
    returns: tuple[TemplateBus, ...] = ()
    mix_bus: TemplateBus = TemplateBus(name="mix")
    reference: TemplateReference = TemplateReference()
    markers: tuple[TemplateMarker, ...] = ()
    grid: str = "auto"
    sections: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColourText:
    """`"#rrggbb"`."""

    _PATTERN = r"^#[0-9a-fA-F]{6}(?![\s\S])"

    def read(self, node: YamlNode) -> Colour:
        if node.describe() == "nothing":
            raise node.error('expected a colour as "#rrggbb"; in YAML a # starts a comment, so quotes are needed')
        text = node.text()
        if not re.match(self._PATTERN, text):
            raise node.error(f'{text!r} is not a colour; write it as "#rrggbb"')
        return Colour.from_hex(text)

    def dump(self, value: Any) -> object:
        return value.hex()

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "string", "pattern": self._PATTERN}

    def describe(self) -> str:
        return '`"#rrggbb"`'


@dataclass(frozen=True, slots=True)
class Ratio:
    """R of R:1, as a number or as `R:1`."""

    _PATTERN = r"^(?:[1-9][0-9]?(?:\.[0-9]{1,6})?|100(?:\.0{1,6})?):1(?![\s\S])"

    def read(self, node: YamlNode) -> float:
        if node.is_number():
            return Number(1, 100).read(node)
        text = node.text()
        if not re.match(self._PATTERN, text):
            raise node.error(f"{text!r} is not a ratio; write 4 or 4:1, from 1:1 to 100:1")
        return float(text.partition(":")[0])

    def dump(self, value: Any) -> object:
        return float(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        return {"anyOf": [Number(1, 100).schema(definitions), {"type": "string", "pattern": self._PATTERN}]}

    def describe(self) -> str:
        return "`R:1` or the number R, 1 to 100"


@dataclass(frozen=True, slots=True)
class TimeSignature:
    """`beats/unit`."""

    _PATTERN = r"^(?:[1-9]|[12][0-9]|3[0-2])/(?:1|2|4|8|16|32)(?![\s\S])"

    def read(self, node: YamlNode) -> tuple[int, int]:
        text = node.text()
        if not re.match(self._PATTERN, text):
            raise node.error(f"{text!r} is not a time signature; write it as 4/4, 6/8, ...")
        beats, _, unit = text.partition("/")
        return int(beats), int(unit)

    def dump(self, value: Any) -> object:
        return f"{value[0]}/{value[1]}"

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "string", "pattern": self._PATTERN}

    def describe(self) -> str:
        return "`4/4`, `6/8`, ..."


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names with a number each, as a tuple of pairs."""

    def read(self, node: YamlNode) -> tuple[tuple[str, float], ...]:
        return tuple((key, Number(-1e9, 1e9).read(value)) for _, key, value in node.items())

    def dump(self, value: Any) -> object:
        return {name: float(number) for name, number in value}

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        return {"type": "object", "additionalProperties": Number(-1e9, 1e9).schema(definitions)}

    def describe(self) -> str:
        return "names with a number each"


NAME = Text("a name")
STATE = PluginState(Text("the plug-in's state", limit=200_000, pattern=None))
_GAIN = Number(-150, 24)
_MS = Number(0, 5000)
_ENABLED = Field("enabled", Flag(), "`false` leaves it in the chain, bypassed")
_FREQUENCY = Field("frequency_hz", Number(10, 24_000), "corner or centre")
_Q = Field("q", Number(0.1, 30), "0.707 is Butterworth; higher is narrower")
_EQ_GAIN = Field("gain_db", Number(-30, 30), "boost or cut")

_BAND_FIELDS = {
    BandKind.HIGHPASS: (_FREQUENCY, _Q, _ENABLED),
    BandKind.LOWPASS: (_FREQUENCY, _Q, _ENABLED),
    BandKind.LOWSHELF: (_FREQUENCY, _EQ_GAIN, _Q, _ENABLED),
    BandKind.HIGHSHELF: (_FREQUENCY, _EQ_GAIN, _Q, _ENABLED),
    BandKind.BELL: (_FREQUENCY, _EQ_GAIN, _Q, _ENABLED),
    BandKind.NOTCH: (_FREQUENCY, _Q, _ENABLED),
}
BANDS = {
    kind.value: Record(f"{kind.value} band", EqBand, fields, fixed={"kind": kind})
    for kind, fields in _BAND_FIELDS.items()
}

EQUALIZER = Record(
    "equalizer",
    Equalizer,
    (
        Field("bands", ListOf(Tagged("band", BANDS, lambda band: str(band.kind)), low=1, high=16), "in any order"),
        _ENABLED,
    ),
    hints=dict.fromkeys(BANDS, "it belongs in the list 'bands'"),
)
COMPRESSOR = Record(
    "compressor",
    Compressor,
    (
        Field("threshold_db", Number(-80, 0), "peak level (dBFS) where gain reduction begins"),
        Field("ratio", Ratio(), "dB in per dB out above the threshold"),
        Field("attack_ms", Number(0, 500), "time constant towards more gain reduction"),
        Field("release_ms", Number(1, 5000), "time constant towards less"),
        Field("knee_db", Number(0, 24), "width of the soft knee around the threshold; 0 is hard"),
        Field("makeup_db", Number(-24, 24), "gain behind the compressor"),
        Field("sidechain_bus", NAME, "another bus whose signal drives the detector"),
        _ENABLED,
    ),
)
GATE = Record(
    "gate",
    Gate,
    (
        Field("threshold_db", Number(-100, 0), "opens above, closes below"),
        Field("attack_ms", Number(0, 500), "opening"),
        Field("hold_ms", Number(0, 1000), "stays open for this long"),
        Field("release_ms", Number(1, 5000), "closing"),
        _ENABLED,
    ),
)
LIMITER = Record(
    "limiter",
    Limiter,
    (
        Field("ceiling_db", Number(-24, 0), "nothing leaves above"),
        Field("threshold_db", Number(-24, 0), "where gain reduction begins; not above the ceiling"),
        Field("release_ms", Number(1, 5000), "back to no gain reduction"),
        _ENABLED,
    ),
    same_as={"threshold_db": "ceiling_db"},
)
GAIN = Record("gain", Gain, (Field("gain_db", _GAIN, "a plain gain in the chain"), _ENABLED))
PLUGIN = Record(
    "plugin",
    PluginRef,
    (
        Field("daw", NAME, "the adapter that passes it through, as in `--daw`; others report it"),
        Field("name", Text("the plug-in's name", limit=200), "as that DAW writes it"),
        Field("parameters", Parameters(), "values in that DAW's terms"),
        Field("state", STATE, "kept untouched (base64 or the like); a long one is in a file beside the template"),
        _ENABLED,
    ),
)
REVERB = Record(
    "reverb",
    Reverb,
    (
        Field("room_size", Number(0, 1), "0 small .. 1 large"),
        Field("damping", Number(0, 1), "0 bright .. 1 dark"),
        Field("width", Number(0, 1), "0 mono .. 1 wide"),
        Field("predelay_ms", Number(0, 500), "before the first reflection"),
        _ENABLED,
    ),
)
DELAY = Record(
    "delay",
    Delay,
    (
        Field("time_ms", Number(1, 5000), "between echoes"),
        Field("feedback", Number(0, 0.95), "share of an echo in the next one"),
        _ENABLED,
    ),
)
INSERTS: dict[str, Record[Any]] = {
    "equalizer": EQUALIZER,
    "compressor": COMPRESSOR,
    "gate": GATE,
    "limiter": LIMITER,
    "gain": GAIN,
    "plugin": PLUGIN,
}
RETURN_EFFECTS = INSERTS | {"reverb": REVERB, "delay": DELAY}


def effect_key(effect: Effect) -> str:
    """The key of an effect's kind in a template."""
    return next(key for key, record in RETURN_EFFECTS.items() if record.build is type(effect))


_ONLY_ON_RETURNS = "it is fully wet: put it on a return and send to it"
_BUS_EFFECTS = Tagged("effect", INSERTS, effect_key, {"reverb": _ONLY_ON_RETURNS, "delay": _ONLY_ON_RETURNS})
_RETURN_EFFECTS = Tagged("effect", RETURN_EFFECTS, effect_key)

SEND = Record(
    "send",
    Send,
    (
        Field("to", NAME, "a return"),
        Field("gain_db", _GAIN, "level of the send"),
        Field("pre_fader", Flag(), "`true` taps behind the effects and before the fader, `false` behind fader and pan"),
    ),
)
_LABEL = Field("label", NAME, "shown in the DAW; default: the name in capitals")
_COLOUR = Field("colour", ColourText(), "of the strip and its tracks")
_FADER = (
    Field("gain_db", _GAIN, "fader"),
    Field("pan", Number(-1, 1), "-1 left .. 1 right (balance: the far side is turned down)"),
    Field("mute", Flag(), "silent, but there; its sends are silent too"),
)
_SOLO = Field("solo", Flag(), "when any bus is on solo, the others are silent")
_EFFECTS = Field("effects", ListOf(_BUS_EFFECTS, high=64), "in this order, before the fader")
BUS = Record(
    "bus",
    TemplateBus,
    (
        _LABEL,
        Field("stems", ListOf(NAME, low=1, high=32), "the stems that it takes; default: the stem of the bus's name"),
        _COLOUR,
        Field("group", NAME, "buses of one group are edited together"),
        Field("parent", NAME, "another bus, which this one feeds; default: the mix bus"),
        *_FADER,
        _SOLO,
        _EFFECTS,
        Field("sends", ListOf(SEND, high=64), "to returns"),
    ),
)
RETURN = Record(
    "return",
    TemplateBus,
    (
        _LABEL,
        _COLOUR,
        *_FADER,
        Field("effects", ListOf(_RETURN_EFFECTS, high=64), "in this order, before the fader"),
    ),
    hints={"sends": "a return feeds the mix bus only, so that no loop can arise", "stems": "stems belong to buses"},
)
GRIDS = ("auto", "constant", "follow", "off")
MIX = Record(
    "mix bus",
    TemplateBus,
    (_LABEL, _COLOUR, *_FADER, _EFFECTS),
    fixed={"name": "mix"},
    hints={"sends": "the mix bus feeds the master only, so that no loop can arise", "stems": "stems belong to buses"},
)
MARKER = Record(
    "marker",
    TemplateMarker,
    (
        Field("name", NAME, "shown in the DAW"),
        Field("position_s", Number(0, 86_400), "time from the start"),
        Field("position_bar", Number(1, 100_000), "bar, from 1; 1.5 is the middle of the first bar"),
        Field("length_s", Number(0, 86_400), "makes it a region"),
        Field("length_bars", Number(0, 100_000), "makes it a region"),
        _COLOUR,
    ),
    one_of=(("position_s", "position_bar"),),
    at_most_one=(("length_s", "length_bars"),),
)
REFERENCE = Record(
    "reference",
    TemplateReference,
    (
        Field("include", Flag(), "`false` leaves the track out (the original stays in the song folder)"),
        Field("name", NAME, "of the track"),
        Field("colour", ColourText(), "of the track"),
    ),
    hints={
        "gain_db": "the reference keeps its level, so that it can be compared",
        "mute": "the reference is always muted",
    },
)
TEMPLATE = Record(
    "template",
    BusTemplate,
    (
        Field("name", NAME, "default: the file's name"),
        Field("description", Text("a sentence", limit=500, pattern=None), "shown by `daw-bridge templates list`"),
        Field("tempo_bpm", Number(20, 400), "of the session; nothing is stretched"),
        Field("time_signature", TimeSignature(), "of the session"),
        Field("buses", MapOf(NAME, BUS, high=1000), "in mixer order"),
        Field("returns", MapOf(NAME, RETURN, high=64), "effect returns, fed by sends, into the mix bus"),
        Field("mix_bus", MIX, "takes all buses and returns, feeds the master"),
        Field("reference", REFERENCE, "the original mix, muted, around the mix bus"),
        Field("markers", ListOf(MARKER, high=256), "points and regions"),
        Field(
            "grid", Choice(GRIDS), "tempo and bars: `auto` follows the song where that is sure, `off` keeps `tempo_bpm`"
        ),
        Field("sections", Flag(), "`false` leaves out the regions that are heard"),
        Field("notes", ListOf(NAME, high=32), "stems whose notes are drafted as MIDI, as `[bass, vocals]`"),
    ),
)
