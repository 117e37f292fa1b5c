"""Reference and estimated stems side by side, read block after block, so that a song's length costs no memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


class SignalPair(Protocol):
    """References and estimates of the same stems in the same order: one rate, one length, one channel count."""

    @property
    def sources(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def length_samples(self) -> int: ...

    @property
    def sample_rate_hz(self) -> int: ...

    def blocks(self, size_samples: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """From the start: references and estimates, shape (sources, channels, size_samples), the last one shorter."""
        ...


class ArrayPair:
    """A `SignalPair` over arrays of shape (sources, channels, samples)."""

    def __init__(self, references: NDArray[Any], estimates: NDArray[Any], sample_rate_hz: int) -> None:
        if references.ndim != 3 or references.shape != estimates.shape:
            raise ValueError(
                "references and estimates must both have shape (sources, channels, samples), "
                f"got {references.shape} and {estimates.shape}"
            )
        self._references, self._estimates = references, estimates
        self.sources, self.channels, self.length_samples = references.shape
        self.sample_rate_hz = sample_rate_hz

    def blocks(self, size_samples: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        for start in range(0, self.length_samples, size_samples):
            part = slice(start, start + size_samples)
            yield (
                np.asarray(self._references[:, :, part], dtype=np.float64),
                np.asarray(self._estimates[:, :, part], dtype=np.float64),
            )
