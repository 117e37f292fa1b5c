"""Rows of the catalog."""

from __future__ import annotations

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.scnet.config import ScnetConfig
from daw_bridge.separation.model_info import ModelInfo

SETTINGS: dict[str, Settings[ScnetConfig]] = {}
MODELS: tuple[ModelInfo, ...] = ()
