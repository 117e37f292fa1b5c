"""The records of a table of YAML, for the pages of documentation that are made from them."""

from __future__ import annotations

from typing import Any

from daw_bridge.templates.yaml_table import Kind, ListOf, MapOf, NamedMap, Record, Tagged


def records_of(root: Record[Any]) -> list[Record[Any]]:
    """A record and those below it, each once, in the order of first use."""
    seen: dict[str, Record[Any]] = {}
    waiting = [root]
    while waiting:
        record = waiting.pop(0)
        if record.title not in seen:
            seen[record.title] = record
            waiting += [below for each in record.fields for below in _records_in(each.kind)]
    return list(seen.values())


def _records_in(kind: Kind) -> list[Record[Any]]:
    match kind:
        case Record():
            return [kind]
        case ListOf():
            return _records_in(kind.item)
        case NamedMap():
            return _records_in(kind.value)
        case MapOf():
            return [kind.record]
        case Tagged():
            return list(kind.choices.values())
        case _:
            return []
