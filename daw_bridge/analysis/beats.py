"""Beats of music whose tempo moves: the cheapest path through the onsets (a semi-Markov Viterbi search)."""

from __future__ import annotations

import math

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from daw_bridge.analysis.features import FloatArray

RIGIDITY = 100.0
"""What a change of the beat's length by a factor e costs; onsets pay about 3 each."""
SEARCH_S = 0.03
FAINT = 0.08
REACH = 7
"""Half beats before and behind that decide where a beat is."""
MIN_BEATS = 4


def free_beats(strength: FloatArray, frames_hz: float, bpm: float) -> NDArray[np.float64]:
    """Times of beats in seconds, at 0.8 to 1.25 of `bpm`."""
    half = len(strength) // 2 * 2
    chance = np.clip(np.maximum(strength[0:half:2], strength[1:half:2]) ** 0.7 * 0.95, 0.02, 0.97).astype(np.float64)
    rate_hz = frames_hz / 2.0
    shortest = max(2, math.floor(60.0 * rate_hz / (bpm * 1.25)))
    periods = np.arange(shortest, math.ceil(60.0 * rate_hz / (bpm * 0.8)) + 1)
    count = len(chance)
    if count < 2 * periods[-1]:
        return np.zeros(0)
    beat = scipy.ndimage.maximum_filter1d(np.log(chance), 3)
    rest = np.concatenate([[0.0], np.cumsum(np.log(1.0 - chance))])
    change = -RIGIDITY * np.abs(np.log(periods[:, None] / periods[None, :]))
    rows = np.arange(len(periods))
    score = np.full((count, len(periods)), -1e18)
    came_from = np.full((count, len(periods)), -1, np.int16)
    for now in range(count):
        since = now - periods
        known = since >= 0
        earlier = np.maximum(since, 0)
        before = score[earlier, rows] + rest[max(now - 1, 0)] - rest[np.minimum(earlier + 2, count)]
        before[~known] = -1e18
        paths = before[:, None] + change
        best = paths.argmax(axis=0)
        value = paths[best, rows]
        start = rest[now] if now < periods[-1] else -1e18
        better = value >= start
        score[now] = np.where(better, value, start) + beat[now]
        came_from[now, better] = best[better]
    return _path(score, came_from, rest, periods) / rate_hz


def _path(
    score: NDArray[np.float64],
    came_from: NDArray[np.int16],
    rest: NDArray[np.float64],
    periods: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Back from the best beat that lies within its own period of the end."""
    count = len(score)
    ends = np.arange(count - periods[-1], count)
    totals = score[ends] + rest[count] - rest[np.minimum(ends + 2, count)][:, None]
    totals[(count - ends)[:, None] > periods[None, :]] = -1e18
    row, column = divmod(int(totals.argmax()), totals.shape[1])
    now = int(ends[row])
    found = [now]
    while came_from[now, column] >= 0:
        column = int(came_from[now, column])
        now -= int(periods[column])
        found.append(now)
    return np.array(found[::-1], dtype=np.float64)


def settled(beats_s: NDArray[np.float64], strength: FloatArray, frames_hz: float) -> NDArray[np.float64]:
    """Beats pulled onto the onsets beside them and beside the half beats, then smoothed by a robust parabola.

    So a note that was played late, or missed, does not bend the map; a tempo that moves does. What is heard at a half
    beat counts as much as at a beat: hats go on where kicks rest.
    """
    if len(beats_s) < MIN_BEATS:
        return beats_s
    halves = np.interp(np.arange(2 * len(beats_s) - 1) / 2.0, np.arange(len(beats_s)), beats_s)
    found, weights = halves.copy(), np.full(len(halves), 0.01)
    for index, time_s in enumerate(halves):
        begin = max(int((time_s - SEARCH_S) * frames_hz), 0)
        part = strength[begin : int((time_s + SEARCH_S) * frames_hz) + 1]
        if len(part) and part.max() > FAINT:
            found[index] = (begin + peak_place(part)) / frames_hz
            weights[index] = float(part.max()) * (1.0 if index % 2 == 0 else 0.7)
    smooth = beats_s.copy()
    for index in range(len(beats_s)):
        low, high = max(0, 2 * index - REACH), min(len(found), 2 * index + REACH + 1)
        if high - low > 4:
            smooth[index] = _robust_value(np.arange(low, high) - 2 * index, found[low:high], weights[low:high])
    return smooth


def peak_place(part: FloatArray) -> float:
    top = int(part.argmax())
    if 0 < top < len(part) - 1:
        left, middle, right = (float(each) for each in part[top - 1 : top + 2])
        bend = left - 2.0 * middle + right
        return top + (0.5 * (left - right) / bend if bend < 0.0 else 0.0)
    return float(top)


def _robust_value(places: NDArray[np.int64], values: NDArray[np.float64], trust: NDArray[np.float64]) -> float:
    """At place 0, of a parabola that gives outliers (12 ms) little weight."""
    weights: NDArray[np.float64] = trust
    columns = np.stack([np.ones(len(places)), places, places**2], axis=1).astype(np.float64)
    solution: NDArray[np.float64] = np.zeros(3)
    for _ in range(3):
        root = np.sqrt(weights)[:, None]
        solution = np.asarray(np.linalg.lstsq(columns * root, values * root[:, 0], rcond=None)[0], np.float64)
        weights = trust / (1.0 + ((values - columns @ solution) / 0.012) ** 2)
    return float(solution[0])
