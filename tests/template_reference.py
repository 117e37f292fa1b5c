"""The keys of bus templates as Markdown, for docs/templates.md, from the table that the parser uses."""

from __future__ import annotations

from typing import Any

from daw_bridge.templates.table import BANDS, RETURN_EFFECTS, TEMPLATE
from daw_bridge.templates.yaml_table import Field, ListOf, Record
from tests.record_tree import records_of


def template_reference() -> str:
    """All keys with values, defaults and meanings, as Markdown tables: a section for each record."""
    sections = [_section(record) for record in records_of(TEMPLATE)]
    return "\n".join(sections).rstrip() + "\n"


def _section(record: Record[Any]) -> str:
    heading = f"### {record.title}\n"
    tag = next((tag for tag, other in (RETURN_EFFECTS | BANDS).items() if other is record), None)
    written = f"\nWritten as `- {tag}: {{...}}`.\n" if tag else ""
    rules = [f"Exactly one of {_keys(group)}." for group in record.one_of]
    rules += [f"At most one of {_keys(group)}." for group in record.at_most_one]
    rows = "".join(_row(record, each) for each in record.fields)
    text = "\n" + " ".join(rules) + "\n" if rules else ""
    return f"{heading}{written}{text}\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _keys(group: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in group)


def _row(record: Record[Any], each: Field) -> str:
    defaults = record.defaults()
    value = defaults.get(each.key)
    if each.key not in defaults:
        default = "**required**"
    elif each.key in record.same_as:
        default = f"as `{record.same_as[each.key]}`"
    elif isinstance(value, bool):
        default = f"`{str(value).lower()}`"
    elif isinstance(value, int | float):
        default = f"{value:g}"
    else:
        default = f"`{each.kind.dump(value)}`" if value and not isinstance(each.kind, Record | ListOf) else ""
    return f"| `{each.key}` | {each.kind.describe()} | {default} | {each.meaning} |\n"
