"""Convolutions a block at a time: the same numbers, without the library's copies of whole tensors.

On a CPU, oneDNN brings the input and the output of a convolution into a layout of its own, each a copy of the whole.
Cut into blocks of rows with their neighbours, only a block is copied. A GPU gets the convolution as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK_NUMBERS = 1 << 21
"""Larger ones take more memory at the peak: with 8M numbers a chunk of drumsep5 took 1.51 instead of 1.08 GiB."""


def conv_in_blocks(
    conv: nn.Conv2d, x: Tensor, after: Callable[[Tensor], Tensor] | None = None, *, onto: Tensor | None = None
) -> Tensor:
    """`after(conv(x))` of a 3 x 3 convolution that keeps the size of x (batch, channels, rows, columns).

    `after` works on channels only, and may change their number. With `onto` the result is added to that tensor.
    """
    after = after or _same
    rows = x.shape[2]
    step = max(4, _BLOCK_NUMBERS // max(1, x.shape[0] * x.shape[1] * x.shape[3]))
    if x.device.type != "cpu" or step >= rows:
        made = after(conv(x))
        return made if onto is None else onto.add_(made)
    out = onto
    for first in range(0, rows, step):
        last = min(rows, first + step)
        above, below = int(first > 0), int(last < rows)
        piece = x[:, :, first - above : last + below]
        if not (above and below):
            piece = functional.pad(piece, (0, 0, 1 - above, 1 - below))
        made = after(functional.conv2d(piece, conv.weight, conv.bias, padding=(0, 1)))
        if out is None:
            out = made.new_empty(made.shape[0], made.shape[1], rows, made.shape[3])
        if onto is None:
            out[:, :, first:last] = made
        else:
            out[:, :, first:last] += made
    return x if out is None else out


def _same(x: Tensor) -> Tensor:
    return x


def gelu_in_place(x: Tensor) -> Tensor:
    """GELU of a tensor that nobody else needs."""
    changed: Tensor = torch.ops.aten.gelu_(x)
    return changed
