"""Tables that say what a YAML file may hold. One table reads the file, writes it, and makes its JSON Schema and its
documentation, so that these cannot drift apart.

A `Kind` is what may stand in one place. `Record` is the important one: its keys are the fields of a dataclass, and the
defaults are those of that dataclass.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from daw_bridge.errors import all_of, did_you_mean
from daw_bridge.templates.yaml_nodes import YamlNode

JsonSchema = dict[str, object]
T = TypeVar("T")

NAME_PATTERN = (
    r"^[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]*"
    r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff])?(?![\s\S])"
)
"""One line without control characters and without blanks at its ends (both Python and ECMA 262 read it the same)."""


class Kind(Protocol):
    """What may stand in one place of the file."""

    def read(self, node: YamlNode) -> Any:
        """The value; TemplateError when something else stands there."""
        ...

    def dump(self, value: Any) -> object:
        """The plain value that `read` would turn into `value`."""
        ...

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        """The JSON Schema (draft 2020-12); records put themselves into `definitions`."""
        ...

    def describe(self) -> str:
        """For the documentation, as in `number from 0 to 1`."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from `low` to `high`."""

    low: float
    high: float

    def read(self, node: YamlNode) -> float:
        value = node.number()
        if not self.low <= value <= self.high:
            raise node.error(f"{node.describe()} is out of range; allowed: {self.low:g} to {self.high:g}")
        return value

    def dump(self, value: Any) -> object:
        return float(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def describe(self) -> str:
        return f"number, {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def read(self, node: YamlNode) -> int:
        value = node.whole()
        if not self.low <= value <= self.high:
            raise node.error(f"{node.describe()} is out of range; allowed: {self.low} to {self.high}")
        return value

    def dump(self, value: Any) -> object:
        return int(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def describe(self) -> str:
        return f"whole number, {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""

    def read(self, node: YamlNode) -> bool:
        return node.flag()

    def dump(self, value: Any) -> object:
        return bool(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"type": "boolean"}

    def describe(self) -> str:
        return "`true` or `false`"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, node: YamlNode) -> str:
        value = node.text()
        if value not in self.words:
            raise node.error(f"{value!r} is not one of {', '.join(self.words)}{did_you_mean(value, self.words)}")
        return value

    def dump(self, value: Any) -> object:
        return str(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        return {"enum": list(self.words)}

    def describe(self) -> str:
        return " or ".join(f"`{word}`" for word in self.words)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of at most `limit` characters that matches `pattern` as a whole; `what` is what people call it."""

    what: str
    limit: int = 64
    pattern: str | None = NAME_PATTERN

    def read(self, node: YamlNode) -> str:
        value = node.text()
        if not value:
            raise node.error(f"expected {self.what}, found an empty text")
        if len(value) > self.limit:
            raise node.error(f"{len(value)} characters are too many; allowed: {self.limit}")
        if self.pattern and not re.match(self.pattern, value):
            raise node.error(f"{value!r} is not {self.what}")
        return value

    def dump(self, value: Any) -> object:
        return str(value)

    def schema(self, definitions: JsonSchema) -> JsonSchema:  # noqa: ARG002
        pattern: JsonSchema = {"pattern": self.pattern} if self.pattern else {}
        return {"type": "string", "minLength": 1, "maxLength": self.limit} | pattern

    def describe(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `low` to `high` items, as a tuple."""

    item: Kind
    low: int = 0
    high: int = 64

    def read(self, node: YamlNode) -> tuple[Any, ...]:
        items = node.elements()
        if not self.low <= len(items) <= self.high:
            raise node.error(f"{len(items)} items; allowed: {self.low} to {self.high}")
        return tuple(all_of(partial(self.item.read, item) for item in items))

    def dump(self, value: Any) -> object:
        return [self.item.dump(item) for item in value]

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        items = self.item.schema(definitions)
        return {"type": "array", "items": items, "minItems": self.low, "maxItems": self.high}

    def describe(self) -> str:
        return f"list; each {self.item.describe()}"


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a record: what may stand there and what it means."""

    key: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """Keys with values that make one `build` (a dataclass whose fields have the keys' names).

    `fixed` are fields that the place decides and no key. Of each group in `one_of` exactly one key must be there, of
    each in `at_most_one` not more. A key in `same_as` that is left out takes the value of the
    other. `hints` are sentences for keys that people try but that cannot be here.
    """

    title: str
    build: Callable[..., T]
    fields: tuple[Field, ...]
    fixed: Mapping[str, object] = field(default_factory=dict)
    one_of: tuple[tuple[str, ...], ...] = ()
    at_most_one: tuple[tuple[str, ...], ...] = ()
    same_as: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: YamlNode, **given: object) -> T:
        values = dict(all_of(partial(self._entry, *entry) for entry in node.items()))
        for key in self.required():
            if key not in values:
                raise node.error(f"{self.title} needs the key {key!r}")
        for group in self.one_of + self.at_most_one:
            present = [key for key in group if key in values]
            if len(present) > 1:
                raise node.error(f"{self.title} takes only one of {' and '.join(present)}")
            if not present and group in self.one_of:
                raise node.error(f"{self.title} needs one of the keys {' or '.join(group)}")
        for key, other in self.same_as.items():
            if other in values:
                values.setdefault(key, values[other])
        return self.build(**self.fixed, **given, **values)

    def _entry(self, key_node: YamlNode, key: str, value: YamlNode) -> tuple[str, object]:
        known = {each.key: each for each in self.fields}
        if key not in known:
            hint = f"; {self.hints[key]}" if key in self.hints else did_you_mean(key, known)
            raise key_node.error(f"unknown key {key!r} in {self.title}{hint}")
        return key, known[key].kind.read(value)

    def dump(self, value: Any) -> object:
        defaults = {key: content for key, content in self.defaults().items() if key not in self.same_as}
        pairs = ((each.key, each.kind, getattr(value, each.key)) for each in self.fields)
        return {
            key: kind.dump(content) for key, kind, content in pairs if key not in defaults or content != defaults[key]
        }

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        if self.title not in definitions:
            definitions[self.title] = {}  # holds the place in the order of first use
            definitions[self.title] = self._own_schema(definitions)
        return {"$ref": f"#/$defs/{self.title.replace(' ', '%20')}"}

    def _own_schema(self, definitions: JsonSchema) -> JsonSchema:
        defaults = self.defaults()
        properties: JsonSchema = {}
        for each in self.fields:
            content = each.kind.schema(definitions) | {"description": each.meaning}
            if each.key not in self.same_as and isinstance(defaults.get(each.key), bool | int | float | str):
                content["default"] = defaults[each.key]
            properties[each.key] = content
        rules: list[object] = [{"oneOf": [{"required": [key]} for key in group]} for group in self.one_of]
        rules += [{"not": {"required": list(group)}} for group in self.at_most_one]
        return (
            {"type": "object", "properties": properties, "additionalProperties": False}
            | ({"required": self.required()} if self.required() else {})
            | ({"allOf": rules} if rules else {})
        )

    def describe(self) -> str:
        return f"[{self.title}](#{self.title.replace(' ', '-')})"

    def defaults(self) -> dict[str, object]:
        """The values of keys that may be left out, from the dataclass."""
        found: dict[str, object] = {}
        for item in dataclasses.fields(self.build):  # type: ignore[arg-type]
            if item.default is not dataclasses.MISSING:
                found[item.name] = item.default
            elif item.default_factory is not dataclasses.MISSING:
                found[item.name] = item.default_factory()
        return found

    def required(self) -> list[str]:
        """The keys that must be there."""
        defaults = self.defaults()
        return [each.key for each in self.fields if each.key not in defaults]


@dataclass(frozen=True, slots=True)
class MapOf:
    """Names with a record each, as a tuple of the records, whose field `name` is the key."""

    name: Text
    record: Record[Any]
    high: int = 64

    def read(self, node: YamlNode) -> tuple[Any, ...]:
        items = node.items()
        if len(items) > self.high:
            raise node.error(f"{len(items)} entries; allowed: {self.high}")
        return tuple(all_of(partial(self._entry, *entry) for entry in items))

    def _entry(self, key_node: YamlNode, key: str, value: YamlNode) -> object:
        return self.record.read(value, name=self._name(key_node, key))

    def _name(self, node: YamlNode, key: str) -> str:
        if len(key) > self.name.limit or not re.match(self.name.pattern or "", key):
            raise node.error(f"{key[:80]!r} is not {self.name.what} (one line, at most {self.name.limit} characters)")
        return key

    def dump(self, value: Any) -> object:
        return {item.name: self.record.dump(item) for item in value}

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        return {
            "type": "object",
            "propertyNames": {"pattern": self.name.pattern, "maxLength": self.name.limit},
            "additionalProperties": self.record.schema(definitions),
            "maxProperties": self.high,
        }

    def describe(self) -> str:
        return f"names, each with {self.record.describe()}"


@dataclass(frozen=True, slots=True)
class NamedMap:
    """Known names with one value each, as a dict."""

    what: str
    names: tuple[str, ...]
    value: Kind

    def read(self, node: YamlNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, key, value in node.items():
            if key not in self.names:
                known = did_you_mean(key, self.names) or f"; known: {', '.join(self.names)}"
                raise key_node.error(f"unknown {self.what} {key!r}{known}")
            found[key] = self.value.read(value)
        return found

    def dump(self, value: Any) -> object:
        return {key: self.value.dump(item) for key, item in value.items()}

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        inner = self.value.schema(definitions)
        return {"type": "object", "properties": dict.fromkeys(self.names, inner), "additionalProperties": False}

    def describe(self) -> str:
        return f"{self.what}s, each with {self.value.describe()}"


@dataclass(frozen=True, slots=True)
class Tagged:
    """Exactly one key that says what the record below it is, as in `compressor: {...}`."""

    what: str
    choices: Mapping[str, Record[Any]]
    tag_of: Callable[[Any], str]
    hints: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: YamlNode) -> Any:
        items = node.items()
        if len(items) != 1:
            found = ", ".join(key for _, key, _ in items) or "none"
            raise node.error(f"expected one {self.what}, found {found}; begin each with its own '- '")
        key_node, key, value = items[0]
        if key not in self.choices:
            known = f"; known: {', '.join(self.choices)}"
            hint = f"; {self.hints[key]}" if key in self.hints else did_you_mean(key, self.choices) or known
            raise key_node.error(f"unknown {self.what} {key!r}{hint}")
        return self.choices[key].read(value)

    def dump(self, value: Any) -> object:
        tag = self.tag_of(value)
        return {tag: self.choices[tag].dump(value)}

    def schema(self, definitions: JsonSchema) -> JsonSchema:
        return {
            "type": "object",
            "properties": {key: record.schema(definitions) for key, record in self.choices.items()},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }

    def describe(self) -> str:
        return f"one {self.what}: " + ", ".join(f"`{key}`" for key in self.choices)
