"""The MDX23C models of the catalog: rows, and how each is run, from the configs that are published with them."""

from __future__ import annotations

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig
from daw_bridge.separation.model_info import Licence, ModelInfo, Score, WeightFile

_HUB = "https://huggingface.co"
_LICENCE = "unclear: the maker's repository is gone; CC-BY-NC-SA or none at all"
_TEST = "whole-song SDR, MSST's drum separation test, mean over songs, dB"
_LIST = "the MSST project's list of pretrained models"

FIVE = ("kick", "snare", "toms", "hh", "cymbals")
SIX_PIECES = ("kick", "snare", "toms", "hh", "ride", "crash")

SETTINGS: dict[str, Settings[Mdx23cConfig]] = {
    "drumsep5": Settings(network=Mdx23cConfig(stems=5), stems=FIVE, chunk_samples=523_776, overlaps=4),
    "drumsep6": Settings(network=Mdx23cConfig(stems=6), stems=SIX_PIECES, chunk_samples=130_560, overlaps=4),
}

MODELS = (
    ModelInfo(
        name="drumsep5",
        family="mdx23c",
        stems=FIVE,
        task="kit",
        summary="drums into kick, snare, toms, hi-hat and cymbals; give it drums, in a chain",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source="none found where the weights are published (November 2026)",
        asks_for_licence=True,
        weights_from="a mirror on the Hugging Face hub (xavriley/source_separation_mirror)",
        size_mb=438,
        speed="very slow",
        segment_s=11.9,
        memory_gb_per_segment=1.1,
        gflop_per_s=480.0,
        cpu_s_per_s=12.8,
        score=Score(
            average_db=10.18,
            stems_db=(("kick", 16.66), ("snare", 11.53), ("toms", 12.33), ("hh", 4.04), ("cymbals", 6.36)),
            protocol=_TEST,
            source=_LIST,
        ),
        files=(
            WeightFile(
                name="drumsep_5stems_mdx23c_jarredou.ckpt",
                urls=(
                    f"{_HUB}/xavriley/source_separation_mirror/resolve/main/drumsep_5stems_mdx23c_jarredou.ckpt",
                    "https://github.com/jarredou/models/releases/download/DrumSep/drumsep_5stems_mdx23c_jarredou.ckpt",
                ),
                size_bytes=438_000_000,
                sha256="1f8e636fb674b88a52c8399fde9a4ebe2b72b065ca07eed4e03ab1c9f0bfb2e0",
            ),
        ),
    ),
    ModelInfo(
        name="drumsep6",
        family="mdx23c",
        stems=SIX_PIECES,
        task="kit",
        summary="drums into kick, snare, toms, hi-hat, ride and crash; give it drums, in a chain",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source="none found where the weights are published (November 2026)",
        asks_for_licence=True,
        weights_from="a mirror on the Hugging Face hub (Sucial/MSST-WebUI)",
        size_mb=438,
        speed="very slow",
        segment_s=3.0,
        memory_gb_per_segment=0.5,
        gflop_per_s=480.0,
        cpu_s_per_s=12.8,
        score=Score(
            average_db=8.85,
            stems_db=(("kick", 14.54), ("snare", 9.79), ("toms", 10.63), ("hh", 3.19), ("cymbals", 6.08)),
            protocol=_TEST,
            source=_LIST,
        ),
        files=(
            WeightFile(
                name="aufr33-jarredou_DrumSep_model_mdx23c_ep_141_sdr_10.8059.ckpt",
                urls=(
                    f"{_HUB}/Sucial/MSST-WebUI/resolve/main/All_Models/multi_stem_models/"
                    "aufr33-jarredou_DrumSep_model_mdx23c_ep_141_sdr_10.8059.ckpt",
                    "https://github.com/jarredou/models/releases/download/aufr33-jarredou_MDX23C_DrumSep_model_v0.1/"
                    "aufr33-jarredou_DrumSep_model_mdx23c_ep_141_sdr_10.8059.ckpt",
                ),
                size_bytes=438_000_000,
                sha256="d2a4aa53eb584d21eead358a4e66d1882ad182911be018f052b5da73be9096d0",
            ),
        ),
        notes=("its score for cymbals counts ride and crash together",),
    ),
)
