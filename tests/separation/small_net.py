"""A small causal network with weights drawn from a seed, for tests of everything around it."""

from __future__ import annotations

import torch

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet


def make_net(*, seed: int = 0, causal: bool = True) -> BandSplitNet:
    """Its masks really differ from stem to stem and from frame to frame."""
    torch.manual_seed(seed)
    net = BandSplitNet(
        BandSplitConfig(features=8, time_hidden=12, band_hidden=6, mask_hidden=10, layers=2, causal=causal)
    )
    for name, weight in net.masks.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.normal_(weight, std=0.3)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net.eval()
