"""Every model by name. Data and look-up, no torch."""

from __future__ import annotations

from daw_bridge.errors import ModelError, did_you_mean
from daw_bridge.separation.families.table import FAMILIES
from daw_bridge.separation.model_info import ModelInfo

CATALOG: dict[str, ModelInfo] = {info.name: info for family in FAMILIES.values() for info in family.models}
"""Name -> model, in the order of preference for a listing."""


def model_info(name: str) -> ModelInfo:
    """The model of that name; ModelError with the nearest name otherwise."""
    info = CATALOG.get(name)
    if info is None:
        raise ModelError(f"no model called {name!r}{did_you_mean(name, CATALOG)}; known: {', '.join(CATALOG)}")
    return info
