"""An evaluation as a table for a person and as JSON for a machine. Both kinds of SDR carry their names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from daw_bridge.metrics.bleed import FLOOR_DB
from daw_bridge.metrics.evaluation import Evaluation, LeftOutWindow, StemScore
from daw_bridge.units import clock

PROTOCOLS = {
    "sdr_db": "cSDR: BSS Eval v4, median of 1 s windows",
    "isr_db": "BSS Eval v4, median of 1 s windows",
    "sir_db": "BSS Eval v4, median of 1 s windows",
    "sar_db": "BSS Eval v4, median of 1 s windows",
    "song_sdr_db": "uSDR: whole song, 10 log10(sum s^2 / sum e^2); not comparable with cSDR",
    "si_sdr_db": "whole song, scale-invariant",
    "bleed": "mean log-spectral level of a stem in another's estimate, relative to itself; -80 is none",
    "null": "sum of the estimates minus the mix, dBFS",
}
_COLUMNS = (
    ("cSDR", "sdr_db"),
    ("ISR", "isr_db"),
    ("SIR", "sir_db"),
    ("SAR", "sar_db"),
    ("uSDR", "song_sdr_db"),
    ("SI-SDR", "si_sdr_db"),
)


def to_json(evaluation: Evaluation) -> dict[str, object]:
    """The evaluation in JSON's types; JSON has no infinity, so an exact result is the text "inf" or "-inf"."""
    body = {**asdict(evaluation), "mean": mean_scores(evaluation.stems), "protocols": PROTOCOLS}
    return {key: _plain(value) for key, value in body.items()}


def to_table(evaluation: Evaluation) -> str:
    """Scores, bleed, null depth, and what was left out and why."""
    lines = _score_table(evaluation)
    if evaluation.bleed:
        lines += ["", *_bleed_table(evaluation)]
    if evaluation.null is not None:
        null = evaluation.null
        lines += ["", f"Null against {null.mix.name}: peak {_dbfs(null.peak_db)}, RMS {_dbfs(null.rms_db)}"]
    if evaluation.left_out:
        lines += ["", *describe_left_out(evaluation)]
    lines += [f"Note: {note}" for note in evaluation.notes]
    return "\n".join(lines)


def mean_scores(stems: Sequence[StemScore]) -> dict[str, float | None]:
    """The mean of each score over the stems that have it; None where none has."""
    means: dict[str, float | None] = {}
    for _, field in _COLUMNS:
        values = [value for stem in stems if (value := getattr(stem, field)) is not None]
        means[field] = math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else None
    return means


def describe_left_out(evaluation: Evaluation) -> list[str]:
    """Which windows count for no stem, grouped by what is silent in them."""
    reasons: dict[str, list[float]] = {}
    for window in evaluation.left_out:
        reasons.setdefault(_reason(window), []).append(window.start_s)
    lines = [f"{len(evaluation.left_out)} of {evaluation.windows} windows left out (they count for no stem):"]
    for reason, starts in reasons.items():
        lines.append(f"  {reason}: {', '.join(_spans(starts, evaluation.window_s))}")
    return lines


def _score_table(evaluation: Evaluation) -> list[str]:
    width = max(4, *(len(stem.name) for stem in evaluation.stems))
    rows = [(stem.name, [getattr(stem, field) for _, field in _COLUMNS]) for stem in evaluation.stems]
    if len(rows) > 1:
        means = mean_scores(evaluation.stems)
        rows.append(("mean", [means[field] for _, field in _COLUMNS]))
    lines = [
        f"{'':<{width}}   BSS Eval v4, median of {evaluation.window_s:g} s    whole song",
        f"{'dB':<{width}} " + "".join(f"{title:>8}" for title, _ in _COLUMNS),
    ]
    for name, values in rows:
        lines.append(f"{name:<{width}} " + "".join(f"{_number(value):>8}" for value in values))
    return lines


def _bleed_table(evaluation: Evaluation) -> list[str]:
    levels = {(bleed.source, bleed.into): bleed.level_db for bleed in evaluation.bleed}
    names = [stem.name for stem in evaluation.stems if any(stem.name in pair for pair in levels)]
    width = max(4, *(len(name) for name in names))
    column = max(9, width + 1)
    lines = [f"Bleed in dB (below {FLOOR_DB:g} is none): row heard in column"]
    lines.append(" " * width + "".join(f"{name:>{column}}" for name in names))
    for source in names:
        cells = (_number(levels.get((source, into))) for into in names)
        lines.append(f"{source:<{width}}" + "".join(f"{cell:>{column}}" for cell in cells))
    return lines


def _reason(window: LeftOutWindow) -> str:
    parts = []
    if window.silent_references:
        parts.append(f"reference {', '.join(window.silent_references)} silent")
    if window.silent_estimates:
        parts.append(f"estimate {', '.join(window.silent_estimates)} silent")
    return "; ".join(parts)


def _spans(starts_s: Iterable[float], window_s: float) -> list[str]:
    spans: list[list[float]] = []
    for start_s in starts_s:
        if spans and abs(spans[-1][1] - start_s) < window_s / 2:
            spans[-1][1] = start_s + window_s
        else:
            spans.append([start_s, start_s + window_s])
    return [f"{clock(begin)}-{clock(end)}" for begin, end in spans]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _dbfs(level_db: float) -> str:
    return f"{level_db:.1f} dBFS" if math.isfinite(level_db) else "nothing left at all"


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return value
