"""How a BSRNN mix is cut into chunks and put together again, as the published program does it.

The network hears a whole chunk at once (attention, norms and both LSTM directions reach over all of it), so its output
depends on where the cuts are; published results need the published cuts. `Fader` is upstream's default, `OverlapAdd`
its other mode. Both are a list of spans with a weight each, whose weighted outputs add up to the stems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from daw_bridge.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One chunk [start, end) of the mix, silence outside it; linear fades at its ends, `gain_linear` over all."""

    start: int
    end: int
    fade_in_samples: int = 0
    fade_out_samples: int = 0
    gain_linear: float = 1.0

    @property
    def length(self) -> int:
        return self.end - self.start

    def weigh(self, stems: Tensor) -> Tensor:
        """The output of the network for this span (..., length) with its fades and gain."""
        weighed = stems * self.gain_linear
        if self.fade_in_samples:
            weighed[..., : self.fade_in_samples] *= torch.linspace(0.0, 1.0, self.fade_in_samples)
        if self.fade_out_samples:
            weighed[..., -self.fade_out_samples :] *= torch.linspace(1.0, 0.0, self.fade_out_samples)
        return weighed


class Chunking(Protocol):
    """A way to cut."""

    def spans(self, length_samples: int, sample_rate_hz: int) -> list[Span]:
        """All chunks in order of their starts; what precedes a chunk's start is final when that chunk is next."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fader:
    """Chunks that overlap by `overlap` of a segment and cross-fade there: 11 s, then 12 s each, by default."""

    segment_s: float = 10.0
    overlap: float = 0.1

    def __post_init__(self) -> None:
        if self.segment_s <= 0.0 or not 0.0 < self.overlap < 1.0:
            raise UsageError(f"segment {self.segment_s:g} s, overlap {self.overlap:g}: give above 0, and 0 to 1")

    def spans(self, length_samples: int, sample_rate_hz: int) -> list[Span]:
        step = int(sample_rate_hz * self.segment_s * (1.0 + self.overlap))
        fade = int(sample_rate_hz * self.segment_s * self.overlap)
        if fade < 1 or step <= 2 * fade:
            raise UsageError(f"a segment of {self.segment_s:g} s with overlap {self.overlap:g} cannot be cross-faded")
        count = max(1, -(-length_samples // step))
        return [
            Span(
                start=index * step - fade if index else 0,
                end=min((index + 1) * step, length_samples),
                fade_in_samples=fade if index else 0,
                fade_out_samples=fade if index < count - 1 else 0,
            )
            for index in range(count)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapAdd:
    """Chunks of `segment_s` every `hop_s`, averaged: smoother and `segment_s / hop_s` times as slow."""

    segment_s: float = 10.0
    hop_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0.0 < self.hop_s <= self.segment_s:
            raise UsageError(f"a hop of {self.hop_s:g} s does not cover segments of {self.segment_s:g} s")

    def spans(self, length_samples: int, sample_rate_hz: int) -> list[Span]:
        segment, hop = int(sample_rate_hz * self.segment_s), int(sample_rate_hz * self.hop_s)
        if hop < 1:
            raise UsageError(f"a hop of {self.hop_s:g} s is less than a sample")
        return [
            Span(start=start, end=start + segment, gain_linear=hop / segment)
            for start in range(-segment, length_samples, hop)
        ]
