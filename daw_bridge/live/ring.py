"""Audio between two threads without a lock: one writes, one reads, both speak of absolute sample positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Ring:
    """The last `capacity` samples of an endless signal of shape (rows, samples).

    One thread writes; any thread may read what is between `oldest` and `end`. Python integers change in one piece, and
    `end` moves only after the samples are in place, so no lock is needed on the audio thread.
    """

    def __init__(self, rows: int, capacity_samples: int) -> None:
        self._data = np.zeros((rows, capacity_samples), np.float32)
        self.capacity_samples = capacity_samples
        self.end = 0
        """The position after the last sample written."""
        self._begin = 0  # before it there is silence (0) or, after a jump, nothing

    @property
    def oldest(self) -> int:
        return max(self._begin, self.end - self.capacity_samples)

    def write(self, block: FloatArray, *, at: int | None = None) -> None:
        """Append `block` (rows, n), n <= capacity; with `at` beyond the end the signal jumps, and forgets what was."""
        start = self.end
        if at is not None and at > start:
            start = self._begin = at
        end = start + block.shape[1]
        self._data[:, np.arange(start, end) % self.capacity_samples] = block
        self.end = end

    def read(self, start: int, count: int) -> FloatArray | None:
        """A copy of samples [start, start + count), None if they are not (or no longer) there.

        Positions before zero are silence.
        """
        if start + count > self.end or (start < self.oldest and self.oldest > 0):
            return None
        out = np.zeros((self._data.shape[0], count), np.float32)
        first = max(start, 0)
        if first < start + count:
            out[:, first - start :] = self._data[:, np.arange(first, start + count) % self.capacity_samples]
        return out
