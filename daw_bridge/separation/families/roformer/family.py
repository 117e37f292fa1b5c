"""The RoFormers among the families: BS-RoFormer and Mel-Band RoFormer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.community.family import CommunityFamily
from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.roformer.bands import DEFAULT_BINS_PER_BAND
from daw_bridge.separation.families.roformer.config import RoformerConfig
from daw_bridge.separation.families.roformer.models import MODELS, SETTINGS

if TYPE_CHECKING:
    from torch import nn

    from daw_bridge.separation.families.community.checkpoint import State
    from daw_bridge.separation.families.community.config import Config

_SHARED = (
    "dim", "depth", "stereo", "num_stems", "time_transformer_depth", "freq_transformer_depth",
    "linear_transformer_depth", "dim_head", "heads", "stft_n_fft", "stft_hop_length", "stft_win_length",
    "stft_normalized", "mask_estimator_depth", "mlp_expansion_factor", "zero_dc", "skip_connection",
)  # fmt: skip
_OF_TRAINING = (
    "attn_dropout", "ff_dropout", "flash_attn", "sage_attention", "use_torch_checkpoint", "dim_freqs_in",
    "match_input_audio_length", "multi_stft_resolution_loss_weight", "multi_stft_resolutions_window_sizes",
    "multi_stft_hop_size", "multi_stft_normalized", "type", "model_type",
)  # fmt: skip


class RoformerFamily(CommunityFamily):
    """See `CommunityFamily`."""

    models = MODELS
    settings = SETTINGS

    def read(self, config: Config) -> Settings[RoformerConfig]:
        model = config.model
        mel = "num_bands" in model.values
        own = ("num_bands", "sample_rate") if mel else ("freqs_per_bands",)
        ignored = _OF_TRAINING if mel else (*_OF_TRAINING, "sample_rate")
        model.refuse_unknown((*_SHARED, *own), ignored, "a RoFormer")
        if model.whole("linear_transformer_depth", 0, least=0):
            raise ModelError(
                f"{config.root.file}: model.linear_transformer_depth: linear attention is not known here; "
                "no published checkpoint has it"
            )
        stems, count = config.stems, model.whole("num_stems", 1, most=512)
        if len(stems) != count:
            raise ModelError(
                f"{config.root.file}: the network makes {count} stem(s) (model.num_stems), but training names "
                f"{len(stems)}: {', '.join(stems[:5]) or 'none'}"
            )
        depth = model.whole("mask_estimator_depth", 1 if mel else 2, most=16)
        fft = model.whole("stft_n_fft", 2048, least=16, most=1 << 17)
        network = RoformerConfig(
            dim=model.whole("dim", most=1 << 14),
            depth=model.whole("depth", most=256),
            stems=count,
            channels=2 if model.flag("stereo", default=False) else 1,
            time_depth=model.whole("time_transformer_depth", 2, most=64),
            freq_depth=model.whole("freq_transformer_depth", 2, most=64),
            heads=model.whole("heads", 8, most=256),
            head_dim=model.whole("dim_head", 64, least=2, most=4096),
            fft_samples=fft,
            hop_samples=model.whole("stft_hop_length", 512, most=fft),
            window_samples=model.whole("stft_win_length", 2048, most=fft),
            normalised_fft=model.flag("stft_normalized", default=False),
            mel_band_count=model.whole("num_bands", 60, most=1024) if mel else None,
            bins_per_band=model.wholes("freqs_per_bands", DEFAULT_BINS_PER_BAND),
            mask_hidden_layers=depth if mel else depth - 1,
            mask_factor=model.whole("mlp_expansion_factor", 4, most=64),
            skip_connection=model.flag("skip_connection", default=False),
            sample_rate_hz=model.whole("sample_rate", 44_100, least=8_000, most=192_000),
            zero_dc=model.flag("zero_dc", default=False),
        )
        _ = network.bands  # raises what does not fit the spectrum
        return Settings(
            network=network,
            stems=stems,
            chunk_samples=config.chunk_samples,
            overlaps=config.overlaps,
            normalise=config.normalise,
            sample_rate_hz=config.sample_rate_hz,
            channels=network.channels,
        )

    def build(self, settings: Settings[Any], state: State) -> nn.Module:
        from daw_bridge.separation.families.roformer.network import Roformer

        del state
        return Roformer(settings.network)

    def make_ready(self, network: nn.Module) -> None:
        network.fold_norms()  # type: ignore[operator]

    def activations_gb(self, settings: Settings[Any], stems: int) -> float:
        config: RoformerConfig = settings.network
        frames = settings.chunk_samples // config.hop_samples + 1
        features = frames * len(config.bands) * config.dim
        spectrum = 2 * (config.fft_samples // 2 + 1) * config.channels * frames
        kept = config.depth if config.skip_connection else 0
        # The masked spectrum of a stem goes back at once, into a heap that comes apart: half of it is counted.
        spectra = (5.5 + stems / 2) * spectrum
        # 0.3: what a layer holds of its bands beside them, in blocks.
        numbers = (1.3 + kept) * features + spectra + (2 * stems + 2) * config.channels * settings.chunk_samples
        return 4 * numbers / 1024.0**3
