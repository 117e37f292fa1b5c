"""TFC-TDF v3 (M. Kim, J. H. Lee, S. Jung: "Sound Demixing Challenge 2023 ... with TFC-TDF", arXiv 2306.09382), known as
MDX23C, with the parameter names of the published checkpoints.

A U-Net over the spectrum, cut into subbands that lie side by side as channels. What lies above `bins_used` is lost: it
is in no stem, and so in the residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from daw_bridge.separation.families.community.blocks import conv_in_blocks, gelu_in_place
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig

_CHANNELS_AT_ONCE = 32


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "BatchNorm":
        return nn.BatchNorm2d(channels)
    if kind == "InstanceNorm":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.GroupNorm(int(kind.removeprefix("GroupNorm")), channels)


def _activation(kind: str) -> nn.Module:
    if kind == "gelu":
        return nn.GELU()
    if kind == "relu":
        return nn.ReLU()
    return nn.ELU(float(kind.removeprefix("elu") or "1"))


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, bins: int, config: Mdx23cConfig) -> None:
        super().__init__()
        narrow = bins // config.bottleneck
        act, norm = _activation(config.activation), config.norm
        self.tfc1 = nn.Sequential(_norm(norm, inputs), act, nn.Conv2d(inputs, width, 3, 1, 1, bias=False))
        self.tdf = nn.Sequential(
            _norm(norm, width),
            act,
            nn.Linear(bins, narrow, bias=False),
            _norm(norm, width),
            act,
            nn.Linear(narrow, bins, bias=False),
        )
        self.tfc2 = nn.Sequential(_norm(norm, width), act, nn.Conv2d(width, width, 3, 1, 1, bias=False))
        self.shortcut = nn.Conv2d(inputs, width, 1, 1, 0, bias=False)

    def forward(self, x: Tensor, *, owned: bool) -> Tensor:
        """`owned`: nobody else needs x, which may be changed."""
        shortcut: Tensor = self.shortcut(x)
        x = _norm_act_conv(self.tfc1, x, owned=owned)
        x += self._along_bins(x)
        shortcut += _norm_act_conv(self.tfc2, x, owned=True)
        return shortcut

    def _along_bins(self, x: Tensor) -> Tensor:
        for layer in self.tdf:
            x = gelu_in_place(x) if isinstance(layer, nn.GELU) else layer(x)
        return x


def _norm_act_conv(layers: nn.Sequential, x: Tensor, *, owned: bool) -> Tensor:
    """A norm, an activation, and a 3 x 3 convolution; what is owned is normalised where it lies, channel by channel."""
    norm, activation, conv = layers
    if owned and isinstance(norm, nn.InstanceNorm2d):
        for first in range(0, x.shape[1], _CHANNELS_AT_ONCE):
            part = slice(first, first + _CHANNELS_AT_ONCE)
            normed = functional.instance_norm(x[:, part], weight=norm.weight[part], bias=norm.bias[part], eps=norm.eps)
            x[:, part] = _active(activation, normed)
    else:
        x = _active(activation, norm(x))
    return conv_in_blocks(cast("nn.Conv2d", conv), x)


def _active(activation: nn.Module, x: Tensor) -> Tensor:
    return gelu_in_place(x) if isinstance(activation, nn.GELU) else cast("Tensor", activation(x))


class _Blocks(nn.Module):
    def __init__(self, inputs: int, width: int, bins: int, config: Mdx23cConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _Block(width if index else inputs, width, bins, config) for index in range(config.blocks_per_scale)
        )

    def forward(self, x: Tensor, *, owned: bool = True) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, owned=owned or index > 0)
        return x


class _Scale(nn.Module):
    """A change of resolution."""

    def __init__(self, inputs: int, conv: nn.Module, config: Mdx23cConfig) -> None:
        super().__init__()
        self.conv = nn.Sequential(_norm(config.norm, inputs), _activation(config.activation), conv)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv(x))


class _Encoder(nn.Module):
    def __init__(self, width: int, bins: int, config: Mdx23cConfig) -> None:
        super().__init__()
        down = nn.Conv2d(width, width + config.growth, config.scale, config.scale, bias=False)
        self.tfc_tdf = _Blocks(width, width, bins, config)
        self.downscale = _Scale(width, down, config)


class _Decoder(nn.Module):
    def __init__(self, width: int, bins: int, config: Mdx23cConfig) -> None:
        super().__init__()
        up = nn.ConvTranspose2d(width + config.growth, width, config.scale, config.scale, bias=False)
        self.upscale = _Scale(width + config.growth, up, config)
        self.tfc_tdf = _Blocks(2 * width, width, bins, config)


class Mdx23c(nn.Module):
    """Waveforms in, stems out: (batch, channels, samples) -> (batch, stems, channels, samples)."""

    def __init__(self, config: Mdx23cConfig) -> None:
        super().__init__()
        self.config, self.stems = config, config.stems
        self.inputs = config.subbands * config.channels * 2
        width, bins = config.width, config.bins_used // config.subbands
        self.first_conv = nn.Conv2d(self.inputs, width, 1, 1, 0, bias=False)
        sizes = [
            (width + index * config.growth, bins // config.scale[1] ** index) for index in range(config.scales + 1)
        ]
        self.encoder_blocks = nn.ModuleList(_Encoder(size[0], size[1], config) for size in sizes[:-1])
        self.bottleneck_block = _Blocks(sizes[-1][0], *sizes[-1], config)
        self.decoder_blocks = nn.ModuleList(_Decoder(size[0], size[1], config) for size in reversed(sizes[:-1]))
        self.final_conv = nn.Sequential(
            nn.Conv2d(width + self.inputs, width, 1, 1, 0, bias=False),
            _activation(config.activation),
            nn.Conv2d(width, config.stems * self.inputs, 1, 1, 0, bias=False),
        )
        self.register_buffer("window", torch.hann_window(config.fft_samples, device="cpu"), persistent=False)

    @torch.no_grad()
    def keep_stems(self, kept: Sequence[int]) -> None:
        """Drop the last channels of all other stems."""
        last = cast("nn.Conv2d", self.final_conv[2])
        channels = [stem * self.inputs + channel for stem in kept for channel in range(self.inputs)]
        last.weight = nn.Parameter(last.weight[channels], requires_grad=False)
        last.out_channels, self.stems = len(channels), len(kept)

    def forward(self, mix: Tensor) -> Tensor:
        batch, channels, samples = mix.shape
        config = self.config
        spectrum = self._analyse(mix)
        frames = spectrum.shape[-1]
        subbands = spectrum.reshape(batch, self.inputs, config.bins_used // config.subbands, frames)
        first = self.first_conv(subbands)
        x = self._unet(first.transpose(-1, -2)).transpose(-1, -2) * first
        x = self.final_conv(torch.cat([subbands, x], 1))
        bins = config.fft_samples // 2 + 1
        parts = x.reshape(-1, 2, config.bins_used, frames)
        made = functional.pad(torch.complex(parts[:, 0], parts[:, 1]), (0, 0, 0, bins - config.bins_used))
        waves = torch.istft(made, config.fft_samples, config.hop_samples, window=self.get_buffer("window"))
        missing = samples - waves.shape[-1]
        return functional.pad(waves, (0, missing)).view(batch, self.stems, channels, samples)

    def _unet(self, x: Tensor) -> Tensor:
        """x is (batch, width, frames, bins); frames have to divide by the scales."""
        skips: list[Tensor] = []
        for encoder in self.encoder_blocks:
            block = cast("_Encoder", encoder)
            skips.append(block.tfc_tdf(x, owned=bool(skips)))  # the first one's input is needed once more
            x = block.downscale(skips[-1])
        x = self.bottleneck_block(x)
        for decoder in self.decoder_blocks:
            up = cast("_Decoder", decoder)
            x = up.tfc_tdf(torch.cat([up.upscale(x), skips.pop()], 1))
        return x

    def _analyse(self, mix: Tensor) -> Tensor:
        """Spectra as real numbers, shape (batch, channels * 2, bins_used, frames)."""
        batch, channels, samples = mix.shape
        config = self.config
        spectrum = torch.stft(
            mix.reshape(-1, samples),
            config.fft_samples,
            config.hop_samples,
            window=self.get_buffer("window"),
            return_complex=True,
        )[:, : config.bins_used]
        parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
        return parts.reshape(batch, channels * 2, *parts.shape[2:])
