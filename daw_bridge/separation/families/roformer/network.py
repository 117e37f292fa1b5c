"""The RoFormer: W.-T. Lu et al., "Music Source Separation with Band-Split RoPE Transformer" (arXiv 2309.02612), and its
mel-band form (arXiv 2310.01809), with the parameter names of the published checkpoints.

What it computes is the published network. How differs: the learned gains of the norms are folded into the matrices
behind them, the rotation is one complex product with a table made once, and the transformers work in place on a few
sequences at a time, which stay in the cache and need a fraction of the memory. Only the heads of wanted stems exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from daw_bridge.separation.families.community.blocks import gelu_in_place
from daw_bridge.separation.families.roformer.config import RoformerConfig

_CPU_ROWS = 4096
_GPU_ROWS = 131_072
"""Positions that pass through a transformer at once: on a CPU few enough to stay in its cache."""

_THETA = 10_000.0
_SMALLEST_NORM = 1e-12


class _Norm(nn.Module):
    """x / |x| * sqrt(d) * gamma."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = _unit(x) * (self.gamma * self.gamma.shape[0] ** 0.5)
        return normed

    def fold_into(self, *layers: nn.Linear) -> None:
        """Give the gain to the matrices behind the norm, which from then on want plain unit vectors."""
        gain = self.gamma * self.gamma.shape[0] ** 0.5
        for layer in layers:
            layer.weight.mul_(gain)
        self.gamma.fill_(self.gamma.shape[0] ** -0.5)


def _unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=-1, eps=_SMALLEST_NORM)


class _Rotary(nn.Module):
    """The table of rotations, shared by all layers of one axis.

    It holds the rotation of a position once for query and key of every head: one long product instead of many short
    ones, which costs a tenth of an attention less.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(1.0 / _THETA ** (torch.arange(0, dim, 2).float() / dim), requires_grad=False)
        self._table: Tensor | None = None

    def table(self, length: int, heads: int) -> Tensor:
        """exp(i * position * frequency), shape (length, 2, heads, dim / 2)."""
        kept = self._table
        if kept is None or kept.shape[0] < length or kept.device != self.freqs.device:
            angles = torch.arange(length, device=self.freqs.device, dtype=torch.float32)[:, None] * self.freqs[None]
            once = torch.complex(angles.cos(), angles.sin())
            kept = once[:, None, None].expand(-1, 2, heads, -1).contiguous()
            self._table = kept
        return kept[:length]


class _Attention(nn.Module):
    def __init__(self, config: RoformerConfig, rotary: _Rotary) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads, self.head_dim = config.heads, config.head_dim
        self.rotary_embed = rotary
        self.norm = _Norm(config.dim)
        self.to_qkv = nn.Linear(config.dim, 3 * inner, bias=False)
        self.to_gates = nn.Linear(config.dim, config.heads)
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim, bias=False), nn.Identity())

    def add_to(self, x: Tensor) -> None:
        """x += attention(x); x is (sequences, length, dim), contiguous."""
        count, length, dim = x.shape
        unit = _unit(x)
        qkv = self.to_qkv(unit).view(count, length, 3, self.heads, self.head_dim)
        gates = self.to_gates(unit).sigmoid_()
        pairs = torch.view_as_complex(qkv[:, :, :2].unflatten(-1, (-1, 2)))
        pairs.mul_(self.rotary_embed.table(length, self.heads))
        query, key, value = (part.transpose(1, 2) for part in qkv.unbind(2))
        heard = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        heard = heard.mul_(gates.unsqueeze(-1)).reshape(count * length, self.heads * self.head_dim)
        x.view(-1, dim).addmm_(heard, cast("nn.Linear", self.to_out[0]).weight.t())


class _FeedForward(nn.Module):
    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        inner = config.dim * config.feed_forward_factor
        self.net = nn.Sequential(
            _Norm(config.dim),
            nn.Linear(config.dim, inner),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(inner, config.dim),
            nn.Identity(),
        )

    def add_to(self, x: Tensor) -> None:
        """x += feed_forward(x)."""
        hidden = gelu_in_place(self.net[1](_unit(x)))
        x.add_(self.net[4](hidden))


class _Transformer(nn.Module):
    """Sequences (n, length, dim), changed in place."""

    def __init__(self, config: RoformerConfig, depth: int, rotary: _Rotary, *, norm_output: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([_Attention(config, rotary), _FeedForward(config)]) for _ in range(depth)
        )
        self.norm = _Norm(config.dim) if norm_output else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for attention, feed_forward in self._pairs():
            attention.add_to(x)
            feed_forward.add_to(x)
        normed: Tensor = self.norm(x)
        return normed

    def _pairs(self) -> Iterator[tuple[_Attention, _FeedForward]]:
        for pair in cast("Iterator[nn.ModuleList]", iter(self.layers)):
            yield cast("_Attention", pair[0]), cast("_FeedForward", pair[1])

    def fold_norms(self) -> None:
        for attention, feed_forward in self._pairs():
            attention.norm.fold_into(attention.to_qkv, attention.to_gates)
            cast("_Norm", feed_forward.net[0]).fold_into(cast("nn.Linear", feed_forward.net[1]))


class _BandSplit(nn.Module):
    def __init__(self, dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.to_features = nn.ModuleList(nn.Sequential(_Norm(width), nn.Linear(width, dim)) for width in widths)


class _MaskEstimator(nn.Module):
    """One stem's masks: for each band a small perceptron, then a gate."""

    def __init__(self, config: RoformerConfig, widths: Sequence[int]) -> None:
        super().__init__()
        hidden = config.dim * config.mask_factor
        self.to_freqs = nn.ModuleList()
        for width in widths:
            sizes = [config.dim, *[hidden] * config.mask_hidden_layers, 2 * width]
            layers: list[nn.Module] = []
            for first, second in itertools.pairwise(sizes):
                layers += [nn.Linear(first, second), nn.Tanh()]
            self.to_freqs.append(nn.Sequential(nn.Sequential(*layers[:-1]), nn.GLU(dim=-1)))

    def band(self, index: int, x: Tensor) -> Tensor:
        """The mask of one band from its features (..., dim): (..., 2 * channels * bins)."""
        for layer in cast("nn.Sequential", cast("nn.Sequential", self.to_freqs[index])[0]):
            x = x.tanh_() if isinstance(layer, nn.Tanh) else layer(x)
        return functional.glu(x, dim=-1)


