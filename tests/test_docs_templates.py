"""docs/templates.md says what the parser does."""

from __future__ import annotations

import re
from pathlib import Path

from daw_bridge.templates.bus_template import parse_template, read_template
from daw_bridge.templates.store import list_templates
from tests.generated_docs import DOCS, check_section
from tests.template_reference import template_reference


def test_generated_tables_of_keys_are_those_of_the_parser() -> None:
    check_section("templates.md", "keys", template_reference())


def test_generated_list_of_shipped_templates_is_complete() -> None:
    rows = [f"| `{each.name}` | {read_template(each.path).description} |" for each in list_templates(Path("no-folder"))]
    check_section("templates.md", "shipped", "| template | what it makes |\n|---|---|\n" + "\n".join(rows))


def test_the_example_is_a_template() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "templates.md").read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        assert parse_template(block, "docs").buses
