"""A grid of segments over the mix, and the sums of what has been computed on it so far.

A `Lane` is one grid. A bag whose members share a segment length is one lane; a member with its own length, or a time
shift, is a lane of its own. Segments are weighed and padded by one of two rules: demucs' (triangles, silence around
the mix), or the community's (short fades, borders that mirror the mix; see `faded`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from daw_bridge.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network on a lane: the emitted stems that its outputs add to, and the share it has in each.

    `input_samples(n)` is the length that the network wants for a chunk of n samples (>= n); the surplus is filled
    with the mix around the chunk, as demucs does.
    """

    network: int
    stems: tuple[int, ...]
    shares: tuple[float, ...]
    input_samples: Callable[[int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One grid: segments of `segment_samples` every `stride_samples`, over the mix behind `lead_samples` of silence.

    With `fade_samples` the rule is the community's: lead and trail mirror the mix, and a cut segment is filled up
    on its right, with its mirror image where more than half of it is there, else with silence.
    """

    segment_samples: int
    stride_samples: int
    members: tuple[Member, ...]
    lead_samples: int = 0
    trail_samples: int = 0
    fade_samples: int | None = None


def stride_of(segment_samples: int, overlap: float) -> int:
    """Samples between two segments, as demucs rounds it; UsageError when none are left."""
    stride = int((1 - overlap) * segment_samples)
    if stride < 1:
        raise UsageError(f"an overlap of {overlap:g} leaves no step between segments; use 0.25 to 0.9")
    return stride


def triangle(segment_samples: int) -> Tensor:
    """The weight of a segment, rising to 1 in its middle; shape (segment_samples,)."""
    half = segment_samples // 2
    rise = torch.arange(1, half + 1)
    fall = torch.arange(segment_samples - half, 0, -1)
    ramp = torch.cat([rise, fall])
    return ramp / ramp.max()


def faded(segment_samples: int, fade_samples: int) -> Tensor:
    """Ones between two straight fades; shape (segment_samples,)."""
    weight = torch.ones(segment_samples)
    if fade_samples:
        weight[:fade_samples] = torch.linspace(0, 1, fade_samples)
        weight[-fade_samples:] = torch.linspace(1, 0, fade_samples)
    return weight


@dataclass(slots=True)
class LaneState:
    """The accumulators of a lane. `base` is the lane position of their first sample, `left` what is still to come."""

    lane: Lane
    length: int
    left: int
    weight: Tensor
    next_segment: int
    base: int
    drop: int
    sums: Tensor
    weights: Tensor
    ready: list[Tensor] = field(default_factory=list)

    @classmethod
    def at(
        cls, lane: Lane, length: int, start: int, batch: int, shape: tuple[int, int], device: torch.device
    ) -> LaneState:
        """Begin so that the mix samples from `start` on come out whole."""
        first = max(0, (start + lane.lead_samples - lane.segment_samples) // lane.stride_samples + 1)
        first -= first % batch
        base = first * lane.stride_samples
        fade, segment = lane.fade_samples, lane.segment_samples
        return cls(
            lane,
            length + lane.lead_samples + lane.trail_samples,
            length - start,
            (triangle(segment) if fade is None else faded(segment, fade)).to(device),
            first,
            base,
            start + lane.lead_samples - base,
            torch.zeros(*shape, 0, device=device),
            torch.zeros(0, device=device),
        )

    def offset(self, segment: int) -> int:
        return segment * self.lane.stride_samples

    @property
    def done(self) -> bool:
        return self.offset(self.next_segment) >= self.length

    def next_group(self, batch: int) -> tuple[int, ...]:
        """The segments of the next batch. Batches begin at multiples of `batch`; a cut segment goes alone."""
        first = self.next_segment
        whole = max(0, (self.length - self.lane.segment_samples) // self.lane.stride_samples + 1)
        end = min((first // batch + 1) * batch, whole) if first < whole else first + 1
        self.next_segment = end
        return tuple(range(first, end))

    def add(self, member: Member, segment: int, output: Tensor, *, is_first: bool) -> None:
        """Add one segment's output, shape (stems of the member, channels, input samples)."""
        offset = self.offset(segment)
        count = min(self.lane.segment_samples, self.length - offset)
        surplus = (output.shape[-1] - count) // 2 if self.lane.fade_samples is None else 0
        chunk = output[..., surplus : surplus + count]
        first = offset - self.base
        self._grow(first + count)
        weight = self._weight_of(offset)[:count]
        for row, share, stem in zip(member.stems, member.shares, chunk, strict=True):
            weighted = weight * stem
            self.sums[row, :, first : first + count] += weighted if share == 1.0 else weighted * share
        if is_first:
            self.weights[first : first + count] += weight

    def _weight_of(self, offset: int) -> Tensor:
        """Nothing fades at the beginning and at the end of the lane, where no other segment would fill it up."""
        fade = self.lane.fade_samples
        first, last = offset == 0, offset + self.lane.stride_samples >= self.length
        if not fade or not (first or last):
            return self.weight
        weight = self.weight.clone()
        if first:
            weight[:fade] = 1
        if last:
            weight[-fade:] = 1
        return weight

    def _grow(self, size: int) -> None:
        missing = size - self.sums.shape[-1]
        if missing > 0:
            self.sums = torch.nn.functional.pad(self.sums, (0, missing))
            self.weights = torch.nn.functional.pad(self.weights, (0, missing))

    def close(self, position: int) -> None:
        """Everything before the lane position is final: divide by the weights and hand it to `ready`."""
        count = position - self.base
        block = self.sums[..., :count] / self.weights[:count]
        self.sums = self.sums[..., count:].clone()
        self.weights = self.weights[count:].clone()
        self.base = position
        skip = min(self.drop, count)
        self.drop -= skip
        wanted = block[..., skip : skip + self.left]
        self.left -= wanted.shape[-1]
        if wanted.shape[-1]:
            self.ready.append(wanted)

    @property
    def available(self) -> int:
        return sum(block.shape[-1] for block in self.ready)

    def take(self, count: int) -> Tensor:
        whole = self.ready[0] if len(self.ready) == 1 else torch.cat(self.ready, -1)
        self.ready = [whole[..., count:]] if whole.shape[-1] > count else []
        return whole[..., :count]

    def move(self, device: torch.device) -> None:
        self.weight, self.sums, self.weights = self.weight.to(device), self.sums.to(device), self.weights.to(device)
        self.ready = [block.to(device) for block in self.ready]
