"""The SCNets of the catalog: rows, and how each is run, from the configs that are published with them."""

from __future__ import annotations

from dataclasses import replace

from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.scnet.config import ScnetConfig
from daw_bridge.separation.model_info import FOUR, Licence, ModelInfo, WeightFile, whole_song_score

_RELEASES = "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download"
_MIRROR = "https://huggingface.co/baicai1145/pymss/resolve/main"
_NOTES = "the MSST project's list of pretrained models"
_LICENCE = "none stated; trained on MUSDB18-HQ alone, whose songs are for non-commercial use"

_XL = ScnetConfig(
    dims=(4, 64, 128, 256),
    band_shares=(0.23, 0.37, 0.4),
    band_strides=(1, 4, 4),
    band_kernels=(3, 4, 4),
    conv_depths=(3, 3, 3),
    dual_path_layers=8,
)

SETTINGS: dict[str, Settings[ScnetConfig]] = {
    "scnet_xl_ihf": Settings(network=_XL, stems=FOUR, chunk_samples=485_100, overlaps=4),
    "scnet_masked_xl": Settings(network=replace(_XL, masked=True), stems=FOUR, chunk_samples=485_100, overlaps=4),
}

MODELS = (
    ModelInfo(
        name="scnet_xl_ihf",
        family="scnet",
        stems=FOUR,
        summary="four stems by SCNet XL, the best published MUSDB figures of a single open network here",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source="MSST issue 245 asks for it, unanswered",
        asks_for_licence=True,
        weights_from="releases of the MSST project (v1.0.15)",
        size_mb=214,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.2,
        gflop_per_s=1100.0,
        cpu_s_per_s=28.2,
        score=whole_song_score(10.08, (("bass", 9.23), ("drums", 11.81), ("vocals", 11.42), ("other", 7.88)), _NOTES),
        files=(
            WeightFile(
                name="model_scnet_ep_36_sdr_10.0891.ckpt",
                urls=(
                    f"{_RELEASES}/v1.0.15/model_scnet_ep_36_sdr_10.0891.ckpt",
                    f"{_MIRROR}/music_stems/four_stem/model_scnet_ep_36_sdr_10.0891.ckpt",
                ),
                size_bytes=214_000_000,
                sha256="ac25975f0f5704f3d1a3c3c251505b7a0f417a22eafe82773440ee4f7e14b74f",
            ),
        ),
    ),
    ModelInfo(
        name="scnet_masked_xl",
        family="scnet",
        stems=FOUR,
        summary="four stems by masks of SCNet XL: nothing is in a stem that is not in the mix",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source="MSST issue 245 asks for it, unanswered",
        asks_for_licence=True,
        weights_from="releases of the MSST project (v1.0.17)",
        size_mb=214,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.2,
        gflop_per_s=1100.0,
        cpu_s_per_s=28.2,
        score=whole_song_score(9.82, (), _NOTES),
        files=(
            WeightFile(
                name="model_scnet_masked_ep_111_sdr_9.8286.ckpt",
                urls=(f"{_RELEASES}/v1.0.17/model_scnet_masked_ep_111_sdr_9.8286.ckpt",),
                size_bytes=214_000_000,
                sha256="b4675b0269809de27172a050e8767a857077635eda1738db0874d63a79f2b6dd",
            ),
        ),
    ),
)
