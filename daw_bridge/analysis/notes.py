"""Drafts of notes from one stem: Basic Pitch's graph on onnxruntime, with post-processing of our own.

The graph (Bittner et al., "A lightweight instrument-agnostic model for polyphonic note transcription", ICASSP 2022) is
Spotify's, Apache-2.0; its licence and NOTICE lie beside it. It hears two seconds at 22 050 Hz and gives 172 frames of
256 samples: 0.6 more than two seconds hold, so each window keeps a clock of its own. Its outputs are taken by name,
because their order says nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from daw_bridge.errors import AdapterMissing
from daw_bridge.music import HeardNote

FloatArray = NDArray[np.float32]

MODEL = Path(__file__).parent / "notes_data" / "basic-pitch.onnx"
RATE_HZ, HOP = 22_050, 256
WINDOW = 2 * RATE_HZ - HOP
_FRAMES, _OVERLAP = 172, 30
_STEP = WINDOW - _OVERLAP * HOP
_LEAD = _OVERLAP // 2 * HOP
_KEPT = slice(_OVERLAP // 2, _FRAMES - _OVERLAP // 2)
_NOTE, _ONSET = "StatefulPartitionedCall:1", "StatefulPartitionedCall:2"
LOWEST_KEY, KEYS = 21, 88

ONSET_AT, FRAME_AT = 0.5, 0.3
"""How sure an onset and a frame have to be."""
SHORTEST_FRAMES = 9
WEAKEST = 45
"""The lowest velocity of a note, 127 being sure."""
QUIETEST_DB = -35.0
"""How far a note may lie below the loud parts of its stem."""
_GAP_FRAMES = 6
"""A note goes on over a gap of so many frames."""
OVERTONES = (12, 19, 24, 28, 31, 36)
"""Semitones from a note to its overtones 2 to 8."""
OVERTONE_SHARE, OVERTONE_S = 0.7, 0.05
BIAS_S = -0.0015
"""How late the graph's onsets are, measured by `python -m benchmarks.notes`, and taken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """Per frame and key how sure a note sounds and begins, (frames, 88); `times_s` of the frames."""

    note: FloatArray
    onset: FloatArray
    times_s: NDArray[np.float64]


def hear_notes(blocks: Iterable[FloatArray], sample_rate_hz: int) -> tuple[HeardNote, ...]:
    """The notes of mono blocks, in order. Raises AdapterMissing without onnxruntime."""
    audio = at_rate(blocks, sample_rate_hz)
    if not len(audio) or not audio.any():
        return ()
    found = [note for note in find_notes(activations(audio)) if note.velocity >= WEAKEST]
    return tuple(_loud_enough(audio, without_overtones(found)))


def _loud_enough(audio: FloatArray, found: Sequence[HeardNote]) -> Iterator[HeardNote]:
    """Notes without those that the graph, which hears no level, found in noise and bleed."""
    frames = len(audio) // HOP
    power = np.square(audio[: frames * HOP].astype(np.float64)).reshape(frames, HOP).mean(axis=1)
    floor = float(np.quantile(power, 0.95)) * 10.0 ** (QUIETEST_DB / 10.0) if frames else 0.0
    for note in found:
        begin, end = (int(time_s * RATE_HZ / HOP) for time_s in (note.start_s, note.start_s + note.length_s))
        if power[begin : end + 1].max(initial=0.0) >= floor:
            yield note


