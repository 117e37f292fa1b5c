"""Reading a profile: one table per record, so that every error has file:line:column and the documentation its rows.

Every operation of `operations.py` must be mapped or named as unsupported with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from daw_bridge.errors import TemplateError, did_you_mean
from daw_bridge.templates.yaml_nodes import YamlNode, parse_yaml, read_yaml
from daw_bridge.templates.yaml_table import (
    Choice,
    Field,
    Flag,
    JsonSchema,
    ListOf,
    NamedMap,
    Number,
    Record,
    Tagged,
    Text,
    Whole,
)
from daw_bridge_osc.messages import MessageKind, PatternKind
from daw_bridge_osc.operations import DERIVED, OPERATIONS
from daw_bridge_osc.profile import Bank, Confirm, KindOf, OperationRow, Profile, TrackList, Tracks, Transport
from daw_bridge_osc.scaling import (
    Amplitude,
    FaderLaw,
    Linear,
    Logarithmic,
    Octaves,
    PowerLaw,
    Range,
    Toggle,
)


@dataclass(frozen=True, slots=True)
class Points:
    """Rising pairs of numbers."""

    def read(self, node: YamlNode) -> tuple[tuple[float, float], ...]:
        points: list[tuple[float, float]] = []
        for item in node.elements():
            pair = item.elements()
            if len(pair) != 2:
                raise item.error("expected a pair: [dB, position]")
            point = (pair[0].number(), pair[1].number())
            if points and not (point[0] > points[-1][0] and point[1] > points[-1][1]):
                raise item.error("the points must rise in dB and in position")
            points.append(point)
        if len(points) < 2:
            raise node.error("a fader law needs at least two points")
        return tuple(points)

    def dump(self, value: Any) -> object:
        return [list(point) for point in value]

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "array", "minItems": 2, "items": {"type": "array", "items": {"type": "number"}}}

    def describe(self) -> str:
        return "list of `[dB, position]`, rising"


_ANY = Number(-1e12, 1e12)
_POSITIVE = Number(1e-9, 1e12)
_NAME = Text("a name", 40, r"^[a-z][a-z0-9_-]*$")
_LINE = Text("a line of text", 300)
_ADDRESS = Text("an OSC address", 200, r"^[/#]\S*$")
_MESSAGES = ListOf(MessageKind(), 1, 16)
_INDEX = Whole(0, 31)
_LIMITS = (Field("low", _ANY, "lowest value"), Field("high", _ANY, "highest value"))
_WIRE = (Field("wire_low", _ANY, "its number at `low`"), Field("wire_high", _ANY, "its number at `high`"))

_SCALES: dict[str, Record[Any]] = {
    "range": Record("range", Range, _LIMITS),
    "linear": Record("linear", Linear, (*_LIMITS, *_WIRE)),
    "logarithmic": Record(
        "logarithmic",
        Logarithmic,
        (Field("low", _POSITIVE, "lowest value"), Field("high", _POSITIVE, "highest value"), *_WIRE),
    ),
    "fader_law": Record("fader law", FaderLaw, (Field("points", Points(), "dB and fader position"),)),
    "power_law": Record(
        "power law",
        PowerLaw,
        (
            Field("exponent", _POSITIVE, "gain is the position to this power"),
            Field("top_db", _ANY, "level of the fader at its top"),
            Field("wire_high", _POSITIVE, "number of the fader at its top"),
        ),
    ),
    "amplitude": Record("amplitude", Amplitude, (Field("top_db", _ANY, "highest level"),)),
    "octaves": Record("octaves", Octaves, (Field("low", _POSITIVE, "narrowest"), Field("high", _POSITIVE, "widest"))),
    "toggle": Record("toggle", Toggle, (Field("on", _ANY, "number for on"), Field("off", _ANY, "number for off"))),
}
_SCALE_TAGS = {type_: tag for tag, type_ in {tag: record.build for tag, record in _SCALES.items()}.items()}
_SCALE = Tagged("scale", _SCALES, lambda value: _SCALE_TAGS[type(value)])
_ARGUMENTS = tuple(dict.fromkeys(name for operation in OPERATIONS.values() for name in operation.arguments))

_KIND_OF = Record(
    "channel kind",
    KindOf,
    (
        Field("says", Text("the DAW's word", 40), "the DAW's word"),
        Field("kind", Choice(("track", "bus", "master", "other")), "what it is"),
    ),
)
_TRACK_LIST = Record(
    "track list",
    TrackList,
    (
        Field("ask", MessageKind(), "the question"),
        Field("answer", _ADDRESS, "address of the answers"),
        Field("name_index", _INDEX, "argument with the name"),
        Field("number_index", _INDEX, "argument with the number"),
        Field("kind_index", _INDEX, "argument with the kind"),
        Field("kinds", ListOf(_KIND_OF), "the DAW's words for kinds"),
        Field("end", Text("a word", 60), "first argument of the last answer"),
        Field("rate_index", _INDEX, "argument of the last answer with the session's rate in Hz"),
        Field("all_in_one", Flag(), "one answer holds all names, in order"),
    ),
)
_BANK = Record(
    "bank",
    Bank,
    (
        Field("size", Whole(1, 1024), "tracks at once"),
        Field("next", MessageKind(), "scroll forward by a bank"),
        Field("previous", MessageKind(), "scroll back by a bank"),
        Field("pages", Whole(1, 64), "banks to look through"),
    ),
)
_TRACKS = Record(
    "tracks",
    Tracks,
    (
        Field("index_base", Whole(0, 1), "number of the first track"),
        Field("list", _TRACK_LIST, "how to ask for all tracks"),
        Field("names", PatternKind(), "the message that pushes a track's name"),
        Field("kinds", PatternKind(), "the message that pushes a track's kind"),
        Field("kinds_say", ListOf(_KIND_OF), "the DAW's words for kinds"),
        Field("bank", _BANK, "where only some tracks are shown at once"),
        Field("changed", _ADDRESS, "pushed when tracks come or go"),
        Field("watch", ListOf(MessageKind()), "sent for each track, so that its changes are reported"),
    ),
)
_CONFIRM = Record(
    "confirm",
    Confirm,
    (
        Field("report", PatternKind(), "the report that proves the value"),
        Field("tolerance", Number(0, 1e6), "in the DAW's number"),
        Field("ask", MessageKind(), "question that makes it report"),
        Field("answer", PatternKind(), "the answer to `ask`, when it is another message"),
        Field("ask_tolerance", Number(0, 1e6), "for answers to `ask`"),
        Field("ask_tolerance_percent", Number(0, 100), "for answers to `ask`, in percent of the value, on top"),
    ),
)
_OPERATION = Record(
    "operation",
    OperationRow,
    (
        Field("send", _MESSAGES, "the messages"),
        Field("scale", NamedMap("argument", _ARGUMENTS, _SCALE), "argument: scale"),
        Field("confirm", _CONFIRM, "how the DAW proves it"),
        Field("pause_ms", Number(0, 10_000), "between the messages"),
    ),
)
_TRANSPORT = Record(
    "transport",
    Transport,
    (
        Field("protocol", Choice(("udp", "tcp-slip", "tcp-length")), "how packets travel"),
        Field("host", Text("a host", 200), "where the DAW runs"),
        Field("port", Whole(1, 65535), "where it listens"),
        Field("reply_port", Whole(0, 65535), "where it sends to; 0: back to the sender"),
        Field("bundle", Flag(), "several messages of an operation as one bundle"),
        Field("messages_per_s", Number(1, 100_000), "at most"),
        Field("timeout_ms", Number(1, 60_000), "wait so long for a report"),
        Field("retries", Whole(0, 20), "send again so often"),
    ),
)
PROFILE = Record(
    "profile",
    Profile,
    (
        Field("name", _NAME, "short name"),
        Field("title", _LINE, "what people call it"),
        Field("documentation", _LINE, "where the addresses are documented"),
        Field("transport", _TRANSPORT, "where and how"),
        Field("hello", ListOf(MessageKind()), "sent first"),
        Field("goodbye", ListOf(MessageKind()), "sent last"),
        Field("errors", _ADDRESS, "where the DAW reports errors as text"),
        Field("tracks", _TRACKS, "how tracks are found"),
        Field("operations", NamedMap("operation", tuple(OPERATIONS), _OPERATION), "what can be done"),
        Field("unsupported", NamedMap("operation", tuple(OPERATIONS), _LINE), "what cannot, and why"),
    ),
)


def shipped_profiles() -> list[str]:
    """Names of the profiles that come with the program."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def _folder() -> Any:
    return files("daw_bridge_osc") / "profiles"


