"""YAML as nodes that know their line and column: the one way in for bus templates, OSC profiles and MIDI mappings.

PyYAML's usual loading follows YAML 1.1: `ratio: 4:1` becomes 241, `name: NO` becomes False, `gain_db: -.5` becomes a
text, and of two equal keys the last wins silently. So only its scanner and composer are used here. Scalars are read by
the core schema of YAML 1.2.2 (section 10.3.2, decimal numbers only), repeated keys and tags are refused, and an error
says file:line:column. Nothing is constructed, and a file cannot grow while it is read: size, depth and the number of
nodes with all aliases written out are limited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NoReturn

import yaml

from daw_bridge.errors import TemplateError
from daw_bridge.files import open_regular

MAX_BYTES = 262_144
MAX_DEPTH = 24
MAX_NODES = 20_000

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A value with its place in the file. The readers return plain values or raise TemplateError with that place."""

    raw: yaml.Node
    file: str

    def error(self, message: str) -> TemplateError:
        """`message` as an error at this node."""
        mark = self.raw.start_mark
        return TemplateError(message, path=self.file, line=mark.line + 1, column=mark.column + 1)

    @property
    def line(self) -> int:
        """The line in the file, from 1."""
        return int(self.raw.start_mark.line) + 1

    def items(self) -> list[tuple[YamlNode, str, YamlNode]]:
        """Key node, key and value of a mapping, in the order of the file; repeated keys are refused."""
        if not isinstance(self.raw, yaml.MappingNode):
            raise self.error(f"expected keys with values, found {self.describe()}")
        found: dict[str, tuple[YamlNode, str, YamlNode]] = {}
        for raw_key, raw_value in self.raw.value:
            node = YamlNode(raw_key, self.file)
            key = node._key()
            if key in found:
                raise node.error(f"key {key!r} is given twice, first in line {found[key][0].line}")
            found[key] = (node, key, YamlNode(raw_value, self.file))
        return list(found.values())

    def elements(self) -> list[YamlNode]:
        """The items of a list."""
        if not isinstance(self.raw, yaml.SequenceNode):
            raise self.error(f"expected a list, found {self.describe()}")
        return [YamlNode(item, self.file) for item in self.raw.value]

    def text(self) -> str:
        """A text; numbers, true, false and nothing must stand in quotes to be one."""
        value = self._scalar()
        if not isinstance(value, str):
            quotes = "" if value is None else "; write it in quotes if it is meant as text"
            raise self.error(f"expected a text, found {self.describe()}{quotes}")
        return value

    def number(self) -> float:
        """A finite decimal number."""
        value = self._scalar()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"expected a number, found {self.describe()}")
        if not math.isfinite(value):
            raise self.error(f"expected a finite number, found {self.describe()}")
        return float(value)

    def whole(self) -> int:
        """A whole number."""
        value = self._scalar()
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"expected a whole number, found {self.describe()}")
        return value

    def flag(self) -> bool:
        """`true` or `false`."""
        value = self._scalar()
        if not isinstance(value, bool):
            raise self.error(f"expected true or false, found {self.describe()}")
        return value

    def is_number(self) -> bool:
        """Whether `number` would succeed."""
        value = self._scalar()
        return isinstance(value, int | float) and not isinstance(value, bool)

    def has_keys(self) -> bool:
        """Whether `items` would succeed."""
        return isinstance(self.raw, yaml.MappingNode)

    def at(self, *path: str | int) -> YamlNode:
        """The node at keys and indexes below this one; KeyError when there is none."""
        node = self
        for step in path:
            if isinstance(step, int):
                node = node.elements()[step]
            else:
                node = {key: value for _, key, value in node.items()}[step]
        return node

    def plain(self) -> object:
        """The whole value as dict, list, str, int, float, bool and None, as a YAML 1.2 parser would give it."""
        if isinstance(self.raw, yaml.MappingNode):
            return {key: value.plain() for _, key, value in self.items()}
        if isinstance(self.raw, yaml.SequenceNode):
            return [item.plain() for item in self.elements()]
        return self._scalar()

    def describe(self) -> str:
        """What stands here, for messages."""
        if isinstance(self.raw, yaml.MappingNode):
            return "keys with values"
        if isinstance(self.raw, yaml.SequenceNode):
            return "a list"
        value = self._scalar()
        if value is None:
            return "nothing"
        shown = str(self.raw.value)
        shown = shown if len(shown) <= 40 else shown[:37] + "..."
        return f"the text {shown!r}" if isinstance(value, str) else shown

    def _key(self) -> str:
        if not isinstance(self.raw, yaml.ScalarNode) or self._scalar() is None:
            raise self.error(f"expected a key, found {self.describe()}")
        if self.raw.value == "<<" and self.raw.style is None:
            raise self.error(
                "merge keys (<<) are not understood; write the settings out, or use *name for a whole value"
            )
        return str(self.raw.value)

    def _scalar(self) -> object:
        if not isinstance(self.raw, yaml.ScalarNode):
            return self
        text = str(self.raw.value)
        if self.raw.style is not None:
            return text
        if text in _NULLS:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INTEGER.fullmatch(text) and len(text) <= 40:
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text