def at_rate(blocks: Iterable[FloatArray], sample_rate_hz: int) -> FloatArray:
    """Mono blocks as one piece at 22 050 Hz."""
    stream = soxr.ResampleStream(sample_rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
    parts = [stream.resample_chunk(block) for block in blocks]
    parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


def activations(audio: FloatArray) -> Activations:
    """What the graph gives for the whole of a stem at 22 050 Hz."""
    session = _session()
    (entry,) = session.get_inputs()
    padded = np.concatenate([np.zeros(_LEAD, np.float32), audio])
    notes, onsets, times = [], [], []
    for begin in range(0, len(padded), _STEP):
        window = np.zeros((1, WINDOW, 1), np.float32)
        piece = padded[begin : begin + WINDOW]
        window[0, : len(piece), 0] = piece
        note, onset = session.run([_NOTE, _ONSET], {entry.name: window})
        notes.append(note[0, _KEPT])
        onsets.append(onset[0, _KEPT])
        times.append((begin - _LEAD + HOP * np.arange(_FRAMES)[_KEPT]) / RATE_HZ)
    time = np.concatenate(times)
    inside = time < len(audio) / RATE_HZ
    return Activations(note=np.concatenate(notes)[inside], onset=np.concatenate(onsets)[inside], times_s=time[inside])


def require_runtime() -> None:
    """AdapterMissing where notes cannot be heard or written."""
    for name in ("onnxruntime", "mido"):
        if importlib.util.find_spec(name) is None:
            raise AdapterMissing(f"notes need {name}; install it with: pip install 'daw-bridge[notes]'")


def _session() -> Any:
    require_runtime()
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # the same numbers on every machine
    options.log_severity_level = 3
    return runtime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])


def find_notes(heard: Activations) -> Iterator[HeardNote]:
    """Onsets in time order begin notes; frames carry each of them to its end, or to the next onset of its key."""
    onset = _with_rises(heard)
    if len(onset) < 3:
        return
    peaks = np.zeros(onset.shape, bool)
    peaks[1:-1] = (onset[1:-1] >= onset[:-2]) & (onset[1:-1] > onset[2:]) & (onset[1:-1] >= ONSET_AT)
    found = []
    for key in range(KEYS):
        begins = np.flatnonzero(peaks[:, key])
        for begin, limit in pairwise([*begins, len(onset)]):
            end = _end(heard.note[:, key], begin, limit)
            if end - begin >= SHORTEST_FRAMES:
                found.append((begin, end, key))
    yield from sorted(
        (_note(heard, onset, begin, end, key) for begin, end, key in found), key=lambda note: (note.start_s, note.key)
    )


def without_overtones(found: Sequence[HeardNote]) -> list[HeardNote]:
    """Notes without those that are an overtone's distance above a much stronger one that sounds when they begin."""
    return [note for note in found if not any(_is_overtone(note, below) for below in found)]


def _is_overtone(note: HeardNote, below: HeardNote) -> bool:
    sounding = below.start_s - OVERTONE_S <= note.start_s <= below.start_s + below.length_s
    return note.key - below.key in OVERTONES and sounding and note.velocity < OVERTONE_SHARE * below.velocity


def _with_rises(heard: Activations) -> FloatArray:
    """The onsets, and where a note's own frames rise as steeply as an onset."""
    before = np.zeros_like(heard.note)
    before[2:] = np.maximum(heard.note[1:-1], heard.note[:-2])
    rise = np.maximum(heard.note - before, 0.0)
    rise[:2] = 0.0
    top = float(rise.max(initial=0.0))
    return np.maximum(heard.onset, rise * float(heard.onset.max(initial=0.0)) / top) if top > 0.0 else heard.onset


def _end(note: FloatArray, begin: int, limit: int) -> int:
    """Where the frames have been quiet for longer than a gap."""
    loud = np.flatnonzero(note[begin:limit] >= FRAME_AT)
    if not len(loud) or loud[0] > _GAP_FRAMES:
        return begin
    holes = np.flatnonzero(np.diff(loud) > _GAP_FRAMES)
    return int(begin + (loud[holes[0]] if len(holes) else loud[-1]) + 1)


def _note(heard: Activations, onset: FloatArray, begin: int, end: int, key: int) -> HeardNote:
    frame_s = HOP / RATE_HZ
    left, top, right = (float(each) for each in onset[begin - 1 : begin + 2, key])
    bend = left - 2.0 * top + right
    part = 0.5 * (left - right) / bend if bend < 0.0 else 0.0
    start_s = max(0.0, float(heard.times_s[begin]) + part * frame_s - BIAS_S)
    end_s = float(heard.times_s[min(end, len(onset) - 1)])
    strength = float(heard.note[begin:end, key].mean())
    return HeardNote(
        start_s=round(start_s, 4),
        length_s=round(max(frame_s, end_s - start_s), 4),
        key=LOWEST_KEY + key,
        velocity=int(np.clip(round(127.0 * strength), 1, 127)),
    )
