"""MIDI messages to commands: the mapping file, and what a message means by it. Pure; ports live in `ports.py`.

A mapping file is YAML: a list of `mappings`, each with the message that it waits for and the command that it sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from daw_bridge.control.commands import PREFIX, Strip, StripKind, find_command, parse
from daw_bridge.errors import TemplateError, UsageError
from daw_bridge.files import write_atomic
from daw_bridge.mixer import MixerChange
from daw_bridge.osc import Message, OscValue
from daw_bridge.templates.yaml_nodes import YamlNode, parse_yaml, read_yaml, read_yaml_text
from daw_bridge.templates.yaml_table import Choice, Field, JsonSchema, ListOf, Number, Record, Text, Whole

Event = Literal["note", "control", "program"]
Mode = Literal["press", "toggle", "hold", "fader"]
Carries = Callable[[StripKind, str, str], bool]
"""Whether a channel of the DAW (the last argument) is what a surface calls by a name."""
PRESSED_FROM = 64
"""A controller counts as pressed from this value on."""

CANCEL = f"{PREFIX}cancel"

HEADER = """\
# MIDI messages and the commands that they send (see docs/osc.md for all commands).
# on: note, control or program; number: 0 to 127; channel: 1 to 16, any when left out.
# mode: press (once when pressed), toggle (1, 0, 1, ...), hold (1 while pressed), fader (low to high).
mappings:
"""


@dataclass(frozen=True, slots=True)
class MidiInput:
    """A message as far as mappings see it. `value` is velocity, controller value, or 127 for a program change."""

    event: Event
    number: int
    channel: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MidiMapping:
    """One entry. In the modes toggle, hold and fader the value comes behind `arguments`; a fader runs low..high."""

    on: Event
    number: int
    channel: int | None = None
    send: str
    arguments: tuple[OscValue, ...] = ()
    mode: Mode = "press"
    low: float = 0.0
    high: float = 1.0

    def hears(self, message: MidiInput) -> bool:
        return (self.on, self.number) == (message.event, message.number) and self.channel in (None, message.channel)

    def sample(self) -> Message:
        """A message as this mapping would send it, to check it against the command table."""
        value: dict[Mode, tuple[OscValue, ...]] = {"press": (), "fader": (self.low,), "toggle": (1,), "hold": (1,)}
        return Message(self.send, (*self.arguments, *value[self.mode]))


@dataclass(frozen=True, slots=True)
class _Value:
    def read(self, node: YamlNode) -> OscValue:
        value = node.plain()
        if not isinstance(value, (str, int, float, bool)):
            raise node.error(f"expected a text, a number, true or false, found {node.describe()}")
        return value

    def dump(self, value: Any) -> object:
        return value

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": ["string", "number", "boolean"]}

    def describe(self) -> str:
        return "text, number, `true` or `false`"


@dataclass(frozen=True, slots=True)
class _MappingFile:
    mappings: tuple[MidiMapping, ...]


_LEVEL = Number(-1e6, 1e6)
MAPPING = Record(
    "mapping",
    MidiMapping,
    (
        Field("on", Choice(("note", "control", "program")), "kind of message"),
        Field("number", Whole(0, 127), "key, controller or program number"),
        Field("channel", Whole(1, 16), "channel; any when left out"),
        Field("send", Text("a command", 300, r"^/\S+$"), "address of the command"),
        Field("arguments", ListOf(_Value(), 0, 8), "arguments of the command"),
        Field("mode", Choice(("press", "toggle", "hold", "fader")), "what pressing means"),
        Field("low", _LEVEL, "value of a fader at 0"),
        Field("high", _LEVEL, "value of a fader at 127"),
    ),
)
_FILE = Record("mapping file", _MappingFile, (Field("mappings", ListOf(MAPPING, 0, 512), "the mappings"),))


def read_map(path: Path) -> tuple[MidiMapping, ...]:
    """The mappings of a file. Raises TemplateError with file:line:column."""
    return _checked(read_yaml(path))


def parse_map(text: str, file: str) -> tuple[MidiMapping, ...]:
    """The mappings of a text; `file` is its name in messages."""
    return _checked(parse_yaml(text, file))


def _checked(root: YamlNode) -> tuple[MidiMapping, ...]:
    mappings = _FILE.read(root).mappings
    for index, mapping in enumerate(mappings):
        sample = mapping.sample()
        try:
            parse(sample.address, sample.arguments)
        except UsageError as exc:
            raise root.at("mappings", index, "send").error(str(exc)) from None
    return mappings


@dataclass(slots=True)
class MidiMap:
    """Mappings with the state of their toggles."""

    mappings: tuple[MidiMapping, ...]
    _on: dict[int, bool] = field(default_factory=dict)
    _strips: dict[int, tuple[Strip, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, mapping in enumerate(self.mappings):
            command, values = find_command(mapping.send)
            if command.strip is not None and mapping.mode == "toggle":
                self._strips[index] = (command.strip, str(values["name"]))

    def translate(self, message: MidiInput) -> list[Message]:
        """The commands that a MIDI message means."""
        found: list[Message] = []
        for index, mapping in enumerate(self.mappings):
            if not mapping.hears(message):
                continue
            pressed = message.value > 0 if mapping.on == "note" else message.value >= PRESSED_FROM
            value: tuple[OscValue, ...] = ()
            if mapping.mode == "fader":
                value = (mapping.low + (mapping.high - mapping.low) * message.value / 127.0,)
            elif mapping.mode == "hold":
                value = (int(pressed),)
            elif not pressed:
                continue
            elif mapping.mode == "toggle":
                self._on[index] = not self._on.get(index, False)
                value = (int(self._on[index]),)
            elif mapping.send == CANCEL and not mapping.arguments:
                value = (1.0,)  # a press that says so: a pad sends no release here that could be taken for one
            found.append(Message(mapping.send, (*mapping.arguments, *value)))
        return found

    def follow(self, change: MixerChange, carries: Carries) -> None:
        """Toggles take over a value that came from elsewhere, so that the next press does what the user expects."""
        for index, (strip, name) in self._strips.items():
            if strip.parameter == change.parameter and carries(strip.kind, name, change.channel):
                self._on[index] = change.value >= 0.5


def learned(message: MidiInput, send: str, arguments: Iterable[OscValue], mode: Mode, **levels: float) -> MidiMapping:
    """The mapping for a message that was just played. Raises UsageError when the command is none."""
    mapping = MidiMapping(
        on=message.event,
        number=message.number,
        channel=message.channel,
        send=send,
        arguments=tuple(arguments),
        mode=mode,
        **levels,
    )
    sample = mapping.sample()
    parse(sample.address, sample.arguments)
    return mapping


def append_to(path: Path, mapping: MidiMapping) -> None:
    """Add a mapping at the end of a file, which is made when it does not exist; the rest stays as it is."""
    text = read_yaml_text(path) if path.exists() else HEADER
    if path.exists():
        read_map(path)
    addition = "  - " + _flow(MAPPING.dump(mapping)) + "\n"
    changed = text.rstrip("\n") + "\n" + addition
    try:
        parse_map(changed, str(path))
    except TemplateError as exc:
        raise TemplateError(
            f"a line cannot be added at the end of this file; add it yourself: {addition.strip()}", path=path
        ) from exc
    write_atomic(path, changed)


def _flow(data: object) -> str:
    """A plain value as one line of YAML; JSON is YAML."""
    import json

    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in data.items() if value is not None) + "}"
    return json.dumps(data, ensure_ascii=False)
