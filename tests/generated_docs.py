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
    text = path.read_text("utf-8")
    pattern = re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    found = pattern.search(text)
    assert found, f"{file} has no section {name!r}"
    wanted = f"\n{expected.strip()}\n\n"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(pattern.sub(lambda match: match[1] + wanted + match[3], text), "utf-8")
        return
    assert found[2] == wanted, f"docs/{file} is stale; run: UPDATE_DOCS=1 python -m pytest tests -k generated"
