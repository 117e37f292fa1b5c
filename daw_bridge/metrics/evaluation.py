"""Everything that can be said about estimated stems beside their references, in one value.

Two kinds of SDR are in it under their own names, and are never mixed: `sdr_db` is the cSDR of the field's tables (BSS
Eval v4, median of 1 s windows), `song_sdr_db` the uSDR of the Music Demixing challenge (whole song).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daw_bridge.audio.null import null_test
from daw_bridge.errors import InputError
from daw_bridge.metrics.bleed import BleedMeter
from daw_bridge.metrics.bss_eval import WINDOW_S, BssEval, bss_eval_streamed
from daw_bridge.metrics.distortion_filters import WORST_CONDITION
from daw_bridge.metrics.file_pair import FilePair
from daw_bridge.metrics.signals import FloatArray
from daw_bridge.metrics.song_level import SongLevels
from daw_bridge.metrics.stem_files import ReferenceFiles
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.units import db_to_linear

_PASSES = 3
_BLOCK_SAMPLES = 1 << 17
_NEARLY_SILENT_DB = -80.0
"""RMS of a whole song: what dither leaves of silence lies below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StemScore:
    """One stem. None is a value that does not exist, for a reason that stands in the notes; +inf is no error at all.

    `sdr_db isr_db sir_db sar_db`: BSS Eval v4, median of the windows that count. `song_sdr_db`: uSDR. `window_sdr_db`
    has one value a window, None where it was left out.
    """

    name: str
    sdr_db: float | None
    isr_db: float | None
    sir_db: float | None
    sar_db: float | None
    song_sdr_db: float | None
    si_sdr_db: float | None
    window_sdr_db: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutWindow:
    """A window that counts for no stem, because these signals are silent in it."""

    start_s: float
    silent_references: tuple[str, ...]
    silent_estimates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bleed:
    """How loud the stem `source` is heard in the estimate of `into`, relative to itself; -80 is none."""

    source: str
    into: str
    level_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NullDepth:
    """What is left of the sum of all estimates (a residual included) minus the mix, in dBFS; -inf is nothing."""

    mix: Path
    peak_db: float
    rms_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    sample_rate_hz: int
    length_samples: int
    window_s: float
    windows: int
    left_out: tuple[LeftOutWindow, ...]
    stems: tuple[StemScore, ...]
    bleed: tuple[Bleed, ...]
    null: NullDepth | None
    notes: tuple[str, ...]


def evaluate(
    estimates: Mapping[str, Path],
    references: Mapping[str, ReferenceFiles],
    *,
    on_progress: OnProgress,
    cancel: CancelToken,
    mix: Path | None = None,
    extra: Mapping[str, Path] | None = None,
) -> Evaluation:
    """Compare each estimate with the reference of the same name; memory does not grow with the song.

    With `mix`, the null depth of the estimates plus `extra` (a residual, say) against it is measured too. Raises
    InputError: names, rates, lengths or channel counts that do not match, a sample that is no number; Cancelled.
    """
    names = tuple(references)
    if not names:
        raise InputError("no references were given; name at least one stem")
    missing = [name for name in names if name not in estimates]
    if missing:
        raise InputError(f"no estimate for {', '.join(missing)}; found {', '.join(estimates) or 'none'}")
    pair = FilePair([references[name] for name in names], [estimates[name] for name in names])
    return _Run(pair, names, on_progress, cancel).evaluate(_measure_null(mix, estimates, extra or {}))


def _measure_null(mix: Path | None, estimates: Mapping[str, Path], extra: Mapping[str, Path]) -> NullDepth | None:
    if mix is None:
        return None
    result = null_test(mix, [*estimates.values(), *extra.values()])
    return NullDepth(mix=mix, peak_db=result.peak_db, rms_db=result.rms_db)


