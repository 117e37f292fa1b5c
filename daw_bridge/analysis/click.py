"""A click for every beat, the first of a bar higher; before the first downbeat it counts in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from daw_bridge.analysis.grid import Grid

FloatArray = NDArray[np.float32]
BLOCK = 1 << 18
HIGH_HZ, LOW_HZ = 1760.0, 1175.0
CLICK_S = 0.03
LEVEL = 0.35


def click_times(grid: Grid) -> list[tuple[float, bool]]:
    """Time and whether it opens a bar; beats before the first downbeat go back at its tempo to the start."""
    first = float(grid.downbeats_s[0]) if len(grid.downbeats_s) else 0.0
    period = float(np.median(np.diff(grid.beats_s[:8])))
    early = [first - count * period for count in range(1, int((first + 1e-9) // period) + 1)]
    after = grid.beats_s[grid.first_downbeat :]
    clicks = [(time_s, False) for time_s in reversed(early)]
    clicks += [(float(time_s), index % grid.beats_per_bar == 0) for index, time_s in enumerate(after)]
    return [(max(time_s, 0.0), accent) for time_s, accent in clicks]


def click_blocks(grid: Grid, sample_rate_hz: int, length_samples: int) -> Iterator[FloatArray]:
    """Mono audio of shape (1, samples), a block at a time, as long as the song."""
    times = np.arange(round(CLICK_S * sample_rate_hz)) / sample_rate_hz
    shape = LEVEL * np.exp(-times / 0.006) * np.minimum(times / 0.0005, 1.0)
    sounds = {
        accent: (shape * np.sin(2.0 * np.pi * hertz * times)).astype(np.float32)
        for accent, hertz in ((True, HIGH_HZ), (False, LOW_HZ))
    }
    placed = [(round(time_s * sample_rate_hz), accent) for time_s, accent in click_times(grid)]
    for begin in range(0, length_samples, BLOCK):
        size = min(BLOCK, length_samples - begin)
        block = np.zeros(size, np.float32)
        for at, accent in placed:
            sound = sounds[accent]
            low, high = max(at, begin), min(at + len(sound), begin + size)
            if low < high:
                block[low - begin : high - begin] += sound[low - at : high - at]
        yield block[None, :]
