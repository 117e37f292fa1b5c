"""A community model as a `Separator`: the published chunks, streamed in constant memory, resumable at any sample.

The chunks are those of the MSST project's `demix` with one chunk a batch, to which all published configs refer; what is
left out on purpose: that results depend on the batch size, half precision, and any change of level of single stems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.engine.lanes import Lane, Member
from daw_bridge.separation.engine.memory import Ladder, OnRungs, Rung
from daw_bridge.separation.engine.overlap_add import NormalisedMix
from daw_bridge.separation.engine.runners import run_lanes
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.engine.speed import strict_fp32

_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """The published rule: chunks every `chunk_samples // overlaps` samples. `shifts` averages grids in between."""

    chunk_samples: int
    overlaps: int
    shifts: int = 1
    normalise: bool = False

    def lanes(self, length_samples: int, stems: int) -> list[Lane]:
        """One grid a shift over a mix of this length."""
        stride = self.chunk_samples // self.overlaps
        border = self.chunk_samples - stride
        if length_samples <= 2 * border:
            border = 0
        every = tuple(range(stems))
        member = Member(
            network=0, stems=every, shares=(1.0 / self.shifts,) * stems, input_samples=lambda _count: self.chunk_samples
        )
        return [
            Lane(
                segment_samples=self.chunk_samples,
                stride_samples=stride,
                members=(member,),
                lead_samples=border + (stride * shift // self.shifts if border else 0),
                trail_samples=border,
                fade_samples=self.chunk_samples // 10,
            )
            for shift in range(self.shifts)
        ]


class CommunitySeparator(OnRungs):
    """One network with its chunks. `sources` are the stems that are asked for, in the network's order."""

    def __init__(
        self,
        name: str,
        network: nn.Module,
        sources: Sequence[str],
        chunks: Chunks,
        rungs: Sequence[Rung],
        *,
        sample_rate_hz: int = 44_100,
        channels: int = 2,
        allow_tf32: bool = False,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(rungs)
        self.name, self.sources = name, tuple(sources)
        self.sample_rate_hz, self.channels = sample_rate_hz, channels
        self._network, self._chunks = network, chunks
        self._allow_tf32, self._note = allow_tf32, note

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """See `Separator.run`."""
        if start_samples >= source.length_samples:
            return
        mean, deviation = _statistics(source, cancel) if self._chunks.normalise else (0.0, 1.0)

        def back(block: Tensor) -> None:
            emit((block * deviation + mean if self._chunks.normalise else block).numpy())

        with strict_fp32(allow_tf32=self._allow_tf32):
            run_lanes(
                self._chunks.lanes(source.length_samples, len(self.sources)),
                NormalisedMix(source=source, channels=self.channels, mean=mean, deviation=deviation),
                [self._network],
                Ladder(self.rungs, self._note),
                stems=len(self.sources),
                start_samples=start_samples,
                emit=back,
                on_progress=on_progress,
                cancel=cancel,
            )


def _statistics(source: SampleSource, cancel: CancelToken) -> tuple[float, float]:
    """Mean and (biased) standard deviation of the mono mix, as the reference normalises; 1 where there is none."""
    count, total, squares = 0, 0.0, 0.0
    source.seek(0)
    while (block := source.read(_BLOCK_SAMPLES)).shape[-1]:
        cancel.check()
        mono = block.mean(axis=0, dtype=np.float64)
        count, total, squares = count + len(mono), total + float(mono.sum()), squares + float(np.square(mono).sum())
    mean = total / max(1, count)
    return mean, math.sqrt(max(0.0, squares / max(1, count) - mean * mean)) or 1.0


def overlaps_for(overlap: float) -> int:
    """How many chunks hear each sample when a chunk shares this part of itself with the next."""
    return max(2, round(1.0 / (1.0 - overlap)))


def weights_gb(network: nn.Module) -> float:
    """What the weights take, in GB."""
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters()) / 1024.0**3
