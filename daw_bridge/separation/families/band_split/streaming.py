"""The causal model fed block by block: explicit state in, explicit state out, any block size.

A block of any length runs all the frames that it completes in one pass of the network, so the same code serves a live
host (a frame per block) and a whole song (thousands per block), and both give the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.windows import asymmetric_windows

FloatArray = NDArray[np.float32]
NetworkState = tuple[FloatArray, FloatArray]

_SILENCE = 1e-15  # -300 dBFS: anything smaller is rounded to zero, so fading tails never reach denormal numbers
_CEILING = 1e6  # +120 dBFS: no finite input may overflow a power spectrum


class Engine(Protocol):
    """Runs the network over frames; which library does it is nobody else's business."""

    @property
    def config(self) -> BandSplitConfig: ...

    def initial_state(self) -> NetworkState: ...

    def run(self, spectrum: FloatArray, state: NetworkState) -> tuple[FloatArray, NetworkState]:
        """Stems' spectra (frames, sources, 4, bins) of the mix's (frames, 4, bins), and the state after."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """All that the model remembers between blocks. Never changed in place: keep one to go back to it."""

    history: FloatArray
    """The samples that frames to come still look back on, (2, n)."""
    overlap: FloatArray
    """The half-finished hop of mid and side of each stem, (sources, 2, hop)."""
    network: NetworkState
    started: bool
    repaired_samples: int
    """How many input samples were not finite, or absurdly loud, and were replaced."""


class StreamingModel:
    """`state = model.initial_state()`, then `stems, state = model.step(block, state)` for as long as there is sound.

    The stems that come out, laid end to end, are aligned with the input from its first sample on: they only come
    `latency_samples` (at most) later. All stems sum to the input.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.config = engine.config
        if not self.config.causal:
            raise ValueError("only a causal network can run block by block")
        self._analysis, self._synthesis = asymmetric_windows(self.config.window_samples, self.config.hop_samples)

    @property
    def sources(self) -> tuple[str, ...]:
        return self.config.sources

    @property
    def latency_samples(self) -> int:
        """An input sample's stems are out at the latest when this many samples, itself included, have come in."""
        return self.config.latency_samples

    def initial_state(self) -> StreamState:
        config = self.config
        return StreamState(
            history=np.zeros((2, config.window_samples - config.hop_samples), np.float32),
            overlap=np.zeros((len(config.sources), 2, config.hop_samples), np.float32),
            network=self.engine.initial_state(),
            started=False,
            repaired_samples=0,
        )

    def step(self, block: FloatArray, state: StreamState) -> tuple[FloatArray, StreamState]:
        """Stems (sources, 2, m) that `block` (2, n) completes, and the state after it; m is 0 while a hop fills up.

        NaN, infinite and absurdly loud samples are replaced and counted. Raises ValueError unless `block` is (2, n).
        """
        if block.ndim != 2 or block.shape[0] != 2:
            raise ValueError(f"a block has shape (2, samples), not {block.shape}")
        clean, repaired = _clean(block)
        samples = np.concatenate((state.history, clean), axis=1)
        window, hop = self.config.window_samples, self.config.hop_samples
        frames = max(0, (samples.shape[1] - window) // hop + 1)
        network, overlap, started = state.network, state.overlap, state.started
        out = np.zeros((len(self.config.sources), 2, 0), np.float32)
        if frames:
            estimates, network = self.engine.run(self._analyse(samples, frames), network)
            out, overlap = self._synthesise(estimates, overlap)
            if not started:
                out, started = out[:, :, hop:], True
        return out, StreamState(
            history=samples[:, frames * hop :].copy(),
            overlap=overlap,
            network=network,
            started=started,
            repaired_samples=state.repaired_samples + repaired,
        )

    def _analyse(self, samples: FloatArray, frames: int) -> FloatArray:
        """Spectra of mid and side, (frames, 4, bins)."""
        window, hop = self.config.window_samples, self.config.hop_samples
        middle_side = np.stack((samples[0] + samples[1], samples[0] - samples[1])) * np.float32(0.5)
        views = np.lib.stride_tricks.sliding_window_view(middle_side, window, axis=1)[:, ::hop][:, :frames]
        spectrum = np.fft.rfft(views * self._analysis).astype(np.complex64, copy=False)
        parts = np.stack((spectrum[0].real, spectrum[0].imag, spectrum[1].real, spectrum[1].imag), axis=1)
        return np.ascontiguousarray(parts)

    def _synthesise(self, estimates: FloatArray, overlap: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Finished hops as left and right (sources, 2, frames * hop), and the new half-finished hop."""
        hop = self.config.hop_samples
        spectrum = np.empty((*estimates.shape[:2], 2, estimates.shape[3]), np.complex64)
        spectrum.real, spectrum.imag = estimates[:, :, 0::2], estimates[:, :, 1::2]
        frames = np.asarray(np.fft.irfft(spectrum, n=self.config.window_samples), np.float32)
        tails = frames[..., -2 * hop :] * self._synthesis
        done = tails[..., :hop].copy()
        done[1:] += tails[:-1, ..., hop:]
        done[0] += overlap
        middle, side = done[:, :, 0], done[:, :, 1]
        stereo = np.stack((middle + side, middle - side), axis=2)  # (frames, sources, 2, hop)
        return stereo.transpose(1, 2, 0, 3).reshape(stereo.shape[1], 2, -1), tails[-1, ..., hop:].copy()


def _clean(block: FloatArray) -> tuple[FloatArray, int]:
    """`block` as finite float32 without denormal numbers, and how many samples had to be replaced."""
    x = np.asarray(block, dtype=np.float32)
    magnitude = np.abs(x)
    good = magnitude <= _CEILING  # False for NaN too
    if good.all():
        return np.where(magnitude < _SILENCE, np.float32(0), x), 0
    return np.where(good & (magnitude >= _SILENCE), x, np.float32(0)), int(np.count_nonzero(~good))
