"""The RoFormers of the catalog."""

from __future__ import annotations

from dataclasses import replace

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.roformer.config import RoformerConfig
from daw_bridge.separation.model_info import ModelInfo

KIM = RoformerConfig(dim=384, depth=6, hop_samples=441, mel_band_count=60, mask_hidden_layers=2)
SETTINGS: dict[str, Settings[RoformerConfig]] = {}
MODELS: tuple[ModelInfo, ...] = ()
_ = replace
