"""torch running the causal network, as it was trained."""

from __future__ import annotations

import torch

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.streaming import FloatArray, NetworkState


class TorchEngine:
    """The network as it was trained; always there, and the faster one for long blocks."""

    name = "torch"

    def __init__(self, net: BandSplitNet) -> None:
        self._net = net.eval()

    @property
    def config(self) -> BandSplitConfig:
        return self._net.config

    def initial_state(self) -> NetworkState:
        h, c = self._net.initial_state()
        return h.numpy(), c.numpy()

    def run(self, spectrum: FloatArray, state: NetworkState) -> tuple[FloatArray, NetworkState]:
        with torch.inference_mode():
            h, c = torch.from_numpy(state[0]), torch.from_numpy(state[1])
            estimates, (h, c) = self._net(torch.from_numpy(spectrum).unsqueeze(0), (h, c))
        return estimates[0].numpy(), (h.numpy(), c.numpy())
