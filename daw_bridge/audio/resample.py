"""Another sample rate in blocks: python-soxr at very high quality, linear phase, delay already taken out.

A click at sample n comes out at sample n * out / in, and the length is known before: round(n * out / in), or what the
caller asks for, so that the way back gives the source's exact length.
"""

from __future__ import annotations

from math import ceil
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from daw_bridge.audio.samples import interleaved

FloatArray = NDArray[np.float32]
_TAIL_OUT_SAMPLES = 8  # the way back may be up to one output sample longer than soxr's own end; a few to be sure


def resample_length(count_samples: int, rate_in_hz: int, rate_out_hz: int) -> int:
    """The number of samples after resampling: n * out / in, rounded half up."""
    return (2 * count_samples * rate_out_hz + rate_in_hz) // (2 * rate_in_hz)


class BlockResampler(Protocol):
    """Blocks (channels, n) in, blocks (channels, m) out; `finish` once at the end."""

    def process(self, block: FloatArray) -> FloatArray: ...

    def finish(self) -> FloatArray: ...


class MakeResampler(Protocol):
    """`Resampler`, or another engine that is made in the same way."""

    def __call__(
        self, rate_in_hz: int, rate_out_hz: int, channels: int, *, target_length_samples: int | None = None
    ) -> BlockResampler: ...


class Resampler:
    """Blocks (channels, n) in, blocks (channels, m) out; call `finish` once at the end.

    `target_length_samples` fixes the total that comes out (the source's length on the way back from the model's
    rate); by default it is `resample_length` of what went in.
    """

    def __init__(
        self, rate_in_hz: int, rate_out_hz: int, channels: int, *, target_length_samples: int | None = None
    ) -> None:
        self.rate_in_hz, self.rate_out_hz, self.channels = rate_in_hz, rate_out_hz, channels
        self._target_length_samples = target_length_samples
        self._taken_samples = 0
        self._given_samples = 0
        self._stream = None
        if rate_in_hz != rate_out_hz:
            self._stream = soxr.ResampleStream(rate_in_hz, rate_out_hz, channels, dtype="float32", quality="VHQ")

    @property
    def target_length_samples(self) -> int:
        """How many samples will have come out in total after `finish`, for what went in so far."""
        if self._target_length_samples is not None:
            return self._target_length_samples
        return resample_length(self._taken_samples, self.rate_in_hz, self.rate_out_hz)

    def process(self, block: FloatArray) -> FloatArray:
        """What is ready after one more block; shape (channels, m), m may be 0."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected ({self.channels}, n), got {block.shape}")
        self._taken_samples += block.shape[1]
        return self._give(self._run(block, last=False), self._target_length_samples)

    def finish(self) -> FloatArray:
        """The rest, so that the total is `target_length_samples`; the filter's tail instead of zeros at the end."""
        target = self.target_length_samples
        missing = max(0, target - resample_length(self._taken_samples, self.rate_in_hz, self.rate_out_hz))
        tail = ceil((missing + _TAIL_OUT_SAMPLES) * self.rate_in_hz / self.rate_out_hz)
        return self._give(self._run(np.zeros((self.channels, tail), dtype=np.float32), last=True), target)

    def _run(self, block: FloatArray, *, last: bool) -> FloatArray:
        if self._stream is None:
            return block
        done = self._stream.resample_chunk(interleaved(block), last=last)
        return np.ascontiguousarray(done.T)

    def _give(self, block: FloatArray, limit_samples: int | None) -> FloatArray:
        if limit_samples is not None:
            block = block[:, : max(0, limit_samples - self._given_samples)]
        self._given_samples += block.shape[1]
        return block