class Roformer(nn.Module):
    """Waveforms in, stems out: (batch, channels, samples) -> (batch, stems, channels, samples).

    Load the published weights, then `fold_norms`, then use it for inference only.
    """

    def __init__(self, config: RoformerConfig) -> None:
        super().__init__()
        self.config = config
        self.bands = config.bands
        widths = [2 * config.channels * band.bins for band in self.bands]
        time, freq = _Rotary(config.head_dim), _Rotary(config.head_dim)
        mel = config.mel_band_count is not None
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    _Transformer(config, config.time_depth, time, norm_output=mel),
                    _Transformer(config, config.freq_depth, freq, norm_output=mel),
                ]
            )
            for _ in range(config.depth)
        )
        self.final_norm = nn.Identity() if mel else _Norm(config.dim)
        self.band_split = _BandSplit(config.dim, widths)
        self.mask_estimators = nn.ModuleList(_MaskEstimator(config, widths) for _ in range(config.stems))
        self.register_buffer("window", torch.hann_window(config.window_samples, device="cpu"), persistent=False)
        shared = torch.zeros(config.fft_samples // 2 + 1, device="cpu")
        for band in self.bands:
            shared[band.first : band.last] += 1
        self.register_buffer("bands_per_bin", shared[:, None, None], persistent=False)

    @torch.no_grad()
    def fold_norms(self) -> None:
        """Fold the norms' gains into what follows them; once, after the weights are loaded."""
        for layer in self._layers():
            for transformer in layer:
                transformer.fold_norms()
        for branch in cast("Iterator[nn.Sequential]", iter(self.band_split.to_features)):
            cast("_Norm", branch[0]).fold_into(cast("nn.Linear", branch[1]))

    def _layers(self) -> Iterator[tuple[_Transformer, _Transformer]]:
        """The transformers along time and along frequency of each layer."""
        for layer in cast("Iterator[nn.ModuleList]", iter(self.layers)):
            yield cast("_Transformer", layer[0]), cast("_Transformer", layer[1])

    def keep_stems(self, kept: Sequence[int]) -> None:
        """Drop the heads of all other stems."""
        self.mask_estimators = nn.ModuleList(self.mask_estimators[index] for index in kept)

    def forward(self, mix: Tensor) -> Tensor:
        spectrum = self._analyse(mix)
        x = self._trunk(self._features(spectrum))
        heads = cast("Iterator[_MaskEstimator]", iter(self.mask_estimators))
        stems = [self._stem(head, x, spectrum, mix.shape[-1]) for head in heads]
        return torch.stack(stems, dim=1)

    def _analyse(self, mix: Tensor) -> Tensor:
        """Complex spectra, shape (batch, bins, channels, frames)."""
        batch, channels, samples = mix.shape
        config = self.config
        spectrum = torch.stft(
            mix.reshape(batch * channels, samples),
            config.fft_samples,
            config.hop_samples,
            config.window_samples,
            self.get_buffer("window"),
            normalized=config.normalised_fft,
            return_complex=True,
        )
        return spectrum.view(batch, channels, *spectrum.shape[1:]).transpose(1, 2)

    def _features(self, spectrum: Tensor) -> Tensor:
        """Band features, shape (batch, frames, bands, dim)."""
        batch, _, _, frames = spectrum.shape
        parts = torch.view_as_real(spectrum.permute(0, 3, 1, 2).contiguous())  # batch, frames, bins, channels, 2
        features = parts.new_empty(batch, frames, len(self.bands), self.config.dim)
        for index, (band, branch) in enumerate(zip(self.bands, self.band_split.to_features, strict=True)):
            linear = cast("nn.Sequential", branch)[1]
            features[:, :, index] = linear(_unit(parts[:, :, band.first : band.last].flatten(-3)))
        return features

    def _trunk(self, x: Tensor) -> Tensor:
        batch, frames, bands, dim = x.shape
        rows = _CPU_ROWS if x.device.type == "cpu" else _GPU_ROWS
        skipped: list[Tensor] = []
        for time, freq in self._layers():
            for before in skipped:
                x += before
            per_pass = max(1, rows // frames)
            for item in range(batch):
                for first in range(0, bands, per_pass):
                    part = x[item, :, first : first + per_pass]
                    part.copy_(time(part.transpose(0, 1).contiguous()).transpose(0, 1))
            sequences = x.view(batch * frames, bands, dim)
            for block in torch.split(sequences, max(1, rows // bands)):
                done = freq(block)
                if done is not block:
                    block.copy_(done)
            if self.config.skip_connection:
                skipped.append(x.clone())
        normed: Tensor = self.final_norm(x)
        return normed

    def _stem(self, head: _MaskEstimator, x: Tensor, spectrum: Tensor, samples: int) -> Tensor:
        """One stem's waveforms, shape (batch, channels, samples)."""
        batch, bins, channels, frames = spectrum.shape
        mask = torch.zeros_like(spectrum)
        for index, band in enumerate(self.bands):
            parts = head.band(index, x[:, :, index]).view(batch, frames, band.bins, channels, 2)
            mask[:, band.first : band.last] += torch.view_as_complex(parts).permute(0, 2, 3, 1)
        if self.config.mel_band_count is not None:
            mask /= self.get_buffer("bands_per_bin")
        mask *= spectrum
        if self.config.zero_dc:
            mask[:, 0] = 0
        waves = torch.istft(
            mask.transpose(1, 2).reshape(batch * channels, bins, frames),
            self.config.fft_samples,
            self.config.hop_samples,
            self.config.window_samples,
            self.get_buffer("window"),
            normalized=self.config.normalised_fft,
            length=samples,
        )
        return waves.view(batch, channels, samples)
