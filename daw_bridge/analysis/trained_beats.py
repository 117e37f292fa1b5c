"""Beats from `beat_this` (Foscarin, Schlueter, Widmer, ISMIR 2024), a trained tracker that a user may install beside.

Its package brings no weights. It fetches them itself when its own command runs; here only a file that is there already
is read, and without executing anything in it. It hears the mix in 50 frames a second: its beats are placed exactly on
the onsets, and fitted to one tempo where they keep one, as those that are heard here.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from daw_bridge.analysis.beats import settled
from daw_bridge.analysis.features import FloatArray
from daw_bridge.analysis.grid import MIN_BEATS, MIN_S, Grid, GridMode, Heard
from daw_bridge.analysis.notes import RATE_HZ, at_rate
from daw_bridge.analysis.phase import median_offset
from daw_bridge.analysis.pulse import describe_constant, fit_constant, snapped
from daw_bridge.errors import AdapterMissing, ModelError, WeightsCorrupt, WeightsMissing

NAME = "beat_this"
_USUAL = "final0"
_STRAIGHT_S = 0.035
"""How far nineteen of twenty beats may lie from one tempo to be called steady; a frame of the tracker is 20 ms."""
_LIKE_ITS_NEIGHBOURS = 0.15
_REGULAR = 0.9
_METRES = range(2, 8)
_FEW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedBeats:
    """Seconds, in order."""

    beats_s: NDArray[np.float64]
    downbeats_s: NDArray[np.float64]


def weights_file(asked: str) -> Path:
    """The file for `beat_this` or `beat_this:FILE`. Raises AdapterMissing, WeightsMissing; nothing is fetched."""
    if importlib.util.find_spec(NAME) is None:
        raise AdapterMissing(f"beats by {NAME} need {NAME}; install it with: pip install 'daw-bridge[{NAME}]'")
    given = asked.partition(":")[2]
    if given:
        if not Path(given).is_file():
            raise WeightsMissing(f"{given}: there is no such file with weights of {NAME}")
        return Path(given)
    hub: Any = importlib.import_module("torch.hub")
    usual = Path(hub.get_dir()) / "checkpoints" / f"{NAME}-{_USUAL}.ckpt"
    if not usual.is_file():
        raise WeightsMissing(
            f"{NAME} has no weights here ({usual}): run '{NAME} SONG.wav' once, which fetches them, "
            f"or give a file, as in `beats` {NAME}:FILE.ckpt"
        )
    return usual


def trained_beats(blocks: Iterable[FloatArray], sample_rate_hz: int, weights: Path) -> TrainedBeats:
    """What the tracker hears in mono blocks of a mix. Raises AdapterMissing, WeightsCorrupt, ModelError."""
    try:
        inference: Any = importlib.import_module(f"{NAME}.inference")
    except (ImportError, OSError) as exc:  # torchaudio is built for one release of torch
        raise AdapterMissing(f"{NAME} does not load ({_first_line(exc)}); leave `beats` away or mend it") from exc
    try:
        tracker = inference.Audio2Beats(checkpoint_path=str(weights), device="cpu", dbn=False)
    except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as exc:
        raise WeightsCorrupt(f"{weights}: {NAME} cannot read these weights ({_first_line(exc)}); give another") from exc
    try:
        beats, downbeats = tracker(at_rate(blocks, sample_rate_hz), RATE_HZ)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise ModelError(f"{NAME} failed on this song ({_first_line(exc)}); leave `beats` away") from exc
    return TrainedBeats(beats_s=_in_order(beats), downbeats_s=_in_order(downbeats))


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]


def _in_order(times: Any) -> NDArray[np.float64]:
    return np.unique(np.asarray(times, np.float64).ravel())


def grid_of_beats(heard: Heard, found: TrainedBeats, mode: GridMode) -> Grid | None:
    """The grid of beats that were found elsewhere; None where there are hardly any."""
    beats = found.beats_s
    if len(beats) < _FEW:
        return None
    regular = _regular_share(beats)
    places = _places(beats)
    slope, start = np.polyfit(places, beats, 1)
    astray = float(np.percentile(np.abs(beats - (start + slope * places)), 95))
    steady = mode != "follow" and (mode == "constant" or astray <= _STRAIGHT_S)
    bpm = 60.0 / float(slope if steady else np.median(np.diff(beats)))
    if steady:
        bpm = _exact_bpm(heard, bpm)
        first = float(np.median(beats - places * 60.0 / bpm)) % (60.0 / bpm)
        placed = np.arange(first, heard.length_s, 60.0 / bpm)
    else:
        placed = settled(np.interp(np.arange(int(places[-1]) + 1), places, beats), heard.strength, heard.frames_hz)
    placed = placed + median_offset(heard.strength, heard.frames_hz, placed) - heard.bias_s
    doubts = [f"{NAME} heard no regular beat"] if regular < _REGULAR else []
    if len(beats) < MIN_BEATS or heard.length_s < MIN_S:
        doubts.append("it is too short to tell")
    metre, phase, share = _bars(placed, found.downbeats_s)
    return Grid(
        beats_s=placed,
        bpm=bpm,
        constant=steady,
        ternary=False,
        beats_per_bar=metre,
        first_downbeat=phase,
        confidence=regular,
        downbeat_confidence=max(0.0, 2.0 * share - 1.0),
        doubts=tuple(doubts),
    )


def _regular_share(beats_s: NDArray[np.float64]) -> float:
    """How many beats are as long as those around them."""
    lengths = np.diff(beats_s)
    usual = scipy.ndimage.median_filter(lengths, 9, mode="nearest")
    return float((np.abs(lengths / usual - 1.0) < _LIKE_ITS_NEIGHBOURS).mean())


def _places(beats_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The number of each beat from 0; where beats are missing the numbers go on."""
    lengths = np.diff(beats_s)
    usual = scipy.ndimage.median_filter(lengths, 9, mode="nearest")
    return np.concatenate([[0.0], np.cumsum(np.maximum(np.round(lengths / usual), 1.0))])


def _exact_bpm(heard: Heard, bpm: float) -> float:
    """The tempo that the onsets of the whole song support best, within half a per cent of the tracker's."""
    fit = fit_constant(heard.strength, heard.frames_hz, bpm, 4, span=0.005)
    exact = describe_constant(heard.strength, heard.frames_hz, fit.bpm, 4)
    return snapped(exact.bpm, exact.error_bpm)


def _bars(beats_s: NDArray[np.float64], downbeats_s: NDArray[np.float64]) -> tuple[int, int, float]:
    """Beats a bar, the first downbeat, and which share of the downbeats agrees with these two."""
    if len(downbeats_s) < 2:
        return 4, 0, 0.0
    at = np.abs(beats_s[None, :] - downbeats_s[:, None]).argmin(axis=1)
    lengths = np.diff(at)
    counted = {metre: int((lengths == metre).sum()) for metre in _METRES}
    metre = max(counted, key=lambda each: (counted[each], each == 4))
    if not counted[metre]:
        return 4, int(at[0]) % 4, 0.0
    phases = np.bincount(at % metre, minlength=metre)
    return metre, int(phases.argmax()), float(phases.max()) / len(at)
