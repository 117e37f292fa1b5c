"""How fast, and is it one tempo all the way: candidates by autocorrelation, then an exact fit over the whole song.

A tracker that walks from beat to beat adds up its errors: 139.67 for 140 BPM puts the last bar line of five minutes
0.7 s off. The fit takes one Fourier component of the whole song instead, so its error shrinks with the song's length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from daw_bridge.analysis.features import FloatArray
from daw_bridge.analysis.onsets import Onsets

SLOWEST_BPM, FASTEST_BPM = 45.0, 220.0
USUAL_BPM, USUAL_OCTAVES = 118.0, 0.45
LOCAL_S = 10.0
COMB = ((1.0, 1.0), (2.0, 0.8), (4.0, 0.7), (0.5, 0.35))
"""Multiples of a beat that repeat in music, and what each counts."""
COMB_SUM = 2.85
WINDOW_S = 6.0
DIVISIONS = (4, 3)
"""Sixteenths, or triplets."""
SNAPS = ((1.0, 0.03), (0.5, 0.015), (0.1, 0.006))
"""What people set their tempo to, and how far a fit may be from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    bpm: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantFit:
    """One tempo for the whole song. `offset_s` is where a subdivision lies, `steadiness` how much of what each window's
    own best tempo would give this one gives (1 = the same tempo everywhere), `strength` how much of all onsets."""

    bpm: float
    error_bpm: float
    division: int
    offset_s: float
    steadiness: float
    worst_share: float
    wander_ms: float
    strength: float


def candidates(curves: Sequence[tuple[FloatArray, float]], frames_hz: float) -> list[Candidate]:
    """Tempos by averaged local autocorrelation of (curve, weight), a comb of beats and a mild prior; best first."""
    bpm = np.exp(np.linspace(math.log(SLOWEST_BPM), math.log(FASTEST_BPM), 400))
    lags = 60.0 * frames_hz / bpm
    total = np.zeros(len(bpm))
    for curve, weight in curves:
        similar = _autocorrelation(curve, frames_hz)
        at = np.arange(len(similar))
        comb = sum(part * np.interp(times * lags, at, similar, right=0.0) for times, part in COMB)
        total += weight * np.maximum(np.asarray(comb), 0.0)
    prior = np.exp(-0.5 * (np.log2(bpm / USUAL_BPM) / USUAL_OCTAVES) ** 2)
    score = total * (0.25 + prior)
    around = np.concatenate([[0.0], score, [0.0]])
    peaks = np.flatnonzero((score > around[:-2]) & (score >= around[2:]))
    found = [Candidate(bpm=float(bpm[peak]), score=float(score[peak])) for peak in peaks]
    return sorted(found, key=lambda each: -each.score)[:6]


def local_repetition(curve: FloatArray, frames_hz: float, bpm: float) -> float:
    """How well beats and bars of about `bpm` repeat, 0 to 1, where every window may have its own tempo."""
    near = 60.0 * frames_hz / (bpm * np.linspace(0.92, 1.08, 49))
    total, weight = 0.0, 0.0
    for similar, energy in _local_autocorrelations(curve, frames_hz):
        smooth = scipy.ndimage.gaussian_filter1d(similar, 3.0)
        at = np.arange(len(smooth))
        comb = sum(part * np.interp(times * near, at, smooth, right=0.0) for times, part in COMB) / COMB_SUM
        total += energy * float(np.asarray(comb).max())
        weight += energy
    return max(total / max(weight, 1e-9), 0.0)


