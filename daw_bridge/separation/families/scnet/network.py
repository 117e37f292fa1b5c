"""SCNet (W. Tong et al., arXiv 2401.13276) and its masked form, with the parameter names of the published checkpoints.

The plain network makes the stems' spectra itself, and its FFT has no window; the masked one (of the MSST project) has
a Hann window, learned positions in frequency, and makes masks. What differs from the published way of computing: the
fusion layers' doubled input is folded into their kernels, and recurrences pass in groups, which need less memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from daw_bridge.separation.families.community.blocks import conv_in_blocks, gelu_in_place
from daw_bridge.separation.families.scnet.config import ScnetConfig

_CPU_ROWS = 12_288
"""Sequence steps that pass through a recurrence at once on a CPU."""

_LEAST_SEQUENCES = 48
"""Fewer at once would leave the matrix products too thin."""


class _Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(x, inplace=True)


class _ConvModule(nn.Module):
    def __init__(self, channels: int, depth: int, config: ScnetConfig) -> None:
        super().__init__()
        hidden, kernel = channels // config.compress, config.conv_kernel
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, channels),
                nn.Conv1d(channels, 2 * hidden, kernel, padding=kernel // 2),
                nn.GLU(1),
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                _Swish(),
                nn.Conv1d(hidden, channels, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (sequences, channels, frames) is changed in place."""
        for layer in self.layers:
            x += layer(x)
        return x


