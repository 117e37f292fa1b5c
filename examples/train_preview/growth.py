"""A trained network made larger without a change of what it computes, so that training only has to carry on.

Units that are new say nothing to those behind them until they have learnt to (T. Chen et al., "Net2Net", ICLR 2016,
and zero-initialised residuals). Features are doubled instead: a norm over them sees the same mean and variance when
each stands there twice, and whoever reads them takes unequal shares of the two, which then part.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet

_GROWING = ("features", "time_hidden", "band_hidden", "mask_hidden", "layers", "mask_detail")
_UNEVEN = 0.5  # of a weight's own spread: how unequal the shares of a feature's two copies are


def grown(net: BandSplitNet, config: BandSplitConfig) -> BandSplitNet:
    """`net`'s function in the shape of `config`: more layers, `mask_detail`, wider recurrences and masks, or twice the
    features. Raises ValueError where anything else differs or a size shrinks.
    """
    same = {name: getattr(net.config, name) for name in _GROWING}
    sizes = {name: getattr(config, name) for name in _GROWING}
    if (
        replace(config, **same) != net.config
        or any(sizes[name] < size for name, size in same.items())
        or config.features not in (net.config.features, 2 * net.config.features)
    ):
        raise ValueError(f"{config} is not a larger {net.config}")
    large = BandSplitNet(config)
    target, old = large.state_dict(), net.state_dict()
    if config.features == 2 * net.config.features:
        old = {name: _features_twice(name, weight) for name, weight in old.items()}
    with torch.no_grad():
        for name, weight in target.items():
            if name in old:
                _place(name, weight, old[name])
            elif name.startswith("blocks.") and "_out." in name:
                weight.zero_()
    large.load_state_dict(target)
    return large


def _features_twice(name: str, weight: Tensor) -> Tensor:
    """What makes features makes each twice; what reads them shares itself out between the copies."""
    if name.startswith("split.") or "_norm." in name:
        return torch.cat((weight, weight), -1)
    if "_out." in name:
        return torch.cat((weight, weight))
    if "_rnn.weight_ih" in name or name == "mask_in.weight":
        uneven = torch.randn_like(weight) * weight.std() * _UNEVEN
        return torch.cat((weight / 2 + uneven, weight / 2 - uneven), 1)
    return weight


def _place(name: str, target: Tensor, weight: Tensor) -> None:
    """`weight` into the first rows and columns of `target`; new units are heard by nobody that was there before."""
    if "_rnn." in name:  # an LSTM's four gates, one behind the other
        target, weight = target.unflatten(0, (4, -1)), weight.unflatten(0, (4, -1))
    elif name.endswith("band_out.weight"):  # reads both directions, one behind the other
        target, weight = target.unflatten(1, (2, -1)), weight.unflatten(1, (2, -1))
    corner = target[tuple(slice(size) for size in weight.shape)]
    if name.startswith(("masks.", "detail.")) or "_out." in name:
        target.zero_()
    elif "_rnn.weight_hh" in name:
        target[:, : weight.shape[1]] = 0
    corner.copy_(weight)
