"""The convolutional layers of Demucs on the CPU: the same sums in fewer passes over memory.

A layer of the `demucs` package writes each step of its residual branches (DConv) to memory for the whole segment, and
reads it back. Three changes leave the result as it is within float32's rounding (tests/separation/test_cpu_layers.py):

- Rows of the spectrogram do not see each other in a branch, so that a layer is computed in blocks of rows that stay in
  the cache.
- The group norm after a branch's 1x1 convolution is folded into that convolution: mean and variance of its output
  follow from mean and covariance of its few inputs (8 times fewer channels), see `_Branch`.
- 3x3 convolutions run by Winograd's method (F(6x6, 3x3) of NNPACK, in float32), which multiplies 5 times less often.

Every module here keeps the original one and hands it the input on other devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from demucs.hdemucs import HDecLayer, HEncLayer
from demucs.transformer import LayerScale
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK_VALUES = 1 << 19
"""Values of one block (2 MB of float32): a few arrays of this size fit in a core's share of the cache."""

_SCRATCH_BYTES = 1 << 28
"""What NNPACK may take for its tiles, 64 values for 36 of each channel: a segment of 44 s would make it a gigabyte."""


class WinogradConv2d(nn.Module):
    """A 3x3 convolution of stride 1 through NNPACK, or the original where that library does not run."""

    def __init__(self, original: nn.Conv2d) -> None:
        super().__init__()
        self.original = original

    def forward(self, x: Tensor) -> Tensor:
        conv = self.original
        if x.device.type != "cpu":
            y: Tensor = conv(x)
            return y
        batch, channels, rows, times = x.shape
        row_bytes = 4 * 64 / 36 * (channels + conv.out_channels) * times
        most = max(6, int(_SCRATCH_BYTES / row_bytes))
        if rows <= most or conv.padding != (1, 1):
            return _nnpack(x, conv)
        y = x.new_empty(batch, conv.out_channels, rows, times)
        for start in range(0, rows, most):
            end, first = min(rows, start + most), max(0, start - 1)
            block = _nnpack(x[:, :, first : end + 1], conv)  # a row more on each side, as far as there is one
            y[:, :, start:end] = block[:, :, start - first : end - first]
        return y


def _nnpack(x: Tensor, conv: nn.Conv2d) -> Tensor:
    return torch._nnpack_spatial_convolution(x, conv.weight, conv.bias, padding=conv.padding)  # type: ignore[arg-type]


