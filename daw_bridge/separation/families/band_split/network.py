"""The band-split recurrent network: spectra of a stereo mix in, spectra of its stems out.

After Y. Luo and J. Yu, "Music Source Separation with Band-Split RNN", IEEE/ACM TASLP 2023 (arXiv 2209.15174): the
spectrum is cut into bands, narrow ones at the low end; recurrences run in turn along time and across the bands; each
band then gets complex masks. Differences, so that it can listen live and stay small: with `causal` the time
recurrence only looks back and every norm is taken within one frame; one network makes all stems at once; masks work on
mid and side; magnitudes stand beside real and imaginary parts as features; and the masks of all stems sum to one, so
the stems always sum to the mix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from daw_bridge.separation.families.band_split.config import BandSplitConfig

State = tuple[Tensor, Tensor]
"""Hidden and cell state of the time recurrences, each (layers, batch * bands, time_hidden)."""

_MAGNITUDE_POWER = 0.3
_FEATURES_PER_BIN = 7
_PARTS = 4  # mid re, mid im, side re, side im
_NARROW_BANDS_HZ = ((86.13, 6), (172.27, 6), (344.53, 5), (689.07, 4), (1378.13, 3))


def band_widths(config: BandSplitConfig) -> tuple[int, ...]:
    """Bins of each band, from 0 Hz up: 86 Hz wide at the low end, two wide bands on top."""
    bin_hz = config.sample_rate_hz / config.window_samples
    widths: list[int] = []
    for width_hz, count in _NARROW_BANDS_HZ:
        widths += [max(1, round(width_hz / bin_hz))] * count
    rest = config.bins - sum(widths)
    if rest < 2:
        raise ValueError(f"a window of {config.window_samples} samples is too short for the band layout")
    return (*widths, rest // 2, rest - rest // 2)


class _BandLinear(nn.Module):
    """One linear map per band; bands of equal width share one batched product."""

    def __init__(self, bands: int, inputs: int, outputs: int, *, zero: bool = False) -> None:
        super().__init__()
        scale = 0.0 if zero else inputs**-0.5
        self.weight = nn.Parameter(torch.randn(bands, inputs, outputs) * scale)
        self.bias = nn.Parameter(torch.zeros(bands, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(bands, n, inputs) -> (bands, n, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class _Block(nn.Module):
    """One pass along time, then one across the bands; both add to what they got."""

    def __init__(self, config: BandSplitConfig) -> None:
        super().__init__()
        directions = 1 if config.causal else 2
        self.time_norm = nn.LayerNorm(config.features)
        self.time_rnn = nn.LSTM(config.features, config.time_hidden, bidirectional=not config.causal)
        self.time_out = nn.Linear(directions * config.time_hidden, config.features)
        self.band_norm = nn.LayerNorm(config.features)
        self.band_rnn = nn.LSTM(config.features, config.band_hidden, bidirectional=True)
        self.band_out = nn.Linear(2 * config.band_hidden, config.features)

    def forward(self, z: Tensor, h: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """`z`: (frames, batch, bands, features); h and c: (1, batch * bands, time_hidden) or None."""
        frames, batch, bands, features = z.shape
        y = self.time_norm(z).reshape(frames, batch * bands, features)
        y, (h, c) = self.time_rnn(y) if h is None else self.time_rnn(y, (h, c))
        z = z + self.time_out(y).reshape(frames, batch, bands, features)
        y = self.band_norm(z).reshape(frames * batch, bands, features).transpose(0, 1)
        y = self.band_out(self.band_rnn(y)[0]).transpose(0, 1)
        return z + y.reshape(frames, batch, bands, features), h, c


class BandSplitNet(nn.Module):
    """Fresh weights give the trivial estimate: every stem is the mix divided by the number of stems."""

    def __init__(self, config: BandSplitConfig) -> None:
        super().__init__()
        self.config = config
        self.groups = _equal_widths(band_widths(config))
        features, sources = config.features, len(config.sources)
        self.split = nn.ModuleList(_BandLinear(n, _FEATURES_PER_BIN * w, features) for n, w in self.groups)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.mask_norm = nn.LayerNorm(features)
        self.mask_in = _BandLinear(sum(n for n, _ in self.groups), features, config.mask_hidden)
        detail = self.groups if config.mask_detail else ()
        self.detail = nn.ModuleList(
            _BandLinear(n, _FEATURES_PER_BIN * w, config.mask_hidden, zero=True) for n, w in detail
        )
        self.masks = nn.ModuleList(
            _BandLinear(n, config.mask_hidden, sources * _PARTS * w, zero=True) for n, w in self.groups
        )

    def forward(self, spectrum: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Stems' spectra (batch, frames, sources, 4, bins) of a mix (batch, frames, 4, bins), and the state after.

        The four parts are mid re, mid im, side re, side im. Without `state` the recurrence starts from silence. The
        state carries on only in a causal network; a bidirectional one gives back what it was given no use for.
        """
        z, after = self.encode(spectrum, state)
        return self.estimate(z, spectrum), after

    def encode(self, spectrum: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """All but the last step: what the recurrences say of each band, (frames, batch, bands, features)."""
        z = self._split_bands(_features(spectrum))
        hidden: list[Tensor] = []
        cells: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            h = state[0][index : index + 1] if state is not None else None
            c = state[1][index : index + 1] if state is not None else None
            z, h, c = block(z, h, c)
            hidden.append(h)
            cells.append(c)
        return z, (torch.cat(hidden), torch.cat(cells))

    def estimate(self, z: Tensor, spectrum: Tensor) -> Tensor:
        """The last step: stems' spectra from `encode`'s bands and the mix. Apart, so that training can compile it."""
        return _apply(self._estimate_masks(z, spectrum), spectrum)

    def initial_state(self, batch: int = 1) -> State:
        """What the recurrences know before the first frame. Only for a causal network."""
        config = self.config
        bands = sum(count for count, _ in self.groups)
        zeros = torch.zeros(config.layers, batch * bands, config.time_hidden)
        return zeros, zeros.clone()

    def _split_bands(self, features: Tensor) -> Tensor:
        """(batch, frames, 7, bins) -> (frames, batch, bands, features)."""
        batch, frames = features.shape[:2]
        z = self._per_band(features, self.split)
        return z.transpose(0, 1).reshape(frames, batch, z.shape[0], z.shape[2])

    def _per_band(self, features: Tensor, layers: nn.ModuleList) -> Tensor:
        """One linear map for each band's bins: (batch, frames, 7, bins) -> (bands, frames * batch, outputs)."""
        batch, frames = features.shape[:2]
        start, parts = 0, []
        for (count, width), project in zip(self.groups, layers, strict=True):
            piece = features[..., start : start + count * width].reshape(batch, frames, -1, count, width)
            piece = piece.permute(3, 1, 0, 2, 4).reshape(count, frames * batch, -1)
            parts.append(project(piece))
            start += count * width
        return torch.cat(parts)

    def before_masks(self, z: Tensor, spectrum: Tensor) -> Tensor:
        """What the masks are linear in, (bands, frames * batch, mask_hidden).

        From (frames, batch, bands, features) and the mix, (batch, frames, 4, bins).
        """
        frames, batch, bands, features = z.shape
        y = self.mask_in(self.mask_norm(z).reshape(frames * batch, bands, features).transpose(0, 1))
        if self.config.mask_detail:
            y = y + self._per_band(_features(spectrum), self.detail)
        return torch.tanh(y)

    def _estimate_masks(self, z: Tensor, spectrum: Tensor) -> Tensor:
        """Masks (batch, frames, sources, 4, bins) that sum to one over the sources; arguments as `before_masks`."""
        frames, batch = z.shape[:2]
        y = self.before_masks(z, spectrum)
        sources = len(self.config.sources)
        first, parts = 0, []
        for (count, width), project in zip(self.groups, self.masks, strict=True):
            piece = project(y[first : first + count]).reshape(count, frames, batch, sources, _PARTS, width)
            parts.append(piece.permute(2, 1, 3, 4, 0, 5).reshape(batch, frames, sources, _PARTS, count * width))
            first += count
        masks = torch.cat(parts, -1)
        share = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=z.dtype, device=z.device).reshape(_PARTS, 1) / sources
        return masks - masks.mean(2, keepdim=True) + share


