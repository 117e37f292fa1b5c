"""Advice: which model for these stems on this machine, and why. From the catalog's published figures only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.separation.catalog import CATALOG
from daw_bridge.separation.engine.memory import SPARE_GB
from daw_bridge.separation.model_info import SIX, ModelInfo

_UNSCORED_DB = 8.0
"""Where a model without a published score of the usual protocol ranks: below every model that has one."""

_MB_PER_GB = 1073.7
_FULL_PRECISION = 2.0
"""Published weights are stored in 16 bits and computed in 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One model that fits, with the reason and what to know about it."""

    model: ModelInfo
    reason: str
    score_db: float | None


def device_need_gb(info: ModelInfo) -> float:
    """Memory of a GPU that the smallest run takes: weights, one segment, and what CUDA itself takes."""
    return info.size_mb * _FULL_PRECISION / _MB_PER_GB + info.memory_gb_per_segment + SPARE_GB


def recommend(stems: tuple[str, ...] = (), *, gpu_memory_gb: float = 0.0) -> list[Advice]:
    """Models that give all of these stems, the best first. `gpu_memory_gb` 0 means no GPU.

    Ranked by the published score averaged over the asked stems; models that could not be used in practice (too much
    memory, far slower than real time without a GPU, quantised) are left out. Raises UsageError for an unknown stem or
    a memory that is no number of gigabytes.
    """
    if not 0.0 <= gpu_memory_gb < math.inf:
        raise UsageError(f"a GPU memory of {gpu_memory_gb:g} GB makes no sense; give gigabytes, or 0 for no GPU")
    for stem in stems:
        if stem not in SIX:
            raise UsageError(f"no model gives a stem called {stem!r}{did_you_mean(stem, SIX)}; known: {', '.join(SIX)}")
    fitting = [info for info in CATALOG.values() if set(stems) <= set(info.stems) and _usable(info, gpu_memory_gb)]
    ranked = sorted(fitting, key=lambda info: -_rank_db(info, stems))
    return [
        Advice(model=info, reason=_reason(info, stems, fitting, gpu_memory_gb), score_db=_score_db(info, stems))
        for info in ranked
    ]


def _usable(info: ModelInfo, gpu_memory_gb: float) -> bool:
    if info.name.endswith("_q"):
        return False
    if gpu_memory_gb <= 0:
        return info.speed != "very slow"
    return device_need_gb(info) <= gpu_memory_gb or info.bundled


def _score_db(info: ModelInfo, stems: tuple[str, ...]) -> float | None:
    """The published score over the asked stems, as far as they have one."""
    if info.score is None:
        return None
    known = dict(info.score.stems_db)
    asked = [known[stem] for stem in stems if stem in known]
    return sum(asked) / len(asked) if asked else info.score.average_db


def _rank_db(info: ModelInfo, stems: tuple[str, ...]) -> float:
    if info.bundled:
        return 0.0
    score = _score_db(info, stems)
    return score if score is not None else _UNSCORED_DB - 0.1 * list(CATALOG).index(info.name)


def _reason(info: ModelInfo, stems: tuple[str, ...], fitting: list[ModelInfo], gpu_memory_gb: float) -> str:
    score = _score_db(info, stems)
    parts = []
    if score is not None and info.score is not None:
        what = ", ".join(stems) if stems else "all stems"
        parts.append(f"{score:.2f} dB SDR published for {what}")
    elif info.bundled:
        parts.append("bundled, so always at hand; computes in real time on the CPU")
    else:
        parts.append("no comparable score is published")
    if [other for other in fitting if not other.bundled] == [info]:
        parts.append(f"the only model with {', '.join(stem for stem in stems if stem in SIX[4:]) or 'these stems'}")
    if gpu_memory_gb > 0 and not info.bundled:
        parts.append(f"needs {device_need_gb(info):.1f} GB on the GPU")
    elif gpu_memory_gb <= 0 and not info.bundled:
        parts.append(f"{info.speed} on a CPU")
    return "; ".join(parts)