class _Fusion(nn.Module):
    """The skip is added, the sum doubled, convolved and gated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)

    def fold_double(self) -> None:
        """Both halves of the input are the same: their kernels add up, once, after the weights are loaded."""
        kernel = self.conv.weight
        self.conv.weight = nn.Parameter(kernel[:, : self.channels] + kernel[:, self.channels :], requires_grad=False)
        self.conv.in_channels = self.channels

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return conv_in_blocks(self.conv, x.add_(skip), lambda made: functional.glu(made, dim=1))


@dataclass(slots=True)
class _Level:
    """What a decoder block needs of its encoder block. `lengths` are bands after, `originals` before the stride."""

    skip: Tensor
    lengths: list[int] = field(default_factory=list)
    originals: list[int] = field(default_factory=list)


class _Down(nn.Module):
    """The strided convolutions of the three bands."""

    def __init__(self, inputs: int, outputs: int, config: ScnetConfig) -> None:
        super().__init__()
        self.shares = config.band_shares
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, outputs, (kernel, 1), (stride, 1))
            for kernel, stride in zip(config.band_kernels, config.band_strides, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[int]]:
        bins = x.shape[2]
        low, mid = math.ceil(bins * self.shares[0]), math.ceil(bins * (self.shares[0] + self.shares[1]))
        bands, originals = [], []
        for module, first, last in zip(self.convs, (0, low, mid), (low, mid, bins), strict=True):
            conv = cast("nn.Conv2d", module)
            kernel, stride = conv.kernel_size[0], conv.stride[0]
            missing = kernel - 1 if stride == 1 else -(last - first) % stride
            padded = functional.pad(x[:, :, first:last], (0, 0, missing // 2, missing - missing // 2))
            bands.append(conv(padded))
            originals.append(last - first)
        return bands, originals


class _Up(nn.Module):
    """The transposed convolutions of the three bands, cut to the sizes that the encoder saw."""

    def __init__(self, inputs: int, outputs: int, config: ScnetConfig) -> None:
        super().__init__()
        self.convtrs = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, (kernel, 1), (stride, 1))
            for kernel, stride in zip(config.band_kernels, config.band_strides, strict=True)
        )

    def forward(self, x: Tensor, level: _Level) -> Tensor:
        low, mid = level.lengths[0], level.lengths[0] + level.lengths[1]
        parts = []
        for conv, first, last, wanted in zip(
            self.convtrs, (0, low, mid), (low, mid, x.shape[2]), level.originals, strict=True
        ):
            made = conv(x[:, :, first:last])
            surplus = abs(wanted - made.shape[2]) // 2
            parts.append(made[:, :, surplus : surplus + wanted])
        return torch.cat(parts, dim=2)

    def keep_channels(self, kept: Sequence[int]) -> None:
        for module in self.convtrs:
            conv = cast("nn.ConvTranspose2d", module)
            conv.weight = nn.Parameter(conv.weight[:, list(kept)], requires_grad=False)
            conv.out_channels = len(kept)
            if conv.bias is not None:
                conv.bias = nn.Parameter(conv.bias[list(kept)], requires_grad=False)


class _Encoder(nn.Module):
    def __init__(self, inputs: int, outputs: int, config: ScnetConfig) -> None:
        super().__init__()
        self.SDlayer = _Down(inputs, outputs, config)
        self.conv_modules = nn.ModuleList(_ConvModule(outputs, depth, config) for depth in config.conv_depths)
        self.globalconv = nn.Conv2d(outputs, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, _Level]:
        bands, originals = self.SDlayer(x)
        for index, conv in enumerate(self.conv_modules):
            batch, channels, bins, frames = bands[index].shape
            rows = bands[index].transpose(1, 2).reshape(batch * bins, channels, frames)
            bands[index] = gelu_in_place(conv(rows)).view(batch, bins, channels, frames).transpose(1, 2)
        level = _Level(torch.cat(bands, dim=2), [band.shape[2] for band in bands], originals)
        bands.clear()
        return conv_in_blocks(self.globalconv, level.skip), level


class _DualPath(nn.Module):
    """A recurrence across the bins, then one along time."""

    def __init__(self, width: int, expand: int) -> None:
        super().__init__()
        hidden = width * expand
        self.lstm_layers = nn.ModuleList(nn.LSTM(width, hidden, bidirectional=True, batch_first=True) for _ in range(2))
        self.linear_layers = nn.ModuleList(nn.Linear(2 * hidden, width) for _ in range(2))
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """x is (batch, width, bins, frames), and is changed in place."""
        x += self._along(0, self.norm_layers[0](x).permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
        x += self._along(1, self.norm_layers[1](x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x

    def _along(self, axis: int, x: Tensor) -> Tensor:
        """The recurrence over the third axis of x (batch, sequences, steps, width), some sequences at once."""
        lstm, linear = self.lstm_layers[axis], self.linear_layers[axis]
        if x.device.type != "cpu":
            whole: Tensor = linear(lstm(x.flatten(0, 1))[0])
            return whole.view(x.shape)
        together = max(_LEAST_SEQUENCES, _CPU_ROWS // x.shape[2])
        out = x.new_empty(x.shape)
        for item, made in zip(x, out, strict=True):
            for first in range(0, x.shape[1], together):
                part = slice(first, first + together)
                made[part] = linear(lstm(item[part].contiguous())[0])
        return out


class _Separation(nn.Module):
    """Dual paths, with the time axis turned into its spectrum and back between them."""

    def __init__(self, width: int, layers: int, expand: int) -> None:
        super().__init__()
        self.dp_modules = nn.ModuleList(_DualPath(width * (2 if index % 2 else 1), expand) for index in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for index, path in enumerate(self.dp_modules):
            x = path(x)
            if index % 2 == 0:
                turned = torch.fft.rfft(x, dim=3, norm="ortho")
                x = torch.cat([turned.real, turned.imag], dim=1)
            else:
                real, imaginary = x.chunk(2, dim=1)
                x = torch.fft.irfft(torch.complex(real, imaginary), dim=3, norm="ortho")
        return x


class Scnet(nn.Module):
    """Waveforms in, stems out: (batch, channels, samples) -> (batch, stems, channels, samples).

    Load the published weights, then `fold_double`, then use it for inference only.
    """

    def __init__(self, config: ScnetConfig) -> None:
        super().__init__()
        self.config = config
        dims, stems = config.dims, len(config.sources)
        self.stems = stems
        self.encoder = nn.ModuleList(_Encoder(dims[i], dims[i + 1], config) for i in range(len(dims) - 1))
        self.decoder = nn.ModuleList(
            nn.Sequential(_Fusion(dims[i + 1]), _Up(dims[i + 1], dims[i] if i else dims[0] * stems, config))
            for i in reversed(range(len(dims) - 1))
        )
        self.separation_net = _Separation(dims[-1], config.dual_path_layers, config.expand)
        self.mask_layer: nn.Sequential | None = None
        window = torch.ones(config.window_samples, device="cpu")
        if config.masked:
            window = torch.hann_window(config.window_samples, device="cpu")
            self.pos_embed_f = nn.Parameter(torch.zeros(1, dims[0], config.fft_samples // 2 + 1, 1))
            self.mask_layer = nn.Sequential(
                nn.Conv2d(dims[0] * stems, 64, 3, padding=1), nn.GELU(), nn.Conv2d(64, dims[0] * stems, 1), nn.Tanh()
            )
        self.register_buffer("window", window, persistent=False)

    @torch.no_grad()
    def fold_double(self) -> None:
        """Fold the fusion layers' doubled input into their kernels; once, after the weights are loaded."""
        for block in self._decoders():
            cast("_Fusion", block[0]).fold_double()

    @torch.no_grad()
    def keep_stems(self, kept: Sequence[int]) -> None:
        """Drop the last channels of all other stems."""
        each = self.config.dims[0]
        channels = [stem * each + channel for stem in kept for channel in range(each)]
        if self.mask_layer is None:
            cast("_Up", list(self._decoders())[-1][1]).keep_channels(channels)
        else:
            last = cast("nn.Conv2d", self.mask_layer[2])
            last.weight = nn.Parameter(last.weight[channels], requires_grad=False)
            last.out_channels = len(channels)
            if last.bias is not None:
                last.bias = nn.Parameter(last.bias[channels], requires_grad=False)
        self.stems = len(kept)

    def _decoders(self) -> Iterator[nn.Sequential]:
        return cast("Iterator[nn.Sequential]", iter(self.decoder))

    def forward(self, mix: Tensor) -> Tensor:
        batch, channels, samples = mix.shape
        hop = self.config.hop_samples
        surplus = hop - samples % hop
        if (samples + surplus) // hop % 2 == 0:  # the time axis goes through an FFT and wants an even number of frames
            surplus += hop
        spectrum = self._analyse(functional.pad(mix, (0, surplus)))
        x = spectrum if self.mask_layer is None else spectrum + self.pos_embed_f
        levels = []
        for encoder in self.encoder:
            x, level = encoder(x)
            levels.append(level)
        x = self.separation_net(x)
        for block in self._decoders():
            level = levels.pop()
            x = block[1](block[0](x, level.skip), level)
        bins, frames = spectrum.shape[2:]
        made = _to_complex(x if self.mask_layer is None else _masks(self.mask_layer, x))
        if self.mask_layer is not None:
            made = made.view(batch, -1, channels, bins, frames) * _to_complex(spectrum).view(
                batch, 1, channels, bins, frames
            )
        waves = torch.istft(
            made.reshape(-1, bins, frames),
            self.config.fft_samples,
            hop,
            self.config.window_samples,
            self.get_buffer("window"),
            normalized=self.config.normalised_fft,
        )
        return waves.view(batch, self.stems, channels, -1)[..., :samples]

    def _analyse(self, mix: Tensor) -> Tensor:
        """Spectra as real numbers, shape (batch, channels * 2, bins, frames)."""
        batch, channels, samples = mix.shape
        config = self.config
        spectrum = torch.stft(
            mix.reshape(-1, samples),
            config.fft_samples,
            config.hop_samples,
            config.window_samples,
            self.get_buffer("window"),
            normalized=config.normalised_fft,
            return_complex=True,
        )
        parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
        return parts.reshape(batch, channels * 2, *parts.shape[2:])


def _masks(layers: nn.Sequential, x: Tensor) -> Tensor:
    """A convolution, GELU, a convolution, tanh; the many channels between the two exist for a few rows at a time."""
    first, _, last, _ = layers
    return conv_in_blocks(cast("nn.Conv2d", first), x, lambda made: last(gelu_in_place(made)).tanh_())


def _to_complex(x: Tensor) -> Tensor:
    """(batch, n * 2, bins, frames), real parts before imaginary ones -> complex (batch * n, bins, frames)."""
    pairs = x.reshape(-1, 2, *x.shape[2:])
    return torch.complex(pairs[:, 0], pairs[:, 1])
