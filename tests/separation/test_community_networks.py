"""The community's networks against an independent implementation: same weights, same input, same output."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.community import blocks
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig
from daw_bridge.separation.families.mdx23c.network import Mdx23c
from daw_bridge.separation.families.roformer.bands import mel_bands
from daw_bridge.separation.families.roformer.config import RoformerConfig
from daw_bridge.separation.families.roformer.network import Roformer
from daw_bridge.separation.families.scnet.config import ScnetConfig
from daw_bridge.separation.families.scnet.network import Scnet

LARGEST_DIFFERENCE = 1e-6
SIZES = {"dim": 32, "depth": 2, "heads": 2, "dim_head": 16}


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message="A window was not provided")
        yield


def noise(samples: int, *, batch: int = 1, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(batch, 2, samples, generator=torch.Generator().manual_seed(seed))


def randomised(module: nn.Module) -> nn.Module:
    """Gains of norms start at one: a network that forgot them would still pass."""
    torch.manual_seed(7)
    for parameter in module.parameters():
        if parameter.ndim == 1 and parameter.requires_grad:
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    return module.eval()


def mel_pair(**options: object) -> tuple[nn.Module, Roformer]:
    reference_class = pytest.importorskip("pymss_core.modules.bs_roformer").MelBandRoformer
    reference = randomised(
        reference_class(
            **SIZES,
            stereo=True,
            time_transformer_depth=1,
            freq_transformer_depth=1,
            num_bands=60,
            stft_hop_length=441,
            mask_estimator_depth=2,
            mlp_hidden_layers=2,
            match_input_audio_length=True,
            **{"zero_dc": False, **options},
        )
    )
    config = RoformerConfig(
        dim=32,
        depth=2,
        heads=2,
        head_dim=16,
        hop_samples=441,
        mel_band_count=60,
        mask_hidden_layers=2,
        stems=int(str(options.get("num_stems", 1))),
        zero_dc=bool(options.get("zero_dc", False)),
    )
    return reference, loaded_roformer(config, reference)


def bs_pair(stems: int = 3, **options: object) -> tuple[nn.Module, Roformer]:
    reference_class = pytest.importorskip("pymss_core.modules.bs_roformer").BSRoformer
    reference = randomised(
        reference_class(
            **SIZES,
            stereo=True,
            num_stems=stems,
            time_transformer_depth=1,
            freq_transformer_depth=1,
            **options,
        )
    )
    config = RoformerConfig(
        dim=32, depth=2, heads=2, head_dim=16, stems=stems, skip_connection=bool(options.get("skip_connection", False))
    )
    return reference, loaded_roformer(config, reference)


def loaded_roformer(config: RoformerConfig, reference: nn.Module) -> Roformer:
    network = Roformer(config).eval()
    network.load_state_dict(reference.state_dict())
    network.fold_norms()
    return network


@pytest.mark.parametrize("zero_dc", [False, True])
def test_a_mel_band_roformer_is_the_published_one(zero_dc: bool) -> None:
    reference, network = mel_pair(zero_dc=zero_dc)
    mix = noise(30_011, batch=2)
    assert (network(mix)[:, 0] - reference(mix)).abs().max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("skip_connection", [False, True])
def test_a_band_split_roformer_is_the_published_one(skip_connection: bool) -> None:
    reference, network = bs_pair(skip_connection=skip_connection)
    mix = noise(30_011)
    assert (network(mix) - reference(mix)).abs().max() <= LARGEST_DIFFERENCE


def test_zero_dc_takes_the_lowest_bin_away_and_nothing_else() -> None:
    reference, network = mel_pair(zero_dc=False)
    without = Roformer(replace(network.config, zero_dc=True)).eval()
    without.load_state_dict(reference.state_dict())
    without.fold_norms()
    gone = torch.stft(
        (network(noise(30_000)) - without(noise(30_000)))[0, 0],
        2048,
        441,
        window=torch.hann_window(2048),
        return_complex=True,
    ).abs()
    energy = gone.square().sum(dim=(0, 2))
    assert energy[:3].sum() > 1e-3
    assert energy[3:].sum() < 0.02 * energy.sum()


def _fields(config: RoformerConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in RoformerConfig.__dataclass_fields__}


def test_a_roformer_makes_only_the_stems_that_are_kept() -> None:
    reference, network = bs_pair()
    mix = noise(20_000)
    network.keep_stems([2, 0])
    assert len(network.mask_estimators) == 2
    assert (network(mix) - reference(mix)[:, [2, 0]]).abs().max() <= LARGEST_DIFFERENCE


def test_mel_bands_are_those_of_the_independent_filter_bank() -> None:
    dsp = pytest.importorskip("pymss_core.modules._dsp")
    for count, fft, rate in ((60, 2048, 44_100), (40, 2048, 44_100), (60, 4096, 48_000), (48, 2048, 32_000)):
        weights = dsp.mel_filterbank(sr=rate, n_fft=fft, n_mels=count)
        weights[0, 0] = weights[-1, -1] = 1.0
        expected = [(int(row.nonzero()[0][0]), int(row.nonzero()[0][-1]) + 1) for row in weights > 0]
        assert [(band.first, band.last) for band in mel_bands(count, fft_samples=fft, sample_rate_hz=rate)] == expected


def test_bands_that_miss_a_part_of_the_spectrum_are_refused() -> None:
    with pytest.raises(ModelError, match="freqs_per_bands"):
        Roformer(RoformerConfig(dim=8, depth=1, bins_per_band=(2, 3)))
    with pytest.raises(ModelError, match="num_bands"):
        mel_bands(400, fft_samples=512, sample_rate_hz=44_100)


SCNET = ScnetConfig(
    dims=(4, 8, 12, 16),
    band_shares=(0.23, 0.37, 0.4),
    band_strides=(1, 4, 4),
    band_kernels=(3, 4, 4),
    conv_depths=(3, 2, 1),
    dual_path_layers=4,
    fft_samples=1024,
    hop_samples=256,
    window_samples=1024,
)


def scnet_pair() -> tuple[nn.Module, Scnet]:
    reference = randomised(
        pytest.importorskip("pymss_core.modules.scnet").SCNet(
            dims=list(SCNET.dims),
            nfft=1024,
            hop_size=256,
            win_size=1024,
            band_SR=list(SCNET.band_shares),
            band_stride=list(SCNET.band_strides),
            band_kernel=list(SCNET.band_kernels),
            conv_depths=list(SCNET.conv_depths),
            num_dplayer=4,
        )
    )
    network = Scnet(SCNET).eval()
    network.load_state_dict(reference.state_dict())
    network.fold_double()
    return reference, network


@pytest.mark.parametrize("samples", [20_000, 20_480, 20_735])
def test_scnet_is_the_published_one_for_any_length(samples: int) -> None:
    reference, network = scnet_pair()
    mix = noise(samples, batch=2)
    expected = reference(mix)
    assert (network(mix) - expected).abs().max() <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max()))


def test_scnet_makes_only_the_stems_that_are_kept() -> None:
    reference, network = scnet_pair()
    mix = noise(20_000)
    expected = reference(mix)[:, [3, 1]]
    network.keep_stems([3, 1])
    assert (network(mix) - expected).abs().max() <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max()))


def masked_scnet() -> Scnet:
    torch.manual_seed(3)
    config = ScnetConfig(**{**{name: getattr(SCNET, name) for name in SCNET.__dataclass_fields__}, "masked": True})
    network = Scnet(config)
    torch.nn.init.normal_(network.pos_embed_f)
    return network.eval()


def reference_of_masked(network: Scnet, mix: Tensor) -> Tensor:
    """The published masked form, written down from its description around the parts that the plain form shares."""
    window = torch.hann_window(1024)
    surplus = 256 - mix.shape[-1] % 256
    if (mix.shape[-1] + surplus) // 256 % 2 == 0:
        surplus += 256
    padded = torch.nn.functional.pad(mix, (0, surplus))[0]
    spectrum = torch.stft(padded, 1024, 256, window=window, normalized=True, return_complex=True)
    mixture = torch.view_as_real(spectrum).permute(0, 3, 1, 2).reshape(1, 4, *spectrum.shape[1:])
    x = mixture + network.pos_embed_f
    levels = []
    for encoder in network.encoder:
        x, level = encoder(x)
        levels.append(level)
    x = network.separation_net(x)
    decoder: Any = network.decoder
    for fusion, up in decoder:
        level = levels.pop()
        x = up(torch.nn.functional.glu(fusion.conv((x + level.skip).repeat(1, 2, 1, 1)), dim=1), level)
    mask = network.mask_layer(x)  # type: ignore[misc]
    stems = []
    for stem in range(4):
        for channel in range(2):
            real, imaginary = (mask[0, 4 * stem + 2 * channel + part] for part in (0, 1))
            stems.append(
                torch.istft(
                    torch.complex(real, imaginary) * spectrum[channel], 1024, 256, window=window, normalized=True
                )
            )
    return torch.stack(stems).view(1, 4, 2, -1)[..., : mix.shape[-1]]


def test_masked_scnet_is_the_published_formula() -> None:
    network = masked_scnet()
    mix = noise(20_011)
    expected = reference_of_masked(network, mix)
    network.fold_double()
    assert (network(mix) - expected).abs().max() <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max()))
    network.keep_stems([2])
    assert (network(mix) - expected[:, [2]]).abs().max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize(
    ("norm", "activation"), [("InstanceNorm", "gelu"), ("BatchNorm", "relu"), ("GroupNorm4", "elu1.0")]
)
def test_mdx23c_is_the_published_one(norm: str, activation: str) -> None:
    core = pytest.importorskip("pymss_core")
    reference_class = pytest.importorskip("pymss_core.modules.mdx23c_tfc_tdf_v3").TFC_TDF_net
    sizes = {"num_subbands": 4, "num_scales": 2, "scale": [2, 2], "num_blocks_per_scale": 2, "num_channels": 8}
    reference = randomised(
        reference_class(
            core.AttrDict(
                audio={"n_fft": 512, "hop_length": 128, "dim_f": 128, "num_channels": 2},
                model={**sizes, "growth": 4, "bottleneck_factor": 4, "norm": norm, "act": activation},
                training={"target_instrument": None, "instruments": ["kick", "snare", "toms"]},
            )
        )
    )
    network = Mdx23c(
        Mdx23cConfig(
            stems=3,
            fft_samples=512,
            hop_samples=128,
            bins_used=128,
            scales=2,
            width=8,
            growth=4,
            norm=norm,
            activation=activation,
        )
    ).eval()
    network.load_state_dict(reference.state_dict())
    mix = noise(128 * 63)
    expected = reference(mix)
    assert (network(mix) - expected).abs().max() <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max()))
    network.keep_stems([1])
    assert (network(mix) - expected[:, [1]]).abs().max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("numbers", [1 << 9, 1 << 12])
def test_a_convolution_in_blocks_is_the_convolution(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", numbers)
    torch.manual_seed(1)
    conv, x = nn.Conv2d(6, 8, 3, padding=1), torch.randn(1, 6, 61, 17)
    made = blocks.conv_in_blocks(conv, x, lambda part: functional.glu(part, dim=1))
    assert (made - functional.glu(conv(x), dim=1)).abs().max() < 1e-6
