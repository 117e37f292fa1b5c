"""The published BSRNN models: rows of the catalog."""

from __future__ import annotations

from daw_bridge.separation.model_info import Licence, ModelInfo, published_score

BSRNN_README = "github.com/magronp/bsrnn README (oBSRNN), arXiv 2603.09187"
_LICENCE = "none found; a mirror's card says CC BY 4.0, which its makers do not confirm"
_SOURCE = "Zenodo record 17516442"
_ZENODO = "Zenodo record 17516442"

MODELS = (
    ModelInfo(
        name="bsrnn-simo",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="the best score of all: one band-split network for four stems; needs a GPU",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source=_SOURCE,
        weights_from=f"{_ZENODO} (simo-bsrnn-opt)",
        size_mb=435,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=480.0,
        score=published_score(9.79, 10.66, 10.98, 9.73, 7.78, BSRNN_README),
        notes=("16 times slower than real time on two CPU threads: meant for a GPU",),
    ),
    ModelInfo(
        name="bsrnn-opt",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="four band-split networks, one per stem",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source=_SOURCE,
        weights_from=f"{_ZENODO} (bsrnn-opt)",
        size_mb=655,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=900.0,
        score=published_score(9.07, 9.81, 10.31, 9.85, 6.31, BSRNN_README),
        notes=("one stem alone runs one network of the four",),
    ),
    ModelInfo(
        name="bsrnn-large",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="four plain band-split networks, after the paper",
        licence=_LICENCE,
        licence_class=Licence.UNSTATED,
        licence_source=_SOURCE,
        weights_from=f"{_ZENODO} (bsrnn-large)",
        size_mb=587,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=800.0,
        score=published_score(7.65, 9.14, 8.07, 7.72, 5.68, BSRNN_README),
    ),
)
