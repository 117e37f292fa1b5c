"""The modules of the training recipe, which import each other by bare names as its scripts do."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "train_preview"


def module(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        return importlib.import_module(name)
