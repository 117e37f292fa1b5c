"""Advice: which model for these stems on this machine, and why. From the catalog's published figures only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.option import one_of
from daw_bridge.separation.catalog import CATALOG
from daw_bridge.separation.engine.memory import SPARE_GB
from daw_bridge.separation.model_info import CSDR, FOUR, SIX, Licence, ModelInfo, Task

AskedTask = Task | Literal["4-stem", "6-stem"]
"""What can be asked for: a task of the catalog, or all stems of an ordinary song by their number."""

_UNSCORED_DB = 8.0
"""Where a model without a published score of the usual protocol ranks: below every model that has one."""

_SETS: dict[str, tuple[str, ...]] = {"4-stem": FOUR, "6-stem": SIX}
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


def recommend(
    stems: tuple[str, ...] = (), *, gpu_memory_gb: float = 0.0, task: AskedTask | None = None, only_clear: bool = False
) -> list[Advice]:
    """Models for a task, or that give all of these stems, the best first. `gpu_memory_gb` 0 means no GPU.

    Scores are compared within one protocol only: models of the usual one come first, then those of other protocols.
    For vocals alone the models made for them come first, those whose licence is clear before the others. Models that
    could not be used in practice (too much memory, quantised) are left out; without a GPU, very slow ones come last,
    and only for a task that no other does. `only_clear` leaves out what is not clearly free to use.
    Raises UsageError for an unknown stem or task, or a memory that is no number of gigabytes.
    """
    if not 0.0 <= gpu_memory_gb < math.inf:
        raise UsageError(f"a GPU memory of {gpu_memory_gb:g} GB makes no sense; give gigabytes, or 0 for no GPU")
    if task is not None:
        one_of("task", task, (*_SETS, *get_args(Task)))
        if task in _SETS:
            stems, task = stems or _SETS[task], "stems"
    known = tuple(dict.fromkeys((*SIX, *(stem for info in CATALOG.values() for stem in info.stems))))
    for stem in stems:
        if stem not in known:
            near = did_you_mean(stem, SIX) or did_you_mean(stem, known)
            raise UsageError(f"no model gives a stem called {stem!r}{near}; the usual ones: {', '.join(SIX)}")
    asked = stems or (() if task not in (None, "stems") else FOUR)
    suited = [
        info
        for info in CATALOG.values()
        if set(asked) <= set(info.stems)
        and (task is None or info.task == task or (task == "vocals" and "vocals" in info.stems))
        and not (only_clear and info.licence_class is not Licence.CLEAR)
        and _fits(info, gpu_memory_gb)
    ]
    special = task not in (None, "stems") or stems == ("vocals",)
    quick = [info for info in suited if gpu_memory_gb > 0 or info.speed != "very slow"]
    slow = [info for info in suited if info not in quick and (special or not quick)]
    ranked = [
        *sorted(quick, key=lambda info: _rank(info, stems, special=special)),
        *sorted(slow, key=lambda info: _rank(info, stems, special=special)),
    ]
    return [
        Advice(model=info, reason=_reason(info, stems, ranked, gpu_memory_gb), score_db=_score_db(info, stems))
        for info in ranked
    ]


def _fits(info: ModelInfo, gpu_memory_gb: float) -> bool:
    if info.name.endswith("_q"):
        return False
    return gpu_memory_gb <= 0 or device_need_gb(info) <= gpu_memory_gb or info.bundled


def _rank(info: ModelInfo, stems: tuple[str, ...], *, special: bool) -> tuple[float, ...]:
    """The smaller, the better: made for the task, its licence clear, of the usual protocol, its score."""
    made_for_it = special and info.task != "stems"
    clear = made_for_it and info.licence_class is Licence.CLEAR
    usual = info.score is None or info.score.protocol == CSDR
    return (not made_for_it, not clear, not usual and not made_for_it, -_rank_db(info, stems))


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
        unlike = "" if info.score.protocol == CSDR else f" ({info.score.protocol}: not to be compared with others)"
        parts.append(f"{score:.2f} dB SDR published for {what}{unlike}")
    elif info.bundled:
        parts.append("bundled, so always at hand; computes in real time on the CPU")
    else:
        parts.append("no comparable score is published")
    if [other for other in fitting if not other.bundled and set(stems) <= set(other.stems)] == [info]:
        parts.append(f"the only model with {', '.join(stem for stem in stems if stem in SIX[4:]) or 'these stems'}")
    if gpu_memory_gb > 0 and not info.bundled:
        parts.append(f"needs {device_need_gb(info):.1f} GB on the GPU")
    elif gpu_memory_gb <= 0 and not info.bundled:
        cost = f", about {info.cpu_s_per_s:.0f} s of one core for each second of music" if info.cpu_s_per_s else ""
        parts.append(f"{info.speed} on a CPU{cost}")
    return "; ".join(parts)
