"""Rows of the catalog."""

from __future__ import annotations

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig
from daw_bridge.separation.model_info import ModelInfo

SETTINGS: dict[str, Settings[Mdx23cConfig]] = {}
MODELS: tuple[ModelInfo, ...] = ()
