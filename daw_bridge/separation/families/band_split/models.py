"""The bundled model: a row of the catalog."""

from __future__ import annotations

from daw_bridge.separation.model_info import FOUR, Licence, ModelInfo

MODELS = (
    ModelInfo(
        name="preview",
        family="band_split",
        stems=FOUR,
        summary="bundled with the program: works offline at once, causal, real time; a sketch, not for production",
        licence="MIT, as the program",
        licence_class=Licence.CLEAR,
        licence_source="docs/preview-model-card.md, with all that it was trained on",
        weights_from="inside the package",
        size_mb=8,
        bundled=True,
        speed="realtime",
        segment_s=0.0,
        memory_gb_per_segment=0.25,
        gflop_per_s=2.0,
        latency_ms=23.2,
        notes=(
            "trained on little free data: hear the arrangement with it, make records with htdemucs_ft",
            "a whole song's low end is shared out once more by what comes next; live, that is not known yet",
        ),
    ),
)
