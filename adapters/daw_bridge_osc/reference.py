"""The keys of a profile and the operations as Markdown, for docs/osc-profiles.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from daw_bridge.templates.yaml_table import Kind, ListOf, Record, Tagged
from daw_bridge_osc.operations import OPERATIONS
from daw_bridge_osc.profile_file import PROFILE, NamedMap


def profile_reference() -> str:
    """All records of a profile with their keys, then the operations with their arguments."""
    lines: list[str] = []
    for record in _records(PROFILE):
        lines += [f"### {record.title}", "", "| key | value | default | meaning |", "|---|---|---|---|"]
        defaults = record.defaults()
        for each in record.fields:
            default = _plain(defaults[each.key]) if each.key in defaults else "required"
            lines.append(f"| `{each.key}` | {each.kind.describe()} | {default} | {each.meaning} |")
        lines.append("")
    lines += ["### operations by name", "", "| operation | arguments | what it is |", "|---|---|---|"]
    for operation in OPERATIONS.values():
        arguments = ", ".join(f"`{name}` {kind}" for name, kind in operation.arguments.items()) or "none"
        lines.append(f"| `{operation.name}` | {arguments} | {operation.doc} |")
    return "\n".join(lines)


def _plain(value: object) -> str:
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if isinstance(value, (int, str)) else ""


def _records(root: Record[Any]) -> Iterator[Record[Any]]:
    seen: dict[str, Record[Any]] = {}
    waiting: list[Record[Any]] = [root]
    while waiting:
        record = waiting.pop(0)
        if record.title not in seen:
            seen[record.title] = record
            waiting += [below for each in record.fields for below in _below(each.kind)]
    yield from seen.values()


def _below(kind: Kind) -> list[Record[Any]]:
    if isinstance(kind, Record):
        return [kind]
    if isinstance(kind, ListOf):
        return _below(kind.item)
    if isinstance(kind, NamedMap):
        return _below(kind.value)
    return list(kind.choices.values()) if isinstance(kind, Tagged) else []
