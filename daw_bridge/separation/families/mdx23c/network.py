"""TFC-TDF v3 (M. Kim, J. H. Lee, S. Jung: "Sound Demixing Challenge 2023 ... with TFC-TDF", arXiv 2306.09382), known as
MDX23C, with the parameter names of the published checkpoints.

A U-Net over the spectrum, cut into subbands that lie side by side as channels. What lies above `bins_used` is lost: it
is in no stem, and so in the residual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from daw_bridge.separation.families.community.blocks import conv_in_blocks, gelu_in_place
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig

_NUMBERS_AT_ONCE = 1 << 18
"""A megabyte: between norm, activation and product, numbers need not leave a core's own cache."""


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

    def forward(self, x: Tensor) -> Tensor:
        """Changes x, which nobody else may need."""
        shortcut: Tensor = self.shortcut(x)
        x = conv_in_blocks(cast("nn.Conv2d", self.tfc1[2]), _ready(self.tfc1, x))
        self._add_along_bins(x)
        return conv_in_blocks(cast("nn.Conv2d", self.tfc2[2]), _ready(self.tfc2, x), onto=shortcut)

    def _add_along_bins(self, x: Tensor) -> None:
        first_norm, activation, narrowing, second_norm, _, widening = self.tdf
        for place in _places(first_norm, x):
            y = narrowing(_active(activation, _normed(first_norm, x, place)))
            x[place] += widening(_active(activation, _normed(second_norm, y, place, cut=True)))


def _ready(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Norm and activation, the first two of `layers`, where x lies if they can be taken there."""
    norm, activation = layers[0], layers[1]
    if not (isinstance(norm, nn.InstanceNorm2d) and isinstance(activation, nn.GELU)):
        return _active(activation, norm(x))
    for place in _places(norm, x):
        _active(activation, _normed(norm, x, place, out=x[place]))
    return x


Place = tuple[slice, slice]
"""Some channels of one mix of a batch."""


def _places(norm: nn.Module, x: Tensor) -> Iterator[Place]:
    """All that may be normalised by itself, as many channels as stay in the cache from one step to the next."""
    batch, channels = x.shape[:2]
    if not isinstance(norm, nn.InstanceNorm2d):
        yield slice(None), slice(None)
        return
    step = max(1, _NUMBERS_AT_ONCE // max(1, x.shape[2] * x.shape[3])) if x.device.type == "cpu" else channels
    for index in range(batch):
        for first in range(0, channels, step):
            yield slice(index, index + 1), slice(first, min(channels, first + step))


def _normed(norm: nn.Module, x: Tensor, place: Place, *, cut: bool = False, out: Tensor | None = None) -> Tensor:
    """The norm of what lies at a place of x, or of an x that is `cut` to it already."""
    if not isinstance(norm, nn.InstanceNorm2d):
        return cast("Tensor", norm(x))
    piece = x if cut else x[place]
    weight, bias = norm.weight[place[1]], norm.bias[place[1]]
    if piece.device.type != "cpu":
        normed = functional.instance_norm(piece, weight=weight, bias=bias, eps=norm.eps)
        return normed if out is None else out.copy_(normed)
    # instance_norm itself, bit for bit, which cannot be told where to write.
    out = torch.empty_like(piece) if out is None else out
    mean, spread = piece.new_empty(piece.shape[1]), piece.new_empty(piece.shape[1])
    torch.native_batch_norm(piece, weight, bias, None, None, True, 0.0, norm.eps, out=(out, mean, spread))
    return out


def _active(activation: nn.Module, x: Tensor) -> Tensor:
    return gelu_in_place(x) if isinstance(activation, nn.GELU) else cast("Tensor", activation(x))


class _Blocks(nn.Module):
    def __init__(self, inputs: int, width: int, bins: int, config: Mdx23cConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _Block(width if index else inputs, width, bins, config) for index in range(config.blocks_per_scale)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Changes x, which nobody else may need."""
        for block in self.blocks:
            x = block(x)
        return x


class _Scale(nn.Module):
    """A change of resolution."""

    def __init__(self, inputs: int, conv: nn.Module, config: Mdx23cConfig) -> None:
        super().__init__()
        self.conv = nn.Sequential(_norm(config.norm, inputs), _activation(config.activation), conv)

    def forward(self, x: Tensor) -> Tensor:
        norm, activation, conv = self.conv
        return cast("Tensor", conv(_active(activation, norm(x))))


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
        x = self._unet(first.transpose(-1, -2).contiguous()).transpose(-1, -2) * first
        x = self.final_conv(torch.cat([subbands, x], 1))
        bins = config.fft_samples // 2 + 1
        parts = x.reshape(-1, 2, config.bins_used, frames)
        made = functional.pad(torch.complex(parts[:, 0], parts[:, 1]), (0, 0, 0, bins - config.bins_used))
        waves = torch.istft(made, config.fft_samples, config.hop_samples, window=self.get_buffer("window"))
        missing = samples - waves.shape[-1]
        return functional.pad(waves, (0, missing)).view(batch, self.stems, channels, samples)

    def _unet(self, x: Tensor) -> Tensor:
        """x is (batch, width, frames, bins), and changed; frames have to divide by the scales."""
        skips: list[Tensor] = []
        for encoder in self.encoder_blocks:
            block = cast("_Encoder", encoder)
            skips.append(block.tfc_tdf(x))
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
