"""The resampler of resample.py on the device of the run, for those who installed torchaudio. soxr stays the reference.

torchaudio resamples whole signals. Here a signal goes through it in pieces that start on whole periods of the rate
ratio and carry enough context that their inner part equals that of the whole.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.encoding import ResamplerName
from daw_bridge.audio.resample import BlockResampler, MakeResampler, Resampler, resample_length
from daw_bridge.errors import UsageError

FloatArray = NDArray[np.float32]
Transform = Callable[[FloatArray], FloatArray]
"""Resamples (channels, n) without delay; the first sample in is the first sample out."""

# The "kaiser_best" settings of torchaudio's resampling tutorial.
_FILTER_WIDTH, _ROLLOFF, _BETA = 64, 0.9475937167399596, 14.769656459379492
_PIECE_SAMPLES = 1 << 17


class PiecewiseResampler:
    """Blocks in, blocks out through a transform that knows only whole signals; the interface of `Resampler`.

    `context_samples` is the reach of the transform's filter to either side, counted at the input rate.
    """

    def __init__(
        self,
        rate_in_hz: int,
        rate_out_hz: int,
        channels: int,
        transform: Transform,
        context_samples: int,
        *,
        target_length_samples: int | None = None,
    ) -> None:
        common = gcd(rate_in_hz, rate_out_hz)
        self.rate_in_hz, self.rate_out_hz, self.channels = rate_in_hz, rate_out_hz, channels
        self._period_in, self._period_out = rate_in_hz // common, rate_out_hz // common
        self._transform = transform
        self._context_periods = ceil(context_samples / self._period_in) + 1
        self._piece_periods = max(1, _PIECE_SAMPLES // self._period_in)
        context = self._context_periods * self._period_in
        self._waiting: FloatArray = np.zeros((channels, context), dtype=np.float32)
        self._target_length_samples = target_length_samples
        self._taken_samples = 0
        self._given_samples = 0

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
        self._waiting = np.concatenate((self._waiting, block), axis=1)
        return self._give(self._pieces(), self._target_length_samples)

    def finish(self) -> FloatArray:
        """The rest, so that the total is `target_length_samples`."""
        target = self.target_length_samples
        missing_periods = ceil(max(0, target - self._given_samples) / self._period_out)
        needed = (missing_periods + self._piece_periods + 2 * self._context_periods) * self._period_in
        tail = np.zeros((self.channels, max(0, needed - self._waiting.shape[1])), dtype=np.float32)
        self._waiting = np.concatenate((self._waiting, tail), axis=1)
        return self._give(self._pieces(), target)

    def _pieces(self) -> FloatArray:
        """Everything that has its context on both sides, piece by piece."""
        context, period_in, period_out = self._context_periods, self._period_in, self._period_out
        done = [np.zeros((self.channels, 0), dtype=np.float32)]
        length = (self._piece_periods + 2 * context) * period_in
        start = 0
        while self._waiting.shape[1] - start >= length:
            piece = self._transform(np.ascontiguousarray(self._waiting[:, start : start + length]))
            done.append(piece[:, context * period_out : (context + self._piece_periods) * period_out])
            start += self._piece_periods * period_in
        self._waiting = self._waiting[:, start:]
        return np.concatenate(done, axis=1)

    def _give(self, block: FloatArray, limit_samples: int | None) -> FloatArray:
        if limit_samples is not None:
            block = block[:, : max(0, limit_samples - self._given_samples)]
        self._given_samples += block.shape[1]
        return np.ascontiguousarray(block, dtype=np.float32)


class TorchaudioResampler(PiecewiseResampler):
    """torchaudio's Kaiser-windowed sinc on `device`. Raises UsageError when torchaudio is not installed."""

    def __init__(
        self,
        rate_in_hz: int,
        rate_out_hz: int,
        channels: int,
        *,
        device: str = "cuda",
        target_length_samples: int | None = None,
    ) -> None:
        super().__init__(
            rate_in_hz,
            rate_out_hz,
            channels,
            _torchaudio_transform(rate_in_hz, rate_out_hz, device),
            ceil(_FILTER_WIDTH * max(1.0, rate_in_hz / rate_out_hz) / _ROLLOFF) + 1,
            target_length_samples=target_length_samples,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """What resamples in a run, and what the manifest says of it."""

    make: MakeResampler
    name: str
    settings: dict[str, str]


def choose(wanted: ResamplerName, device: str) -> Resampling:
    """`auto` is torchaudio where the run computes on a CUDA device and torchaudio is installed, and soxr elsewhere.

    Raises UsageError when torchaudio is asked for and cannot be imported.
    """
    soxr = Resampling(make=Resampler, name="soxr", settings={"soxr": version("soxr"), "resampler_quality": "soxr VHQ"})
    if wanted == "soxr" or (wanted == "auto" and not device.startswith("cuda")):
        return soxr
    try:
        _import_torchaudio()
    except UsageError:
        if wanted == "torchaudio":
            raise
        return soxr

    place = device if device.startswith("cuda") else "cpu"  # Apple's GPUs have no float64

    def make(
        rate_in_hz: int, rate_out_hz: int, channels: int, *, target_length_samples: int | None = None
    ) -> BlockResampler:
        kind = Resampler if rate_in_hz == rate_out_hz else partial(TorchaudioResampler, device=place)
        return kind(rate_in_hz, rate_out_hz, channels, target_length_samples=target_length_samples)

    quality = f"torchaudio sinc_interp_kaiser, width {_FILTER_WIDTH}, on {place}"
    settings = {"torchaudio": version("torchaudio"), "resampler_quality": quality}
    return Resampling(make=make, name="torchaudio", settings=settings)


def _import_torchaudio() -> Any:
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, OSError) as exc:  # OSError: built for another torch
        raise UsageError("torchaudio cannot be imported; install daw-bridge[torchaudio], or let soxr resample") from exc


def _torchaudio_transform(rate_in_hz: int, rate_out_hz: int, device: str) -> Transform:
    torchaudio = _import_torchaudio()
    import torch

    kernel: Any = torchaudio.transforms.Resample(
        rate_in_hz,
        rate_out_hz,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=_FILTER_WIDTH,
        rolloff=_ROLLOFF,
        beta=_BETA,
        dtype=torch.float64,  # kept as float32 its kernel is 40 dB farther from the truth
    ).to(device)

    def transform(block: FloatArray) -> FloatArray:
        with torch.inference_mode():
            result: FloatArray = kernel(torch.from_numpy(block).to(device, torch.float64)).float().cpu().numpy()
        return result

    return transform
