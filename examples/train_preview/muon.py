"""Muon: steps of equal size in every direction of a weight matrix, where Adam's are led by a few of them.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step scaled to that of
AdamW as J. Liu et al. propose (arXiv 2502.16982), so one learning rate serves both. `torch.optim.Muon` takes
two-dimensional weights alone; most of this network's are stacks of matrices, one per band, and an LSTM's four gates
are four matrices that only lie in one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_QUINTIC = (3.4445, -4.7750, 2.0315)  # K. Jordan's coefficients: five rounds bring singular values near one
_ROUNDS = 5
_ADAM_RMS = 0.2  # of a usual AdamW step at learning rate 1


def optimizers(net: nn.Module, *, rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of a network, AdamW for everything else."""
    matrices = [(name, p) for name, p in net.named_parameters() if p.ndim >= 2 and not name.endswith("bias")]
    taken = {name for name, _ in matrices}
    others = [p for name, p in net.named_parameters() if name not in taken]
    return [Muon(matrices, rate, weight_decay), torch.optim.AdamW(others, lr=rate, weight_decay=0.0, fused=True)]


class Muon(torch.optim.Optimizer):
    """For named matrices (rows, columns) and stacks of them; those of an LSTM are taken gate by gate."""

    def __init__(self, named: Iterable[tuple[str, Tensor]], rate: float, weight_decay: float) -> None:
        groups = [
            {"params": [weight], "matrices": 4 if "_rnn." in name else 1, "weight_decay": weight_decay}
            for name, weight in named
        ]
        super().__init__(groups, {"lr": rate})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            (weight,) = group["params"]
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            state["momentum"].lerp_(weight.grad, 1 - _MOMENTUM)
            ahead = weight.grad.lerp(state["momentum"], _MOMENTUM)  # Nesterov's
            if group["matrices"] > 1:
                ahead = ahead.reshape(group["matrices"], -1, weight.shape[-1])
            size = _ADAM_RMS * max(ahead.shape[-2:]) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(orthogonal(ahead).reshape(weight.shape), alpha=-size * group["lr"])


def orthogonal(stack: Tensor) -> Tensor:
    """Nearly the nearest matrices with orthonormal rows or columns, by Newton and Schulz' iteration."""
    x = stack.transpose(-1, -2) if stack.shape[-2] > stack.shape[-1] else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        square = x @ x.transpose(-1, -2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(-1, -2) if stack.shape[-2] > stack.shape[-1] else x
