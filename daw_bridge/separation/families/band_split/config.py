"""What the band-split network looks like, for those who run it without torch too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSplitConfig:
    """All that decides the shape of the network and of its transform; stored beside the weights."""

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate_hz: int = 44_100
    window_samples: int = 2048
    hop_samples: int = 512
    features: int = 32
    time_hidden: int = 64
    band_hidden: int = 32
    mask_hidden: int = 48
    layers: int = 4
    mask_detail: bool = False
    causal: bool = True

    @property
    def bins(self) -> int:
        return self.window_samples // 2 + 1

    @property
    def latency_samples(self) -> int:
        """How long after a sample came in its stems can come out: two hops."""
        return 2 * self.hop_samples

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"sources": list(self.sources)}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> BandSplitConfig:
        """Raises TypeError on unknown keys."""
        known = dict(values)
        sources = known.pop("sources", cls().sources)
        if not isinstance(sources, list | tuple):
            raise TypeError("sources must be a list of stem names")
        return cls(sources=tuple(str(name) for name in sources), **known)  # type: ignore[arg-type]
