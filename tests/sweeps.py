"""Long sweeps: a few values in `make test`, the others under the marker `sweep`, which CI runs after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

ALL = bool(os.environ.get("DAW_BRIDGE_SWEEPS"))
"""`make sweeps`: more drawn examples too."""


def sweep(few: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
    """Values for `parametrize`, those of `rest` marked."""
    return [
        *few,
        *(pytest.param(*(each if isinstance(each, tuple) else (each,)), marks=pytest.mark.sweep) for each in rest),
    ]
