"""What a loaded model is to the rest of the program: samples in, stems out, in order, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daw_bridge.progress import CancelToken, OnProgress

FloatArray = NDArray[np.float32]
Emit = Callable[[FloatArray], None]
"""Takes the next finished block of stems, shape (sources, channels, samples); blocks are contiguous and in order."""


class SampleSource(Protocol):
    """The mix at the model's rate and channel count, readable from any position."""

    @property
    def length_samples(self) -> int: ...

    def seek(self, position_samples: int) -> None: ...

    def read(self, count_samples: int) -> FloatArray:
        """The next samples, shape (channels, n) with n < count_samples only at the end."""
        ...


class ArraySource:
    """A mix in memory, shape (channels, samples), as a `SampleSource`."""

    def __init__(self, samples: FloatArray) -> None:
        self.samples = samples
        self._position = 0

    @property
    def length_samples(self) -> int:
        return int(self.samples.shape[1])

    def seek(self, position_samples: int) -> None:
        self._position = position_samples

    def read(self, count_samples: int) -> FloatArray:
        block = self.samples[:, self._position : self._position + count_samples]
        self._position += block.shape[1]
        return block


class Separator(Protocol):
    """One model with its weights in memory. Deterministic: the same samples in give the same samples out."""

    @property
    def name(self) -> str: ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the stems that `run` emits, in that order."""
        ...

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def channels(self) -> int: ...

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """Emit the stems of [start_samples, length) exactly, with the model's own delay already taken out.

        `start_samples` resumes a run that was cut off: the samples are identical to those of an uncut run.
        Raises Cancelled between blocks once `cancel` is set, DeviceError when memory runs out for good.
        """
        ...
