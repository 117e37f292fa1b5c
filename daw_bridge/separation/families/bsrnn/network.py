"""The band-split recurrent network and its open variants (oBSRNN, oBSRNN-SIMO): the forward pass, and nothing else.

After Y. Luo, J. Yu, "Music Source Separation With Band-Split RNN" (IEEE/ACM TASLP 2023) and P. Magron et al., "Open
BSRNN" (arXiv 2603.09187). Written from the papers and a description of the published checkpoints; parameters carry the
checkpoints' names, so that a state dict loads strictly. The spectrogram is cut into bands, each band is squeezed into
N features, blocks of recurrent layers run along time and along the bands (with an exchange between the channels and
attention over time in the optimised variants), and a small network per band and stem makes a complex mask.

Inside, features have the shape (batch x channels, bands, frames, N).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

OnStep = Callable[[int, int], None]
"""Hears (done, total) between the steps of a forward pass; may raise to stop it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BsrnnConfig:
    """Everything that shapes a network. `band_widths` are in bins, from bin 0 up, and cover all of them.

    `attention_heads` 0: no attention. `tac_features` 0: no exchange between the channels. `maskers` is one less than
    the targets where the last stem is what the others leave of the mix (`last_is_rest`).
    """

    targets: tuple[str, ...]
    band_widths: tuple[int, ...]
    features: int
    blocks: int
    hidden: int
    mask_features: int
    maskers: int = 1
    attention_heads: int = 0
    attention_features: int = 0
    tac_features: int = 0
    tac_prelu: bool = False
    last_is_rest: bool = False
    hop_samples: int = 512
    sample_rate_hz: int = 44_100
    channels: int = 2
    eps: float = 1e-7

    @property
    def bins(self) -> int:
        return sum(self.band_widths)

    @property
    def fft_samples(self) -> int:
        return 2 * (self.bins - 1)

    @property
    def steps(self) -> int:
        """How often `OnStep` is called in one forward pass."""
        return self.blocks + self.maskers


class Bsrnn(nn.Module):
    """Mix in, stems out: (batch, channels, samples) -> (batch, targets, channels, samples)."""

    window: Tensor

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.BN = nn.ModuleList(
            nn.Sequential(_SpanNorm(2 * width, config.eps), _Pointwise(2 * width, config.features))
            for width in config.band_widths
        )
        self.separator = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.maskers = nn.ModuleList(_Masker(config) for _ in range(config.maskers))

    def forward(self, mix: Tensor, on_step: OnStep | None = None, wanted: Sequence[int] | None = None) -> Tensor:
        """`wanted` are the indices, in rising order, of the targets to give; None for all of them."""
        batch, channels, length = mix.shape
        kept = range(len(self.config.targets)) if wanted is None else wanted
        all_masks = self.config.last_is_rest and len(self.maskers) in kept
        spectrum = self._stft(mix.reshape(batch * channels, length))
        features = self._split(spectrum)
        done = 0
        for block in self.separator:
            features = block(features, channels)
            done += 1
            if on_step is not None:
                on_step(done, self.config.steps)
        stems, rest = [], spectrum
        for index, masker in enumerate(self.maskers):
            if index in kept or all_masks:
                masked = masker(features) * spectrum
                rest = rest - masked
                if index in kept:
                    stems.append(self._istft(masked, length))
            done += 1
            if on_step is not None:
                on_step(done, self.config.steps)
        if all_masks:
            stems.append(self._istft(rest, length))
        return torch.stack(stems, dim=1).reshape(batch, channels, len(stems), length).transpose(1, 2)

    def _stft(self, signal: Tensor) -> Tensor:
        """Complex spectrogram (batch, bins, frames); a signal too short to be mirrored at its ends gets silence."""
        shortest = self.config.fft_samples // 2 + 1
        if signal.shape[-1] < shortest:
            signal = functional.pad(signal, (0, shortest - signal.shape[-1]))
        size, hop = self.config.fft_samples, self.config.hop_samples
        return torch.stft(signal, size, hop, window=self.window, return_complex=True)

    def _istft(self, spectrum: Tensor, length: int) -> Tensor:
        size, hop = self.config.fft_samples, self.config.hop_samples
        return torch.istft(spectrum, size, hop, window=self.window, length=length)

    def _split(self, spectrum: Tensor) -> Tensor:
        parts = torch.view_as_real(spectrum).permute(0, 2, 3, 1)  # (batch, frames, 2, bins)
        bands = torch.split(parts, list(self.config.band_widths), dim=3)
        return torch.stack([layer(band.flatten(2)) for layer, band in zip(self.BN, bands, strict=True)], dim=1)


class _SpanNorm(nn.Module):
    """Group normalisation with one group: mean and deviation over all frames (or bands) and features together."""

    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self._eps = eps

    def forward(self, values: Tensor) -> Tensor:
        """Shape (..., span, features)."""
        normal = functional.layer_norm(values, values.shape[-2:], eps=self._eps)
        return torch.addcmul(self.bias, normal, self.weight)


class _Pointwise(nn.Module):
    """A convolution of kernel size 1 on features that lie last; `dims` trailing ones in the weight's shape."""

    def __init__(self, inputs: int, outputs: int, dims: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, *([1] * dims)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, values: Tensor) -> Tensor:
        return functional.linear(values, self.weight.flatten(1), self.bias)


