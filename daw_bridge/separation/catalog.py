"""Every model by name: its stems, licence, quality, cost, and where its weights come from. Data and look-up, no torch.

Figures: quality from the papers and repositories named in `source`; cost from docs/separation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daw_bridge.errors import ModelError, UsageError, did_you_mean

Family = Literal["demucs", "bsrnn", "preview"]
Speed = Literal["realtime", "fast", "medium", "slow", "very slow"]

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")

CSDR = "MUSDB18-HQ test, cSDR (median of 1 s chunks, then of songs), dB"
HT_PAPER = "Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation (2023)"
BSRNN_README = "github.com/magronp/bsrnn README (oBSRNN), arXiv 2603.09187"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A published quality figure. `stems` in the order of the model's own names."""

    average_db: float
    stems_db: tuple[tuple[str, float], ...]
    protocol: str = CSDR
    source: str = HT_PAPER


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known about a model before it is loaded.

    `signatures` are demucs' names of the bag's networks, `checksums` the first 8 hex digits of the sha256 of their
    legacy files, `bag_weights` the share of each network (row) in each stem. `memory_gb_per_segment` is the peak of
    one segment's activations, and a batch takes that many times it (measured on the CPU and rounded up: htdemucs 0.85,
    htdemucs_6s 0.91, HDemucs 2.49, Demucs 2.02 GB; with room for what the allocator keeps of HDemucs' large blocks).
    `gflop_per_s` is work per second of audio at the default overlap.
    """

    name: str
    family: Family
    stems: tuple[str, ...]
    summary: str
    licence: str
    weights_from: str
    size_mb: int
    speed: Speed
    segment_s: float
    memory_gb_per_segment: float
    gflop_per_s: float
    score: Score | None = None
    signatures: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    bag_weights: tuple[tuple[float, ...], ...] | None = None
    bag_segment_s: float | None = None
    notes: tuple[str, ...] = ()
    latency_ms: float | None = None


def _score(average: float, vocals: float, drums: float, bass: float, other: float, source: str = HT_PAPER) -> Score:
    pairs = (("vocals", vocals), ("drums", drums), ("bass", bass), ("other", other))
    return Score(average_db=average, stems_db=pairs, source=source)


_HUB = "demucs: Hugging Face hub (adefossez), else dl.fbaipublicfiles.com"
_MIT = "MIT (code); the weights are published with it, no separate licence is stated"
_BSRNN_LICENCE = "MIT (code); weights: see the Zenodo record (a mirror's card says CC BY 4.0)"
_ZENODO = "Zenodo record 17516442"
_MDX_WEIGHTS = ((1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0))
_ONE_EACH = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_TEST_SET = "trained on the MUSDB test songs too: a MUSDB score of it means nothing, so none is given"
_QUANTISED = "quantised with DiffQ, read by daw-bridge itself: a smaller download, as large in memory, no faster"

_MODELS = (
    ModelInfo(
        name="htdemucs_ft",
        family="demucs",
        stems=FOUR,
        summary="the production default: four transformer networks, each tuned for one stem",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=336,
        speed="slow",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=229.2,
        score=_score(9.00, 9.20, 10.08, 10.39, 6.32),
        signatures=("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"),
        checksums=("ba3fe64a", "e57c48e6", "ef3bcb9c", "f3cf25b2"),
        bag_weights=_ONE_EACH,
        notes=("one stem alone (--two-stems) runs one network of the four and takes a quarter of the time",),
    ),
    ModelInfo(
        name="htdemucs",
        family="demucs",
        stems=FOUR,
        summary="one transformer network for four stems: four times as fast as htdemucs_ft",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=84,
        speed="medium",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=57.3,
        score=_score(8.80, 8.93, 10.05, 9.78, 6.42),
        signatures=("955717e8",),
        checksums=("8726e21a",),
    ),
    ModelInfo(
        name="htdemucs_6s",
        family="demucs",
        stems=SIX,
        summary="six stems: guitar and piano beside the four",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=55,
        speed="medium",
        segment_s=7.8,
        memory_gb_per_segment=0.9,
        gflop_per_s=43.8,
        signatures=("5c90dfd2",),
        checksums=("34c22ccb",),
        notes=("experimental: piano is poor (1.6 dB SDR on MoisesDB) and bleeds; guitar is usable",),
    ),
    ModelInfo(
        name="mdx_extra",
        family="demucs",
        stems=FOUR,
        summary="four hybrid networks of the 2021 Music Demixing Challenge, averaged",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=669,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08"),
        checksums=("c1b80bdd", "ae9d2452", "db83574e", "61801ae1"),
        bag_segment_s=44,
        notes=(_TEST_SET,),
    ),
    ModelInfo(
        name="hdemucs_mmi",
        family="demucs",
        stems=FOUR,
        summary="one hybrid network without transformer, trained on 800 more songs",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=167,
        speed="fast",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=25.5,
        score=_score(8.34, 8.75, 9.31, 9.13, 6.18),
        signatures=("75fc33f5",),
        checksums=("1941ce65",),
        bag_segment_s=44,
    ),
    ModelInfo(
        name="mdx",
        family="demucs",
        stems=FOUR,
        summary="the 2021 challenge's winner on MUSDB data only: four networks with a share each",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=669,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("0d19c1c6", "7ecf8ec1", "c511e2ab", "7d865c68"),
        checksums=("0f06f20e", "70f50cc9", "fe698775", "3d5dd56b"),
        bag_weights=_MDX_WEIGHTS,
        bag_segment_s=44,
    ),
    ModelInfo(
        name="mdx_q",
        family="demucs",
        stems=FOUR,
        summary="mdx with quantised weights: a smaller download, slightly worse",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=200,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("6b9c2ca1", "b72baf4e", "42e558d4", "305bc58f"),
        checksums=("3fd82607", "8778635e", "196e0e1b", "18378783"),
        bag_weights=_MDX_WEIGHTS,
        bag_segment_s=44,
        notes=(_QUANTISED,),
    ),
    ModelInfo(
        name="mdx_extra_q",
        family="demucs",
        stems=FOUR,
        summary="mdx_extra with quantised weights: a smaller download, slightly worse",
        licence=_MIT,
        weights_from=_HUB,
        size_mb=200,
        speed="slow",
        segment_s=44.0,
        memory_gb_per_segment=3.0,
        gflop_per_s=102.0,
        signatures=("83fc094f", "464b36d7", "14fc6a69", "7fd6ef75"),
        checksums=("4a16d450", "e5a9386e", "a89dd0ee", "a905dd85"),
        bag_segment_s=44,
        notes=(_QUANTISED, _TEST_SET),
    ),
    ModelInfo(
        name="bsrnn-simo",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="the best score of all: one band-split network for four stems; needs a GPU",
        licence=_BSRNN_LICENCE,
        weights_from=f"{_ZENODO} (simo-bsrnn-opt)",
        size_mb=435,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=480.0,
        score=_score(9.79, 10.66, 10.98, 9.73, 7.78, BSRNN_README),
        notes=("16 times slower than real time on two CPU threads: meant for a GPU",),
    ),
    ModelInfo(
        name="bsrnn-opt",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="four band-split networks, one per stem",
        licence=_BSRNN_LICENCE,
        weights_from=f"{_ZENODO} (bsrnn-opt)",
        size_mb=655,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=900.0,
        score=_score(9.07, 9.81, 10.31, 9.85, 6.31, BSRNN_README),
        notes=("one stem alone runs one network of the four",),
    ),
    ModelInfo(
        name="bsrnn-large",
        family="bsrnn",
        stems=("vocals", "bass", "drums", "other"),
        summary="four plain band-split networks, after the paper",
        licence=_BSRNN_LICENCE,
        weights_from=f"{_ZENODO} (bsrnn-large)",
        size_mb=587,
        speed="very slow",
        segment_s=11.0,
        memory_gb_per_segment=1.8,
        gflop_per_s=800.0,
        score=_score(7.65, 9.14, 8.07, 7.72, 5.68, BSRNN_README),
    ),
    ModelInfo(
        name="preview",
        family="preview",
        stems=FOUR,
        summary="bundled with the program: works offline at once, causal, real time; a sketch, not for production",
        licence="MIT (code and weights)",
        weights_from="inside the package",
        size_mb=10,
        speed="realtime",
        segment_s=0.0,
        memory_gb_per_segment=0.1,
        gflop_per_s=2.0,
        latency_ms=23.2,
        notes=("trained on little free data: hear the arrangement with it, make records with htdemucs_ft",),
    ),
)

CATALOG: dict[str, ModelInfo] = {info.name: info for info in _MODELS}
"""Name -> model, in the order of preference for a listing."""


def model_info(name: str) -> ModelInfo:
    """The model of that name; ModelError with the nearest name otherwise."""
    info = CATALOG.get(name)
    if info is None:
        raise ModelError(f"no model called {name!r}{did_you_mean(name, CATALOG)}; known: {', '.join(CATALOG)}")
    return info


def check_stems(stems: tuple[str, ...], model: str, known: tuple[str, ...]) -> None:
    """UsageError when one of the wanted stems is not among the model's."""
    for stem in stems:
        if stem not in known:
            raise UsageError(
                f"{model} has no stem called {stem!r}{did_you_mean(stem, known)}; it gives {', '.join(known)}"
            )