class _Run:
    """One evaluation: levels first, then BSS Eval and the bleed of the stems that are not silent throughout."""

    def __init__(self, pair: FilePair, names: Sequence[str], on_progress: OnProgress, cancel: CancelToken) -> None:
        self._pair, self._names = pair, tuple(names)
        self._on_progress, self._cancel = on_progress, cancel
        self._done_samples = 0
        self._notes: list[str] = []
        pair.on_block = self._tick

    def _tick(self, count_samples: int) -> None:
        self._cancel.check()
        self._done_samples += count_samples
        total = _PASSES * self._pair.length_samples
        self._on_progress(Progress(stage="evaluate", done=min(self._done_samples, total), total=total))

    def evaluate(self, null: NullDepth | None) -> Evaluation:
        pair = self._pair
        levels = SongLevels(pair.sources)
        for references, estimates in pair.blocks(_BLOCK_SAMPLES):
            levels.add(references, estimates)
        self._refuse_what_is_no_number(levels)
        rated = self._stems_with_sound(levels)
        bss, bleed = self._rate(rated, levels) if rated else (None, ())
        if null is None:
            self._notes.append("null depth: not measured, no mix was given (`mix`)")
        return Evaluation(
            sample_rate_hz=pair.sample_rate_hz,
            length_samples=pair.length_samples,
            window_s=bss.window_samples / pair.sample_rate_hz if bss else WINDOW_S,
            windows=bss.sdr_db.shape[1] if bss else 0,
            left_out=self._left_out(bss, rated),
            stems=self._scores(bss, rated, levels),
            bleed=bleed,
            null=null,
            notes=tuple(self._notes),
        )

    def _refuse_what_is_no_number(self, levels: SongLevels) -> None:
        for index, name in enumerate(self._names):
            for kind, energy in (("reference", levels.reference_energy), ("estimate", levels.estimate_energy)):
                if not math.isfinite(energy[index]):
                    raise InputError(f"the {kind} of {name} has samples that are not numbers (NaN or Inf); redo it")

    def _stems_with_sound(self, levels: SongLevels) -> list[int]:
        rated = []
        for index, name in enumerate(self._names):
            mean_square = levels.reference_energy[index] / (self._pair.length_samples * self._pair.channels)
            if 0.0 < mean_square < db_to_linear(_NEARLY_SILENT_DB) ** 2:
                self._notes.append(f"{name}: its reference is nearly silent, so that its figures say little")
            silent = [
                kind
                for kind, energy in (("reference", levels.reference_energy), ("estimate", levels.estimate_energy))
                if energy[index] == 0.0
            ]
            if silent:
                self._notes.append(f"{name}: {' and '.join(silent)} silent throughout, left out of BSS Eval and bleed")
            else:
                rated.append(index)
        return rated

    def _rate(self, rated: list[int], levels: SongLevels) -> tuple[BssEval, tuple[Bleed, ...]]:
        meter = BleedMeter(levels.reference_energy[rated] / self._pair.length_samples)
        bss = bss_eval_streamed(self._pair.only(rated), on_windows=meter.add)
        if bss.condition > WORST_CONDITION:
            self._notes.append(
                "ISR, SIR and SAR are uncertain: the references depend on each other (mono as stereo, one stem twice) "
                "or have no treble at all (lossy codec); SDR is not affected"
            )
        return bss, self._name_bleed(rated, meter.levels_db())

    def _name_bleed(self, rated: list[int], levels_db: FloatArray) -> tuple[Bleed, ...]:
        bleed = []
        for row, source in enumerate(rated):
            if len(rated) > 1 and np.isnan(levels_db[row]).all():
                self._notes.append(f"bleed of {self._names[source]}: too little of it stands alone to measure")
            for column, into in enumerate(rated):
                level_db = float(levels_db[row, column])
                if not math.isnan(level_db):
                    bleed.append(Bleed(source=self._names[source], into=self._names[into], level_db=level_db))
        return tuple(bleed)

    def _left_out(self, bss: BssEval | None, rated: list[int]) -> tuple[LeftOutWindow, ...]:
        if bss is None:
            return ()
        if len(bss.left_out) == bss.sdr_db.shape[1]:
            self._notes.append("BSS Eval: no window has sound in all references and estimates, so it gives no values")
        return tuple(
            LeftOutWindow(
                start_s=window.index * bss.window_samples / self._pair.sample_rate_hz,
                silent_references=tuple(self._names[rated[index]] for index in window.silent_references),
                silent_estimates=tuple(self._names[rated[index]] for index in window.silent_estimates),
            )
            for window in bss.left_out
        )

    def _scores(self, bss: BssEval | None, rated: list[int], levels: SongLevels) -> tuple[StemScore, ...]:
        medians = bss.medians() if bss else np.zeros((0, 4))
        song_sdr_db, si_sdr_db = levels.song_sdr_db(), levels.si_sdr_db()
        if len(rated) == 1:
            self._notes.append("SIR: needs two stems with sound; there is one")
        scores = []
        for index, name in enumerate(self._names):
            row = rated.index(index) if index in rated else None
            ratios = medians[row] if row is not None else np.full(4, np.nan)
            windows = bss.sdr_db[row] if bss and row is not None else np.zeros(0)
            silent = levels.reference_energy[index] == 0.0
            sdr_db, isr_db, sir_db, sar_db = (_or_none(value) for value in ratios)
            if len(rated) == 1:
                sir_db = None  # without another stem the interference is zero but for rounding
            scores.append(
                StemScore(
                    name=name,
                    sdr_db=sdr_db,
                    isr_db=isr_db,
                    sir_db=sir_db,
                    sar_db=sar_db,
                    song_sdr_db=None if silent else float(song_sdr_db[index]),
                    si_sdr_db=_or_none(si_sdr_db[index]),
                    window_sdr_db=tuple(_or_none(value) for value in windows),
                )
            )
        return tuple(scores)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
