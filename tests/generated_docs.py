"""Sections of the documentation that are made by the program. A test fails when they are stale.

To bring them up to date: `UPDATE_DOCS=1 python -m pytest tests -k generated`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def check_section(file: str, name: str, expected: str) -> None:
    """Compare what stands between `<!-- generated: name -->` and `<!-- end -->` in a file of docs/."""
    path = DOCS / file
    found = section(file, name)
    wanted = f"\n{expected.strip()}\n\n"
    if os.environ.get("UPDATE_DOCS"):
        text = path.read_text("utf-8")
        path.write_text(_pattern(name).sub(lambda match: match[1] + wanted + match[3], text), "utf-8")
        return
    assert found == wanted, f"docs/{file} is stale; run: UPDATE_DOCS=1 python -m pytest tests -k generated"


def section(file: str, name: str) -> str:
    """What stands there now."""
    found = _pattern(name).search((DOCS / file).read_text("utf-8"))
    assert found, f"{file} has no section {name!r}"
    return found[2]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
