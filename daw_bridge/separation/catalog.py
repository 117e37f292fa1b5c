"""Every model by name. Data and look-up, no torch."""

from __future__ import annotations

from daw_bridge.errors import ModelError, did_you_mean
from daw_bridge.separation.families.own import described, own_models
from daw_bridge.separation.families.table import FAMILIES
from daw_bridge.separation.model_info import ModelInfo
from daw_bridge.separation.options import SeparationOptions

CATALOG: dict[str, ModelInfo] = {info.name: info for family in FAMILIES.values() for info in family.models}
"""Name -> model, in the order of preference for a listing."""


def all_models() -> dict[str, ModelInfo]:
    """The catalog and the user's own models."""
    return {**CATALOG, **own_models()}


def model_info(name: str) -> ModelInfo:
    """The model of that name, listed or the user's own; ModelError with the nearest name otherwise."""
    info = CATALOG.get(name)
    if info is not None:
        return info
    known = all_models()
    if name not in known:
        raise ModelError(f"no model called {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    return known[name]


def chosen_model(options: SeparationOptions) -> ModelInfo:
    """The model that the options ask for: the checkpoint that they name, else the one of that name."""
    if options.checkpoint is not None and options.config is not None:
        return described(options.model, options.checkpoint, options.config)
    return model_info(options.model)