class _Branch:
    """One residual branch of a DConv: x + scale * glu(norm(wide(gelu(norm(narrow(x)))))).

    `narrow` has few output channels h (H of them), `wide` is y = W h + b with 2C channels. With m and S the mean and
    covariance of h over time, u = W m + b and G = W'W, the norm over all channels and times of y has

        mean = avg(u),  variance = trace(G S) / 2C + var(u)

    (all terms positive: nothing cancels), and with r = 1 / sqrt(variance + eps) it is a product with a fixed matrix:

        norm(y) = [gamma W, gamma b, gamma, beta] [r h, r, -mean r, 1]
    """

    def __init__(self, layer: Any) -> None:
        narrow, norm, _, wide, self._wide_norm, _, scale = layer
        self._norm: Any = norm
        self._dilation = int(narrow.dilation[0])
        self._taps = narrow.weight.detach().permute(2, 0, 1).flatten(0, 1).contiguous()
        self._bias = narrow.bias.detach()[:, None, None]
        weight, bias = wide.weight.detach()[:, :, 0].double(), wide.bias.detach().double()
        gamma, beta = self._wide_norm.weight.detach().double(), self._wide_norm.bias.detach().double()
        folded = torch.cat([gamma[:, None] * weight, (gamma * bias)[:, None], gamma[:, None], beta[:, None]], dim=1)
        # glu(a, b) = a * sigmoid(b): the branch's own scale goes into the rows of a.
        folded[: len(folded) // 2] *= scale.scale.detach().double()[:, None]
        self._folded = folded.float()
        self._weight, self._wide_bias = weight.float(), bias.float()
        self._gram = (weight.T @ weight).float()

    def add_to(self, x: Tensor) -> None:
        """x (C, rows, times), any strides with contiguous times, becomes x + branch(x)."""
        inputs = self._inputs(x)
        channels, rows, times = x.shape
        flat = inputs.flatten(1)
        if rows > 1:
            x += F.glu(torch.mm(self._folded, flat), dim=0).view(channels, rows, times)
            return
        for start, end in _blocks(times, channels):
            x[:, 0, start:end] += F.glu(torch.mm(self._folded, flat[:, start:end]), dim=0)

    def _hidden(self, x: Tensor) -> Tensor:
        """(rows, H, times): the narrow convolution as a product for each tap, its norm and its activation."""
        channels, rows, times = x.shape
        taps = torch.mm(self._taps, x.reshape(channels, rows * times)).view(3, -1, rows, times)
        hidden = taps[1].add_(self._bias)
        reach, shared = self._dilation, max(0, times - self._dilation)
        hidden[..., reach:] += taps[0, ..., :shared]
        hidden[..., :shared] += taps[2, ..., reach:]
        return F.gelu(self._norm(hidden.transpose(0, 1).contiguous()))

    def _inputs(self, x: Tensor) -> Tensor:
        """(H + 3, rows, times): what the folded matrix is multiplied with."""
        hidden = self._hidden(x)
        rows, width, times = hidden.shape
        mean = hidden.mean(dim=-1, keepdim=True)
        centred = hidden - mean
        covariance = torch.bmm(centred, centred.transpose(1, 2)) / times
        u = torch.addmm(self._wide_bias, mean[..., 0], self._weight.T)
        variance = (covariance * self._gram).sum(dim=(1, 2)) / u.shape[1] + u.var(dim=1, unbiased=False)
        r = torch.rsqrt(variance + self._wide_norm.eps)
        inputs = hidden.new_empty(width + 3, rows, times)
        torch.mul(hidden.transpose(0, 1), r[None, :, None], out=inputs[:width])
        inputs[width] = r[:, None]
        inputs[width + 1] = (-u.mean(dim=1) * r)[:, None]
        inputs[width + 2] = 1.0
        return inputs


class _Branches:
    """All residual branches of one DConv."""

    def __init__(self, dconv: Any) -> None:
        self._branches = [_Branch(layer) for layer in dconv.layers]

    def add_to(self, x: Tensor) -> None:
        for branch in self._branches:
            branch.add_to(x)


def _blocks(count: int, values_each: int) -> Iterator[tuple[int, int]]:
    """Ranges of `count` columns (or rows) of which a block of `values_each` values a piece fits in the cache."""
    size = max(1, _BLOCK_VALUES // values_each)
    for start in range(0, count, size):
        yield start, min(count, start + size)


class Encoder(nn.Module):
    """An `HEncLayer` without norms of its own: convolution, GELU, residual branches, 1x1 convolution, GLU."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original
        self.empty = False  # HTDemucs.forward asks
        self._branches = _Branches(original.dconv)
        self._weight = original.rewrite.weight.detach().flatten(1)
        self._bias = original.rewrite.bias.detach()[:, None]

    def forward(self, x: Tensor, inject: Tensor | None = None) -> Tensor:
        """As `HEncLayer.forward`: (batch, channels, frequencies, frames) or (batch, channels, samples)."""
        layer = self.original
        if x.device.type != "cpu" or inject is not None:
            y: Tensor = layer(x, inject)
            return y
        if not layer.freq:
            if x.dim() == 4:
                x = x.flatten(1, 2)
            x = F.pad(x, (0, -x.shape[-1] % layer.stride))
        y = layer.conv(x)
        planes = y if layer.freq else y[:, :, None]
        for plane in planes:
            self._plane(plane)
        return y

    def _plane(self, plane: Tensor) -> None:
        """plane (C, rows, times), the convolution's output, becomes the layer's."""
        channels, rows, times = plane.shape
        if rows == 1:
            x = F.gelu(plane)
            self._branches.add_to(x)
            for start, end in _blocks(times, 2 * channels):
                plane[:, 0, start:end] = F.glu(torch.addmm(self._bias, self._weight, x[:, 0, start:end]), dim=0)
            return
        for start, end in _blocks(rows, channels * times):
            x = F.gelu(plane[:, start:end].contiguous())
            self._branches.add_to(x)
            z = F.glu(torch.addmm(self._bias, self._weight, x.flatten(1)), dim=0)
            plane[:, start:end] = z.view(channels, end - start, times)


class SpectralDecoder(nn.Module):
    """An `HDecLayer` of the spectral branch without norms: 3x3 convolution, GLU, residual branches, transposed conv."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original
        self._branches = _Branches(original.dconv)
        # (Cin, Cout, 2 * stride, 1) to a product that gives (Cout, 2, stride): own rows, and those of the next input.
        weight = original.conv_tr.weight.detach()
        self._weight = weight.flatten(1).T.contiguous()
        self._bias = original.conv_tr.bias.detach()[:, None, None, None]

    def forward(self, x: Tensor, skip: Tensor, length: int) -> tuple[Tensor, None]:
        layer = self.original
        if x.device.type != "cpu":
            out, _ = layer(x, skip, length)
            return out, None
        if x.dim() == 3:
            x = x.view(x.shape[0], layer.chin, -1, x.shape[-1])
        y = layer.rewrite(x + skip)
        batch, _, rows, times = y.shape
        out = y.new_empty(batch, layer.conv_tr.out_channels, rows + 1, layer.stride, times)
        for plane, result in zip(y, out, strict=True):
            self._plane(plane, result)
        return out.flatten(2, 3)[:, :, layer.pad : -layer.pad], None

    def _plane(self, plane: Tensor, out: Tensor) -> None:
        """plane (2C, rows, times), before its GLU, to `out` (Cout, rows + 1, stride, times)."""
        layer = self.original
        _, rows, times = plane.shape
        stride = layer.stride
        carry: Tensor = plane.new_zeros(())  # what the rows before add to the first ones of a block
        for start, end in _blocks(rows, layer.chin * times):
            x = F.glu(plane[:, start:end], dim=0)
            self._branches.add_to(x)
            taps = torch.mm(self._weight, x.flatten(1)).view(-1, 2, stride, end - start, times).transpose(2, 3)
            block = out[:, start:end]
            torch.add(taps[:, 0], self._bias, out=block)
            block[:, 1:] += taps[:, 1, :-1]
            block[:, 0] += carry
            carry = taps[:, 1, -1]
            if not layer.last:
                torch.ops.aten.gelu_(block)
        torch.add(carry, self._bias[:, 0], out=out[:, rows])
        if not layer.last:
            torch.ops.aten.gelu_(out[:, rows])


class TimeDecoder(nn.Module):
    """An `HDecLayer` of the time branch without norms."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original
        self.empty = False
        self._branches = _Branches(original.dconv)

    def forward(self, x: Tensor, skip: Tensor, length: int) -> tuple[Tensor, None]:
        layer = self.original
        if x.device.type != "cpu":
            out, _ = layer(x, skip, length)
            return out, None
        y = F.glu(layer.rewrite(x + skip), dim=1)
        for plane in y:
            self._branches.add_to(plane[:, None])
        z = layer.conv_tr(y)[..., layer.pad : layer.pad + length]
        return (z if layer.last else F.gelu(z)), None


def quicken(module: Any) -> None:
    """Replace the layers of an `HTDemucs` or `HDemucs` that have a quicker form on the CPU, in place."""
    branches = {name: getattr(module, name, []) for name in ("encoder", "tencoder", "decoder", "tdecoder")}
    for name in ("encoder", "tencoder"):
        for index, layer in enumerate(branches[name]):
            branches[name][index] = _encoder(layer)
    offset = len(branches["decoder"]) - len(branches["tdecoder"])
    for index, layer in enumerate(branches["tdecoder"]):
        branches["tdecoder"][index] = _decoder(layer)
    for index, layer in enumerate(branches["decoder"]):
        partner = branches["tdecoder"][index - offset] if index >= offset and branches["tdecoder"] else None
        # An empty partner starts from what the spectral layer held before its last convolution: ours keep it in blocks.
        if partner is None or not partner.empty:
            branches["decoder"][index] = _decoder(layer)


def _encoder(layer: Any) -> Any:
    if not isinstance(layer, HEncLayer) or layer.empty or not _is_plain(layer):
        return layer
    rewrite: Any = layer.rewrite
    return Encoder(layer) if set(rewrite.kernel_size) == {1} else layer


def _decoder(layer: Any) -> Any:
    """The quick form of a layer as far as it has one; an `HDecLayer` is changed itself."""
    if not isinstance(layer, HDecLayer) or layer.empty:
        return layer
    rewrite: Any = layer.rewrite
    if isinstance(rewrite, nn.Conv2d) and _is_winograd(rewrite):
        layer.add_module("rewrite", WinogradConv2d(rewrite))
    if not _is_plain(layer):
        return layer
    if not layer.freq:
        return TimeDecoder(layer)
    return SpectralDecoder(layer) if layer.pad and layer.kernel_size == 2 * layer.stride else layer


def _is_plain(layer: Any) -> bool:
    """No norms of its own; residual branches of just the kinds that `_Branch` computes (no LSTM, no attention)."""
    if layer.norm or layer.rewrite is None or layer.dconv is None:
        return False
    kinds = [nn.Conv1d, nn.GroupNorm, nn.GELU, nn.Conv1d, nn.GroupNorm, nn.GLU, LayerScale]
    branches = list(layer.dconv.layers)
    return all([type(part) for part in branch] == kinds and branch[0].kernel_size == (3,) for branch in branches)


def _is_winograd(conv: Any) -> bool:
    if conv.kernel_size != (3, 3) or {*conv.stride, *conv.dilation, conv.groups} != {1}:
        return False
    has_nnpack: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return has_nnpack and hasattr(torch, "_nnpack_spatial_convolution")
