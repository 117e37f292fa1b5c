"""The options as Markdown, for docs/separation.md."""

from __future__ import annotations

from typing import Any

from daw_bridge.option import options_of


def options_table(kind: Any) -> str:
    """One row an option: its name and default, its flags, what it does."""
    rows = ["| option | command line | what it does |", "|---|---|---|"]
    for each in options_of(kind):
        named = ", ".join(f"`{flag} {each.metavar}`" for flag in each.flags)
        named = ", ".join(filter(None, [named, *(f"`{flag}`" for flag in each.switches)]))
        rows.append(f"| `{each.name}={each.default!r}` | {named or '-'} | {each.help} |")
    return "\n".join(rows)