def _local_autocorrelations(curve: FloatArray, frames_hz: float) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Of overlapping windows, each with how much happens in it; 1 at lag 0."""
    size, hop = int(LOCAL_S * frames_hz), int(LOCAL_S * frames_hz / 4.0)
    padded = 2 ** math.ceil(math.log2(2 * size))
    for begin in range(0, max(1, len(curve) - size), hop):
        part = curve[begin : begin + size].astype(np.float64)
        part = part - part.mean()
        energy = float(np.square(part).sum())
        if energy < 1e-6:
            continue
        similar = np.fft.irfft(np.square(np.abs(np.fft.rfft(part, padded))))[:size]
        count = len(part)
        yield similar / np.maximum(count - np.arange(size), 1) * count / similar[0], math.sqrt(energy)


def _autocorrelation(curve: FloatArray, frames_hz: float) -> NDArray[np.float64]:
    """Averaged over windows, weighted by how much happens in each; at most 1."""
    total = np.zeros(int(LOCAL_S * frames_hz))
    for similar, energy in _local_autocorrelations(curve, frames_hz):
        total += similar * energy
    total = np.asarray(scipy.ndimage.gaussian_filter1d(total, 2.0), np.float64)
    peak = float(total[int(0.25 * frames_hz) :].max(initial=0.0))
    return total / max(peak, 1e-9)


def fit_constant(curve: FloatArray, frames_hz: float, bpm: float, division: int, span: float = 0.02) -> ConstantFit:
    """The one tempo within `span` of `bpm` that the whole of `curve` supports best at `division` steps a beat."""
    centred = curve - scipy.ndimage.uniform_filter1d(curve, int(frames_hz))
    times = np.arange(len(curve)) / frames_hz
    base_hz = bpm / 60.0 * division
    blocks = 40
    turned = centred * np.exp(-2j * np.pi * base_hz * times)
    turned = turned[: len(turned) // blocks * blocks].reshape(-1, blocks).sum(axis=1)
    middles = (np.arange(len(turned)) + 0.5) * blocks / frames_hz
    step_bpm = 60.0 / max(times[-1], 1.0) / division / 8.0
    tried = np.arange(bpm * (1.0 - span), bpm * (1.0 + span), step_bpm)
    sums = np.concatenate(
        [
            np.abs(np.exp(-2j * np.pi * (part[:, None] - bpm) / 60.0 * division * middles) @ turned)
            for part in np.array_split(tried, max(1, len(tried) // 64))
        ]
    )
    best = int(sums.argmax())
    exact = float(tried[best])
    if 0 < best < len(sums) - 1:
        left, top, right = sums[best - 1 : best + 2]
        exact += step_bpm * 0.5 * (left - right) / (left - 2.0 * top + right - 1e-12)
    return describe_constant(curve, frames_hz, exact, division)


def describe_constant(curve: FloatArray, frames_hz: float, bpm: float, division: int) -> ConstantFit:
    """What `curve` says of exactly this tempo.

    Steadiness compares, window by window, what this tempo gives at the beat and its subdivisions with what the best
    tempo within 12 % of it would give there: where the tempo moves, some windows want another.
    """
    centred = (curve - scipy.ndimage.uniform_filter1d(curve, int(frames_hz))).astype(np.float64)
    size = min(int(WINDOW_S * frames_hz), len(centred))
    starts = np.arange(0, max(1, len(centred) - size + 1), max(1, size // 2))
    padded = 2 ** math.ceil(math.log2(4 * size))
    frequencies = np.fft.rfftfreq(padded, 1.0 / frames_hz)
    parts = np.lib.stride_tricks.sliding_window_view(centred, size)[starts] * np.hanning(size)
    spectra = np.abs(np.fft.rfft(parts, padded, axis=1))
    times = starts[:, None] / frames_hz
    within = np.arange(size) / frames_hz
    aligned, limits = np.zeros(len(starts)), np.zeros(len(starts))
    sums = np.zeros(len(starts), np.complex128)
    phase, together = 0.0, 0.0
    harmonics = harmonics_of(division)
    for harmonic in harmonics:
        hertz = bpm / 60.0 * harmonic
        sums = parts @ np.exp(-2j * np.pi * hertz * within) * np.exp(-2j * np.pi * hertz * times[:, 0])
        phase = float(np.angle(sums.sum()))
        together += float(abs(sums.sum()))
        near = (frequencies > hertz * 0.88) & (frequencies < hertz * 1.12)
        aligned += np.real(sums * np.exp(-1j * phase))
        limits += spectra[:, near].max(axis=1, initial=0.0)
    weight = limits / max(float(limits.sum()), 1e-9)
    share = np.minimum(aligned / np.maximum(limits, 1e-9), 1.0)
    tatum_hz = bpm / 60.0 * division
    return ConstantFit(
        bpm=bpm,
        error_bpm=_slope_error(sums, phase, starts / frames_hz) / (2.0 * math.pi * division) * 60.0,
        division=division,
        offset_s=-phase / (2.0 * math.pi * tatum_hz),
        steadiness=float((weight * share).sum()),
        worst_share=float(weight[share < 0.5].sum()),
        wander_ms=_wander_s(sums, phase, tatum_hz) * 1e3,
        strength=together / len(harmonics) / max(float(np.abs(parts).sum()), 1e-9),
    )


def _wander_s(sums: NDArray[np.complex128], phase: float, tatum_hz: float) -> float:
    """How far the music strays from the grid for longer than a moment: nine tenths of it stay within this."""
    smooth = np.convolve(sums * np.exp(-1j * phase), np.ones(3), mode="same" if len(sums) >= 3 else "full")
    off = np.abs(np.angle(smooth)) / (2.0 * math.pi * tatum_hz)
    order = np.argsort(off)
    weight = np.cumsum(np.abs(smooth)[order])
    return float(off[order][min(int(np.searchsorted(weight, 0.9 * weight[-1])), len(off) - 1)])


def harmonics_of(division: int) -> tuple[int, ...]:
    """The beat and what it is divided into, the finest last."""
    return (1, 2, 4) if division == 4 else (1, division)


def local_strength(curve: FloatArray, frames_hz: float, bpm: float, division: int) -> float:
    """How much of all onsets the beat and its subdivisions take where every window may have its own tempo."""
    centred = (curve - scipy.ndimage.uniform_filter1d(curve, int(frames_hz))).astype(np.float64)
    size = min(int(WINDOW_S * frames_hz), len(centred))
    starts = np.arange(0, max(1, len(centred) - size + 1), max(1, size // 2))
    padded = 2 ** math.ceil(math.log2(4 * size))
    parts = np.lib.stride_tricks.sliding_window_view(centred, size)[starts] * np.hanning(size)
    spectra = np.abs(np.fft.rfft(parts, padded, axis=1))
    near = bpm * np.linspace(0.9, 1.1, 61)
    harmonics = harmonics_of(division)
    places = [
        np.clip(np.round(near / 60.0 * each * padded / frames_hz).astype(int), 0, spectra.shape[1] - 1)
        for each in harmonics
    ]
    comb = sum(spectra[:, place] for place in places)
    return float(np.asarray(comb).max(axis=1).sum()) / len(harmonics) / max(float(np.abs(parts).sum()), 1e-9)


def _slope_error(sums: NDArray[np.complex128], phase: float, times_s: NDArray[np.float64]) -> float:
    """The standard error of the frequency, in radians a second, from how the windows' phases scatter."""
    if len(sums) < 3:
        return math.inf
    weight = np.abs(sums) / max(float(np.abs(sums).sum()), 1e-12)
    phases = np.angle(sums * np.exp(-1j * phase))
    middle = float((weight * times_s).sum())
    spread = float((weight * (times_s - middle) ** 2).sum())
    slope = float((weight * (times_s - middle) * phases).sum()) / max(spread, 1e-9)
    rest = float((weight * (phases - slope * (times_s - middle)) ** 2).sum())
    return math.sqrt(rest / (len(sums) - 2) / max(spread, 1e-9))


def snapped(bpm: float, error_bpm: float) -> float:
    """The round tempo within the fit's error, else the fit."""
    for grid, tolerance in SNAPS:
        round_bpm = round(bpm / grid) * grid
        if abs(round_bpm - bpm) < max(tolerance, min(2.0 * error_bpm, 0.05)):
            return round_bpm
    return bpm


def combined(parts: Sequence[tuple[Onsets | None, float]]) -> FloatArray:
    """Weighted sum of strengths, 0 to 1."""
    present = [(each, weight) for each, weight in parts if each is not None]
    length = max(len(each.strength) for each, _ in present)
    total = np.zeros(length, np.float32)
    for each, weight in present:
        total[: len(each.strength)] += weight * each.strength
    made: FloatArray = np.clip(total / max(float(np.percentile(total, 99.5)), 1e-9), 0.0, 1.0).astype(np.float32)
    return made