def _equal_widths(widths: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Runs of equal band widths as (count, width)."""
    groups: list[tuple[int, int]] = []
    for width in widths:
        if groups and groups[-1][1] == width:
            groups[-1] = (groups[-1][0] + 1, width)
        else:
            groups.append((1, width))
    return tuple(groups)


def _features(spectrum: Tensor) -> Tensor:
    """Power-compressed magnitudes, where it sits in the stereo field, and compressed real and imaginary parts.

    (batch, frames, 4, bins) -> (batch, frames, 7, bins). The tiny offset keeps silence finite and exactly zero.
    """
    re, im = spectrum[:, :, 0::2], spectrum[:, :, 1::2]
    power = re * re + im * im + 1e-10
    squeeze = power ** ((_MAGNITUDE_POWER - 1.0) / 2.0)
    magnitude = power * squeeze / torch.sqrt(power)
    cross = re[:, :, 0] * re[:, :, 1] + im[:, :, 0] * im[:, :, 1]
    direction = cross / (power[:, :, 0] + power[:, :, 1]) * magnitude[:, :, 0]
    return torch.cat((magnitude, direction.unsqueeze(2), re * squeeze, im * squeeze), 2)


def _apply(masks: Tensor, spectrum: Tensor) -> Tensor:
    """The complex product of masks (batch, frames, sources, 4, bins) and mix (batch, frames, 4, bins)."""
    mix = spectrum.unsqueeze(2)
    mask_re, mask_im = masks[:, :, :, 0::2], masks[:, :, :, 1::2]
    mix_re, mix_im = mix[:, :, :, 0::2], mix[:, :, :, 1::2]
    re = mask_re * mix_re - mask_im * mix_im
    im = mask_re * mix_im + mask_im * mix_re
    return torch.stack((re, im), 4).flatten(3, 4)
