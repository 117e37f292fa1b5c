"""Stems on the disk against their references: the files are paired by name, then measured."""

from __future__ import annotations

from pathlib import Path

from daw_bridge.metrics.evaluation import Evaluation
from daw_bridge.metrics.evaluation import evaluate as evaluate_files
from daw_bridge.metrics.stem_files import find_stem_files
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress


def evaluate(
    estimates: Path | str,
    reference: Path | str,
    *,
    mix: Path | str | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """SDR, ISR, SIR, SAR (BSS Eval v4), whole-song SDR, bleed and null depth of a folder of stems, or a song folder.

    `reference` is the folder of the true stems, `mix` what the null is measured against (default: a mix beside the
    stems). Raises InputError for files that do not match in name, rate, length or channels; Cancelled.
    """
    files = find_stem_files(Path(estimates), Path(reference))
    return evaluate_files(
        files.estimates,
        files.references,
        on_progress=on_progress,
        cancel=cancel or CancelToken(),
        mix=files.mix if mix is None else Path(mix),
        extra=files.extra,
    )
