"""The sizes of an SCNet; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from daw_bridge.errors import ModelError
from daw_bridge.separation.model_info import FOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class ScnetConfig:
    """The sizes; three bands everywhere: low, mid, high."""

    sources: tuple[str, ...] = FOUR
    channels: int = 2
    dims: tuple[int, ...] = (4, 32, 64, 128)
    fft_samples: int = 4096
    hop_samples: int = 1024
    window_samples: int = 4096
    normalised_fft: bool = True
    band_shares: tuple[float, ...] = (0.175, 0.392, 0.433)
    band_strides: tuple[int, ...] = (1, 4, 16)
    band_kernels: tuple[int, ...] = (3, 4, 16)
    conv_depths: tuple[int, ...] = (3, 2, 1)
    compress: int = 4
    conv_kernel: int = 3
    dual_path_layers: int = 6
    expand: int = 1
    masked: bool = False

    def __post_init__(self) -> None:
        for name in ("band_shares", "band_strides", "band_kernels", "conv_depths"):
            if len(getattr(self, name)) != 3:
                raise ModelError(f"SCNet has three bands; {name} gives {len(getattr(self, name))} values")
        if self.dims[0] != 2 * self.channels:
            raise ModelError(f"SCNet with {self.channels} channels begins with dims {2 * self.channels}")
