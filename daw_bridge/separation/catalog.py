"""Every model by name. Data and look-up, no torch."""

from __future__ import annotations

from daw_bridge.errors import ModelError, did_you_mean
from daw_bridge.separation.families.band_split import models as band_split
from daw_bridge.separation.families.bsrnn import models as bsrnn
from daw_bridge.separation.families.demucs import models as demucs
from daw_bridge.separation.model_info import ModelInfo

CATALOG: dict[str, ModelInfo] = {info.name: info for info in (*demucs.MODELS, *bsrnn.MODELS, *band_split.MODELS)}
"""Name -> model, in the order of preference for a listing."""


def model_info(name: str) -> ModelInfo:
    """The model of that name; ModelError with the nearest name otherwise."""
    info = CATALOG.get(name)
    if info is None:
        raise ModelError(f"no model called {name!r}{did_you_mean(name, CATALOG)}; known: {', '.join(CATALOG)}")
    return info
