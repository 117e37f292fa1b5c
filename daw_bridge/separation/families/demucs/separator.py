"""The Demucs family behind the streaming engine: normalisation, bags, shifts, and no work that nobody asked for.

Equal to `demucs.apply.apply_model(shifts=0)` within 1e-5 for the same weights. Shifts differ on purpose: demucs draws
random ones, here N shifts are 0, 1/N, 2/N ... of half a second, so that the same input gives the same output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.engine.lanes import Lane, Member, stride_of
from daw_bridge.separation.engine.memory import GIB, Ladder, Need, OnRungs, Rung
from daw_bridge.separation.engine.overlap_add import NormalisedMix
from daw_bridge.separation.engine.runners import run_lanes
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.engine.speed import strict_fp32
from daw_bridge.separation.families.demucs import networks as net
from daw_bridge.separation.families.demucs.bag import Bag

SHIFT_RANGE_S = 0.5
"""Shifts lie within half a second, as in demucs."""

_STATISTICS_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a bag is to be run; all that influences the samples is here.

    `segment_s` None: the networks' own. `stems` None: all of them.
    """

    stems: tuple[str, ...] | None = None
    overlap: float = 0.25
    segment_s: float | None = None
    shifts: int = 0
    allow_tf32: bool = False


class DemucsSeparator(OnRungs):
    """A bag of Demucs networks as a `Separator`."""

    def __init__(self, name: str, bag: Bag, plan: Plan, rungs: Sequence[Rung], note: Callable[[str], None]) -> None:
        self.name = name
        self.weights_sha256 = bag.sha256
        self.sample_rate_hz = bag.networks[0].sample_rate_hz
        self.channels = bag.networks[0].channels
        kept = [index for index, source in enumerate(bag.sources) if plan.stems is None or source in plan.stems]
        self.sources = tuple(bag.sources[index] for index in kept)
        super().__init__(rungs)
        self._plan, self._note = plan, note
        self._modules: list[nn.Module] = []
        self._lanes = self._build_lanes(bag, kept)

    @property
    def segment_samples(self) -> tuple[int, ...]:
        return tuple(lane.segment_samples for lane in self._lanes)

    def _build_lanes(self, bag: Bag, kept: Sequence[int]) -> list[Lane]:
        """One lane per shift and segment length, with only the networks that have a share in a kept stem."""
        totals = [sum(row[index] for row in bag.bag_weights) for index in kept]
        shifts = max(1, self._plan.shifts)
        by_segment: dict[int, list[Member]] = {}
        for network, row in zip(bag.networks, bag.bag_weights, strict=True):
            rows = [place for place, index in enumerate(kept) if row[index] != 0.0]
            if not rows:
                continue
            if bag.segment_s is not None:
                network.set_segment(bag.segment_s)
            segment = network.segment_samples(self._plan.segment_s)
            shares = tuple(row[kept[place]] / totals[place] / shifts for place in rows)
            member = self._add_network(network, [kept[place] for place in rows], tuple(rows), shares)
            by_segment.setdefault(segment, []).append(member)
        span = int(SHIFT_RANGE_S * self.sample_rate_hz)
        return [
            Lane(
                segment_samples=segment,
                stride_samples=stride_of(segment, self._plan.overlap),
                members=tuple(members),
                lead_samples=span * shift // shifts,
            )
            for shift in range(shifts)
            for segment, members in by_segment.items()
        ]

    def _add_network(
        self, network: net.Network, kept: Sequence[int], rows: tuple[int, ...], shares: tuple[float, ...]
    ) -> Member:
        wanted_s = self._plan.segment_s
        original = replace(network)
        net.keep_sources(network, kept)
        net.prepare(network)
        self._modules.append(network.module)
        return Member(
            network=len(self._modules) - 1,
            stems=rows,
            shares=shares,
            input_samples=lambda chunk: original.input_samples(chunk, wanted_s),
        )

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
        mean, deviation = mono_statistics(source, cancel)
        mix = NormalisedMix(source=source, channels=self.channels, mean=mean, deviation=deviation)

        def denormalise(block: Tensor) -> None:
            emit((block * deviation + mean).numpy())

        with strict_fp32(allow_tf32=self._plan.allow_tf32):
            run_lanes(
                self._lanes,
                mix,
                self._modules,
                Ladder(self.rungs, self._note),
                stems=len(self.sources),
                start_samples=start_samples,
                emit=denormalise,
                on_progress=on_progress,
                cancel=cancel,
            )


def mono_statistics(source: SampleSource, cancel: CancelToken) -> tuple[float, float]:
    """Mean and unbiased standard deviation (+ 1e-8) of the mono mix, as demucs normalises; one pass, in float64.

    Blocks are merged after Chan, Golub and LeVeque (1979), which does not cancel digits.
    """
    count, mean, squares = 0, 0.0, 0.0
    source.seek(0)
    while True:
        cancel.check()
        block = source.read(_STATISTICS_BLOCK)
        size = block.shape[-1]
        if size == 0:
            break
        mono = block.mean(axis=0, dtype=np.float64)
        block_mean = float(mono.mean())
        delta = block_mean - mean
        squares += float(np.square(mono - block_mean).sum()) + delta * delta * count * size / (count + size)
        mean += delta * size / (count + size)
        count += size
    return mean, (math.sqrt(squares / (count - 1)) if count > 1 else 0.0) + 1e-8


def need_of(bag: Bag, per_segment_gb: float, segment_ratio: float) -> Need:
    """What a run of this bag takes: its weights once, and the activations per segment, scaled by the segment length."""
    size = sum(network.size_bytes for network in bag.networks)
    return Need(weights_gb=size / GIB, per_segment_gb=per_segment_gb * segment_ratio)
