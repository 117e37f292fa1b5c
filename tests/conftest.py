"""Shared fixtures: where the developers' shared folder is, and visible skips for what this machine lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Tests run beside other work; how long one example takes says nothing about the code.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture
def shared_dir() -> Path:
    """The developers' shared folder; the test skips visibly where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no shared folder beside the checkout")
    return SHARED