def load_profile(name: str, path: Path | None = None) -> Profile:
    """The shipped profile of that name, or the one in a file. Raises TemplateError with file:line:column."""
    if path is not None:
        return _checked(read_yaml(path))
    return parse_profile(profile_text(name), f"{name}.yaml")


def profile_text(name: str) -> str:
    """The text of a shipped profile. Raises TemplateError when there is none of that name."""
    known = shipped_profiles()
    if name not in known:
        raise TemplateError(f"no OSC profile called {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    return str((_folder() / f"{name}.yaml").read_text("utf-8"))


def parse_profile(text: str, file: str) -> Profile:
    """A profile from its text; `file` is its name in messages."""
    return _checked(parse_yaml(text, file))


def _checked(root: YamlNode) -> Profile:
    profile = PROFILE.read(root)
    for name, mapping in profile.operations.items():
        node = root.at("operations", name)
        if name in profile.unsupported:
            raise root.at("unsupported", name).error(f"{name} is also among the operations")
        arguments = set(OPERATIONS[name].arguments)
        allowed = arguments | {new for new, source in DERIVED.items() if source in arguments}
        for template in mapping.send:
            template.check(allowed)
        for argument in mapping.scale:
            if argument not in arguments:
                raise node.at("scale").error(f"{name} has no argument {argument!r}; it has {', '.join(arguments)}")
        if mapping.confirm is not None:
            _check_confirm(mapping.confirm, allowed)
    missing = [name for name in OPERATIONS if name not in profile.operations and name not in profile.unsupported]
    if missing:
        raise root.error(f"say how, or under 'unsupported' why not: {', '.join(missing)}")
    for template in (*profile.hello, *profile.goodbye):
        template.check(set())
    for template in profile.tracks.watch:
        template.check({"track"})
    return profile


def _check_confirm(confirm: Confirm, allowed: set[str]) -> None:
    confirm.report.check(allowed)
    if confirm.answer is not None:
        confirm.answer.check(allowed)
    if confirm.ask is not None:
        confirm.ask.check(allowed)