class _Block(nn.Module):
    """Along time, along the bands, between the channels, attention over time; each adds to what came in."""

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        self.time_net = _Recurrent(config)
        self.band_net = _Recurrent(config)
        self.tac_module = _ChannelExchange(config) if config.tac_features else None
        self.attn_block = _FrameAttention(config) if config.attention_heads else None

    def forward(self, features: Tensor, channels: int) -> Tensor:
        features = self.time_net(features)
        by_frame = self.band_net(features.transpose(1, 2).contiguous())
        if self.tac_module is not None:
            by_frame = self.tac_module(by_frame, channels)
        if self.attn_block is not None:
            by_frame = self.attn_block(by_frame)
        joined: Tensor = by_frame.transpose(1, 2).contiguous()
        return joined


class _Recurrent(nn.Module):
    """Norm, bidirectional LSTM, projection, sum with the input; along the third axis of (batch, rows, span, N)."""

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        self.norm = _SpanNorm(config.features, config.eps)
        self.main_layer = nn.LSTM(config.features, config.hidden, batch_first=True, bidirectional=True)
        self.proj = nn.Linear(2 * config.hidden, config.features)

    def forward(self, values: Tensor) -> Tensor:
        rows = values.flatten(0, 1)
        out, _ = self.main_layer(self.norm(rows))
        joined: Tensor = (rows + self.proj(out)).view_as(values)
        return joined


class _ChannelExchange(nn.Module):
    """Transform-average-concatenate: every channel hears the mean of all. (batch x channels, frames, bands, N)."""

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        inner = config.tac_features
        self.transform = _activated(nn.Linear(config.features, inner), config)
        self.average = _activated(nn.Linear(inner, inner), config)
        self.concat = _activated(nn.Linear(2 * inner, config.features), config)

    def forward(self, values: Tensor, channels: int) -> Tensor:
        own = self.transform(values).unflatten(0, (-1, channels))
        mean = self.average(own.mean(dim=1, keepdim=True))
        joined = torch.cat([own, mean.expand_as(own)], dim=-1)
        exchanged: Tensor = self.concat(joined).flatten(0, 1)
        return values + exchanged


def _activated(linear: nn.Linear, config: BsrnnConfig) -> nn.Sequential:
    return nn.Sequential(linear, nn.PReLU() if config.tac_prelu else nn.Tanh())


class _FrameAttention(nn.Module):
    """Every frame attends to all frames, its bands and features taken together. Shape (batch, frames, bands, N)."""

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        self._heads = config.attention_heads
        share = config.features // config.attention_heads
        for head in range(self._heads):
            for name, outputs in (("Q", config.attention_features), ("K", config.attention_features), ("V", share)):
                self.add_module(f"attn_conv_{name}_{head}", _frame_layer(outputs, config))
        self.attn_concat_proj = _frame_layer(config.features, config)

    def forward(self, values: Tensor) -> Tensor:
        bands = values.shape[2]
        heads = []
        for head in range(self._heads):
            query, key, value = (self.get_submodule(f"attn_conv_{name}_{head}")(values).flatten(2) for name in "QKV")
            mixed = functional.scaled_dot_product_attention(query, key, value)
            heads.append(mixed.view(*mixed.shape[:2], bands, -1))
        attended: Tensor = self.attn_concat_proj(torch.cat(heads, dim=-1))
        return values + attended


def _frame_layer(outputs: int, config: BsrnnConfig) -> nn.Sequential:
    norm = _FrameNorm(outputs, len(config.band_widths), config.eps)
    return nn.Sequential(_Pointwise(config.features, outputs, dims=2), nn.PReLU(), norm)


class _FrameNorm(nn.Module):
    """Normalises each frame over its bands and features; the checkpoint keeps gamma and beta as (1, N, 1, bands)."""

    def __init__(self, features: int, bands: int, eps: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, features, 1, bands))
        self.beta = nn.Parameter(torch.zeros(1, features, 1, bands))
        self._eps = eps

    def forward(self, values: Tensor) -> Tensor:
        """Shape (batch, frames, bands, features)."""
        scale, shift = (part[0, :, 0].t().contiguous() for part in (self.gamma, self.beta))
        return functional.layer_norm(values, values.shape[-2:], scale, shift, self._eps)


class _Masker(nn.Module):
    """One stem's complex mask (batch, bins, frames): a small network per band, each with its gate."""

    def __init__(self, config: BsrnnConfig) -> None:
        super().__init__()
        inner = config.mask_features
        self.mask = nn.ModuleList(
            nn.Sequential(
                _SpanNorm(config.features, config.eps),
                _Pointwise(config.features, inner),
                nn.Tanh(),
                _Pointwise(inner, inner),
                nn.Tanh(),
                _Pointwise(inner, 4 * width),
            )
            for width in config.band_widths
        )

    def forward(self, features: Tensor) -> Tensor:
        bands = []
        for index, layer in enumerate(self.mask):
            value, gate = layer(features[:, index]).chunk(2, dim=-1)
            real, imaginary = (value * torch.sigmoid(gate)).chunk(2, dim=-1)
            bands.append(torch.complex(real.contiguous(), imaginary.contiguous()))
        return torch.cat(bands, dim=-1).transpose(1, 2)
