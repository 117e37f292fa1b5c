"""The keys of a profile and the operations as Markdown, for docs/osc-profiles.md."""

from __future__ import annotations

from daw_bridge_osc.operations import OPERATIONS
from daw_bridge_osc.profile_file import PROFILE
from tests.record_tree import records_of


def profile_reference() -> str:
    """All records of a profile with their keys, then the operations with their arguments."""
    lines: list[str] = []
    for record in records_of(PROFILE):
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
