"""The sizes of an MDX23C network; no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daw_bridge.errors import ModelError

_NORM = re.compile(r"InstanceNorm|BatchNorm|GroupNorm(\d{1,4})")
_ACTIVATION = re.compile(r"gelu|relu|elu(\d+(\.\d+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mdx23cConfig:
    """The sizes. `norm` is "InstanceNorm", "BatchNorm" or "GroupNorm" with a count; `activation` "gelu", "relu" or
    "elu" with its alpha."""

    stems: int
    channels: int = 2
    fft_samples: int = 2048
    hop_samples: int = 512
    bins_used: int = 1024
    subbands: int = 4
    scales: int = 5
    scale: tuple[int, int] = (2, 2)
    blocks_per_scale: int = 2
    width: int = 128
    growth: int = 128
    bottleneck: int = 4
    norm: str = "InstanceNorm"
    activation: str = "gelu"

    def __post_init__(self) -> None:
        groups = _NORM.fullmatch(self.norm)
        if groups is None or (groups[1] and (int(groups[1]) < 1 or self.width % int(groups[1]))):
            raise ModelError(f"norm: {self.norm!r} is not known; InstanceNorm, BatchNorm or GroupNorm and a number are")
        if not _ACTIVATION.fullmatch(self.activation):
            raise ModelError(f"act: {self.activation!r} is not known; gelu, relu or elu and a number are")
        step = self.subbands * self.scale[1] ** self.scales
        if self.bins_used % step or not 0 < self.bins_used <= self.fft_samples // 2 + 1:
            raise ModelError(
                f"dim_f: {self.bins_used} bins; a multiple of {step} up to {self.fft_samples // 2 + 1} is needed"
            )
