"""How a community model is to be run: the sizes of its network, its stems, and the published rule for its chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from daw_bridge.errors import ModelError

Sizes_co = TypeVar("Sizes_co", covariant=True)

LEAST_OVERLAPS = 2
"""With one, chunks only touch: the reference loses samples at every seam, and each seam clicks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Generic[Sizes_co]):
    """`overlaps` is how many chunks hear each sample; `normalise` brings the mix to deviation 1 and the stems back."""

    network: Sizes_co
    stems: tuple[str, ...]
    chunk_samples: int
    overlaps: int = 2
    normalise: bool = False
    sample_rate_hz: int = 44_100
    channels: int = 2

    def __post_init__(self) -> None:
        if not self.stems or len(set(self.stems)) != len(self.stems):
            raise ModelError(f"the stems of a model are distinct names; these are {', '.join(self.stems) or 'none'}")
        if self.chunk_samples < 1 or self.overlaps < 1:
            raise ModelError(f"chunks of {self.chunk_samples} samples, {self.overlaps} times over, cannot be computed")

    @property
    def segment_s(self) -> float:
        return self.chunk_samples / self.sample_rate_hz
