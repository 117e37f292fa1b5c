"""The sizes of a RoFormer; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from daw_bridge.separation.families.roformer.bands import DEFAULT_BINS_PER_BAND, Band, cut_bands, mel_bands


@dataclass(frozen=True, slots=True, kw_only=True)
class RoformerConfig:
    """The sizes. `mel_band_count` None: bands side by side, `bins_per_band` wide.

    `zero_dc` removes the lowest bin of every stem (about 0 to 20 Hz), as the reference has done since September 2025;
    networks from before were trained without.
    """

    dim: int
    depth: int
    stems: int = 1
    channels: int = 2
    time_depth: int = 1
    freq_depth: int = 1
    heads: int = 8
    head_dim: int = 64
    feed_forward_factor: int = 4
    fft_samples: int = 2048
    hop_samples: int = 512
    window_samples: int = 2048
    normalised_fft: bool = False
    mel_band_count: int | None = None
    bins_per_band: tuple[int, ...] = DEFAULT_BINS_PER_BAND
    mask_hidden_layers: int = 1
    mask_factor: int = 4
    skip_connection: bool = False
    sample_rate_hz: int = 44_100
    zero_dc: bool = False

    @property
    def bands(self) -> tuple[Band, ...]:
        """Raises ModelError when the bands do not cover the spectrum."""
        if self.mel_band_count is None:
            return cut_bands(self.bins_per_band, self.fft_samples // 2 + 1)
        return mel_bands(self.mel_band_count, fft_samples=self.fft_samples, sample_rate_hz=self.sample_rate_hz)
