"""SCNet among the families, plain and masked: the checkpoint tells which."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daw_bridge.separation.families.community.family import CommunityFamily
from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.scnet.config import ScnetConfig
from daw_bridge.separation.families.scnet.models import MODELS, SETTINGS
from daw_bridge.separation.model_info import FOUR

if TYPE_CHECKING:
    from torch import nn

    from daw_bridge.separation.families.community.checkpoint import State
    from daw_bridge.separation.families.community.config import Config

_KNOWN = (
    "sources", "audio_channels", "dims", "nfft", "hop_size", "win_size", "normalized", "band_SR", "band_stride",
    "band_kernel", "conv_depths", "compress", "conv_kernel", "num_dplayer", "expand",
)  # fmt: skip


class ScnetFamily(CommunityFamily):
    """See `CommunityFamily`."""

    models = MODELS
    settings = SETTINGS
    broken_on = {"mps": "SCNet's recurrences give wrong samples there (reported for torch 2.13)"}  # noqa: RUF012

    def read(self, config: Config) -> Settings[ScnetConfig]:
        model = config.model
        model.refuse_unknown(_KNOWN, ("type", "model_type"), "SCNet")
        usual = ScnetConfig()
        fft = model.whole("nfft", 4096, least=16, most=1 << 17)
        network = ScnetConfig(
            sources=config.stems or tuple(name.lower() for name in model.texts("sources")) or FOUR,
            channels=model.whole("audio_channels", 2, most=2),
            dims=model.wholes("dims", usual.dims),
            fft_samples=fft,
            hop_samples=model.whole("hop_size", 1024, most=fft),
            window_samples=model.whole("win_size", 4096, most=fft),
            normalised_fft=model.flag("normalized", default=True),
            band_shares=model.numbers("band_SR", usual.band_shares),
            band_strides=model.wholes("band_stride", usual.band_strides),
            band_kernels=model.wholes("band_kernel", usual.band_kernels),
            conv_depths=model.wholes("conv_depths", usual.conv_depths),
            compress=model.whole("compress", 4, most=256),
            conv_kernel=model.whole("conv_kernel", 3, most=255),
            dual_path_layers=model.whole("num_dplayer", 6, most=256),
            expand=model.whole("expand", 1, most=64),
        )
        return Settings(
            network=network,
            stems=network.sources,
            chunk_samples=config.chunk_samples,
            overlaps=config.overlaps,
            normalise=config.normalise,
            sample_rate_hz=config.sample_rate_hz,
            channels=network.channels,
        )

    def build(self, settings: Settings[Any], state: State) -> nn.Module:
        from daw_bridge.separation.families.scnet.network import Scnet

        return Scnet(replace(settings.network, masked="pos_embed_f" in state))

    def make_ready(self, network: nn.Module) -> None:
        network.fold_double()  # type: ignore[operator]

    def activations_gb(self, settings: Settings[Any], stems: int) -> float:
        config: ScnetConfig = settings.network
        frames = settings.chunk_samples // config.hop_samples + 1
        bins = config.fft_samples // 2 + 1
        first = config.dims[1] * bins * frames
        # Measured on the published sizes, plain and masked: 1.16 to 1.31 GiB, by where the heap happens to put things.
        return 4 * (5.1 * first + 4 * stems * config.channels * settings.chunk_samples) / 1024.0**3
