"""Messages with placeholders, `[/track/{track}/volume, "f:{value}"]`: filled to send, matched to understand reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.osc import Message, OscValue
from daw_bridge.templates.yaml_nodes import YamlNode
from daw_bridge.templates.yaml_table import JsonSchema

Env = Mapping[str, float | int | bool | str]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_TYPED = re.compile(r"([ifshdTFN]):(.*)", re.DOTALL)
ANYTHING = "*"


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """An address and arguments as (type tag, text); `node` is where it stands, for errors."""

    address: str
    arguments: tuple[tuple[str, str], ...]
    node: YamlNode

    @property
    def placeholders(self) -> set[str]:
        texts = [self.address, *(text for _, text in self.arguments)]
        return {name for text in texts for name in _PLACEHOLDER.findall(text)}

    def fill(self, env: Env) -> Message:
        """The message with every placeholder replaced. Raises UsageError when a value does not fit its type."""
        values: list[OscValue] = []
        tags = ""
        for tag, text in self.arguments:
            filled = _fill(text, env)
            tags += tag
            try:
                values.append(_typed(tag, filled))
            except ValueError as exc:
                raise UsageError(f"{self.address}: {filled!r} cannot be sent as the OSC type {tag!r}") from exc
        return Message(_fill(self.address, env, in_address=True), tuple(values), tags)

    def check(self, allowed: set[str]) -> None:
        """TemplateError for a placeholder that the operation does not have."""
        for name in sorted(self.placeholders):
            if name not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                raise self.node.error(f"unknown placeholder {{{name}}}{did_you_mean(name, allowed)}; known: {known}")


@dataclass(frozen=True, slots=True)
class FeedbackPattern:
    """What a DAW reports: an address with placeholders, and what each argument means (`*`: nothing to us)."""

    address: str
    arguments: tuple[str, ...]
    node: YamlNode

    def match(self, message: Message) -> dict[str, OscValue] | None:
        """The values of the placeholders, None when the message is another one."""
        found = _address_pattern(self.address).fullmatch(message.address)
        if not found or len(message.arguments) != len(self.arguments):
            return None
        values: dict[str, OscValue] = {name: int(text) for name, text in found.groupdict().items()}
        for expected, value in zip(self.arguments, message.arguments, strict=False):
            name = expected[1:-1] if expected.startswith("{") else ""
            if name:
                values[name] = value
            elif expected not in (ANYTHING, str(value)):
                return None
        return values

    def check(self, allowed: set[str]) -> None:
        for name in _PLACEHOLDER.findall(" ".join((self.address, *self.arguments))):
            if name not in allowed:
                raise self.node.error(f"unknown placeholder {{{name}}}{did_you_mean(name, allowed)}")


@cache
def _address_pattern(address: str) -> re.Pattern[str]:
    numbered = re.escape(address).replace(r"\{track\}", r"(?P<track>\d+)").replace(r"\{send\}", r"(?P<send>\d+)")
    return re.compile(numbered)


def _fill(text: str, env: Env, *, in_address: bool = False) -> str:
    def replaced(found: re.Match[str]) -> str:
        value = env[found[1]]
        if isinstance(value, float) and (in_address or value.is_integer()):
            return str(int(value))
        return str(int(value)) if isinstance(value, bool) else str(value)

    return _PLACEHOLDER.sub(replaced, text)


def _typed(tag: str, text: str) -> OscValue:
    if tag in "ih":
        return round(float(text))
    if tag in "fd":
        return float(text)
    return {"T": True, "F": False, "N": None}.get(tag, text)


def _read_argument(node: YamlNode) -> tuple[str, str]:
    if node.is_number():
        number = node.number()
        return ("i", str(int(number))) if number.is_integer() and "." not in str(node.raw.value) else ("f", str(number))
    typed = _TYPED.fullmatch(node.text())
    if not typed:
        raise node.error(f"{node.text()!r}: say the OSC type first, as in 'f:{{value}}' (i, f, s, h, d, T, F, N)")
    tag, text = typed[1], typed[2]
    if not _PLACEHOLDER.search(text):
        try:
            _typed(tag, text)
        except ValueError:
            raise node.error(f"{text!r} is no value of the OSC type {tag!r}") from None
    return tag, text


def _read_address(node: YamlNode) -> str:
    address = node.text()
    if not address.startswith(("/", "#")) or re.search(r"[\s*?\[\],]", address):
        raise node.error(f"{address!r} is not an OSC address (begins with /, no blanks and no patterns)")
    return address


@dataclass(frozen=True, slots=True)
class MessageKind:
    """`[/address, "i:{track}", 1, ...]` in a profile."""

    def read(self, node: YamlNode) -> MessageTemplate:
        parts = node.elements()
        if not parts:
            raise node.error("an empty message; write [/address, arguments...]")
        return MessageTemplate(_read_address(parts[0]), tuple(_read_argument(part) for part in parts[1:]), node)

    def dump(self, value: Any) -> object:
        return [value.address, *(f"{tag}:{text}" for tag, text in value.arguments)]

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}}

    def describe(self) -> str:
        return 'message: `[/address, "i:{track}", ...]`'


@dataclass(frozen=True, slots=True)
class PatternKind:
    """`[/address, "{track}", "*", "{value}"]` in a profile."""

    def read(self, node: YamlNode) -> FeedbackPattern:
        parts = node.elements()
        if not parts:
            raise node.error("an empty pattern; write [/address, arguments...]")
        return FeedbackPattern(_read_address(parts[0]), tuple(_as_text(part) for part in parts[1:]), node)

    def dump(self, value: Any) -> object:
        return [value.address, *value.arguments]

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}}

    def describe(self) -> str:
        return 'pattern: `[/address, "{track}", "{value}"]`'


def _as_text(node: YamlNode) -> str:
    return str(node.plain()) if node.is_number() else node.text()
