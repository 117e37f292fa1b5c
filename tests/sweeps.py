"""How much of a sweep is run: a few values in the plain test run, all of them in `make sweeps`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

ALL = bool(os.environ.get("DAW_BRIDGE_SWEEPS"))


def sweep(few: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
    """The values to try now."""
    return [*few, *rest] if ALL else list(few)