def read_yaml(path: Path) -> YamlNode:
    """The root node of a file; TemplateError when it cannot be read, is too large, not UTF-8 or no YAML."""
    return parse_yaml(read_yaml_text(path), str(path))


def read_yaml_text(path: Path) -> str:
    """The text of a YAML file; TemplateError when it cannot be read, is too large or not UTF-8."""
    try:
        with open_regular(path) as handle:
            data = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise TemplateError("no such file", path=path) from None
    except IsADirectoryError:
        raise TemplateError("is a folder; give a YAML file", path=path) from None
    except (OSError, ValueError) as exc:
        raise TemplateError(f"cannot be read ({getattr(exc, 'strerror', None) or exc})", path=path) from exc
    if len(data) > MAX_BYTES:
        raise _too_large(str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        column = exc.start - data.rfind(b"\n", 0, exc.start)
        raise TemplateError("not UTF-8 text; save it as UTF-8", path=path, line=line, column=column) from None


def _too_large(file: str) -> TemplateError:
    return TemplateError(f"larger than {MAX_BYTES // 1024} kB; a file of this kind is smaller", path=file)


def parse_yaml(text: str, file: str, *, list_tags: tuple[str, ...] = ()) -> YamlNode:
    """The root node of a text; `file` is its name in messages. Lists may carry a tag of `list_tags`, to no effect."""
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    return _parsed(text, file, list_tags)


@lru_cache(maxsize=8)  # a batch reads one template for every song, a mixer one profile for every DAW that it opens
def _parsed(text: str, file: str, list_tags: tuple[str, ...]) -> YamlNode:
    try:
        loader = _NodeLoader(text, file, list_tags)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (None, None)
        problem = " ".join(part for part in (exc.context, exc.problem) if part)
        raise TemplateError(f"not valid YAML: {problem}", path=file, line=where[0], column=where[1]) from None
    except yaml.reader.ReaderError as exc:
        before = text[: exc.position]
        line, column = before.count("\n") + 1, exc.position - before.rfind("\n")
        problem = f"the character U+{ord(text[exc.position]):04X} is not allowed in YAML"
        raise TemplateError(problem, path=file, line=line, column=column) from None
    if root is None:
        raise TemplateError("is empty", path=file, line=1, column=1)
    return YamlNode(root, file)


class _NodeLoader(yaml.SafeLoader):
    """Composes nodes only, and stops before a small file can become a large or endless tree."""

    def __init__(self, text: str, file: str, list_tags: tuple[str, ...]) -> None:
        super().__init__(text)
        self._file = file
        self._list_tags = list_tags
        self._depth = 0
        self._written_out: dict[int, tuple[int, int]] = {}  # id(node) -> nodes and depth with aliases written out

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        fail = partial(self._fail, event.start_mark)
        tag = getattr(event, "tag", None)
        if tag is not None and not (tag in self._list_tags and isinstance(event, yaml.SequenceStartEvent)):
            fail(f"tags such as {event.tag!r} are not understood; remove it")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            fail(f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None or isinstance(event, yaml.AliasEvent):
            return node
        nodes, depth = 1, 1
        for child in _children(node):
            if id(child) not in self._written_out:
                fail("contains an alias (*name) to itself")
            below = self._written_out[id(child)]
            nodes, depth = nodes + below[0], max(depth, below[1] + 1)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            fail(f"more than {MAX_NODES} values or {MAX_DEPTH} levels with its aliases (*name) written out")
        self._written_out[id(node)] = (nodes, depth)
        return node

    def _fail(self, mark: yaml.Mark, message: str) -> NoReturn:
        raise TemplateError(message, path=self._file, line=mark.line + 1, column=mark.column + 1)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
