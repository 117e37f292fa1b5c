"""MDX23C among the families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.community.family import CommunityFamily
from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig
from daw_bridge.separation.families.mdx23c.models import MODELS, SETTINGS

if TYPE_CHECKING:
    from torch import nn

    from daw_bridge.separation.families.community.checkpoint import State
    from daw_bridge.separation.families.community.config import Config

_KNOWN = (
    "act", "bottleneck_factor", "growth", "norm", "num_blocks_per_scale", "num_channels", "num_scales",
    "num_subbands", "scale",
)  # fmt: skip


class Mdx23cFamily(CommunityFamily):
    """See `CommunityFamily`."""

    models = MODELS
    settings = SETTINGS

    def read(self, config: Config) -> Settings[Mdx23cConfig]:
        model, audio = config.model, config.audio
        model.refuse_unknown(_KNOWN, ("type", "model_type"), "MDX23C")
        scale = model.wholes("scale", (2, 2))
        if len(scale) != 2:
            raise model.values["scale"].error("scale: two numbers are needed, of frames and of bins")
        fft = audio.whole("n_fft", 8192, least=16, most=1 << 17)
        network = Mdx23cConfig(
            stems=len(config.stems),
            channels=audio.whole("num_channels", 2, most=2),
            fft_samples=fft,
            hop_samples=audio.whole("hop_length", 1024, most=fft),
            bins_used=audio.whole("dim_f"),
            subbands=model.whole("num_subbands", most=64),
            scales=model.whole("num_scales", most=16),
            scale=(scale[0], scale[1]),
            blocks_per_scale=model.whole("num_blocks_per_scale", most=64),
            width=model.whole("num_channels", most=1 << 14),
            growth=model.whole("growth", least=0, most=1 << 14),
            bottleneck=model.whole("bottleneck_factor", most=1024),
            norm=model.text("norm", ""),
            activation=model.text("act", ""),
        )
        settings = Settings(
            network=network,
            stems=config.stems,
            chunk_samples=config.chunk_samples,
            overlaps=config.overlaps,
            normalise=config.normalise,
            sample_rate_hz=config.sample_rate_hz,
            channels=network.channels,
        )
        if self.fitting_chunk(settings, settings.chunk_samples) != settings.chunk_samples:
            raise ModelError(
                f"{config.root.file}: audio.chunk_size: {settings.chunk_samples} samples do not divide into this "
                f"network's scales; {self.fitting_chunk(settings, settings.chunk_samples)} would"
            )
        return settings

    def build(self, settings: Settings[Any], state: State) -> nn.Module:
        from daw_bridge.separation.families.mdx23c.network import Mdx23c

        del state
        return Mdx23c(settings.network)

    def activations_gb(self, settings: Settings[Any], stems: int) -> float:
        config: Mdx23cConfig = settings.network
        frames = settings.chunk_samples // config.hop_samples + 1
        first = config.width * (config.bins_used // config.subbands) * frames
        return 4 * (9.0 * first + 4 * stems * config.channels * settings.chunk_samples) / 1024.0**3

    def fitting_chunk(self, settings: Settings[Any], samples: int) -> int:
        """Frames have to divide by the scales all the way down."""
        config: Mdx23cConfig = settings.network
        step: int = config.scale[0] ** config.scales
        frames = max(1, round((samples / config.hop_samples + 1) / step)) * step
        chunk: int = (frames - 1) * config.hop_samples
        return chunk
