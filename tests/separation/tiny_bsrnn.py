"""Band-split networks that are small enough for tests, with the architecture of the published ones; and those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daw_bridge.separation.engine.separator import ArraySource
from daw_bridge.separation.families.bsrnn.checkpoint import write_safetensors
from daw_bridge.separation.families.bsrnn.network import Bsrnn, BsrnnConfig

RATE_HZ = 8_000
STEMS = ("vocals", "bass", "drums", "other")
SIMO = BsrnnConfig(
    targets=STEMS,
    band_widths=(2, 4, 8, 19),
    features=8,
    blocks=1,
    hidden=16,
    mask_features=16,
    maskers=4,
    attention_heads=2,
    attention_features=4,
    tac_features=24,
    tac_prelu=True,
    hop_samples=16,
    sample_rate_hz=RATE_HZ,
)
PLAIN = replace(
    SIMO,
    targets=("bass",),
    maskers=1,
    attention_heads=0,
    attention_features=0,
    tac_features=0,
    tac_prelu=False,
)


def make_network(config: BsrnnConfig = SIMO, seed: int = 1) -> Bsrnn:
    """Random weights everywhere, so that every part shows in the output."""
    network = Bsrnn(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.normal_(0.0, 0.4, generator=generator)
    return network.eval().requires_grad_(False)


def settings_of(config: BsrnnConfig) -> dict[str, Any]:
    return {
        "targets": list(config.targets),
        "n_fft": config.fft_samples,
        "n_hop": config.hop_samples,
        "sample_rate": config.sample_rate_hz,
        "eps": config.eps,
        "group_num": 1,
        "subtract_last_trgt": config.last_is_rest,
    }


def lightning(network: Bsrnn, **changes: Any) -> dict[str, Any]:
    """A checkpoint as the published training program writes it."""
    window = torch.hann_window(network.config.fft_samples)
    state = {**network.state_dict(), "stft.transf.window": window, "istft.transf.window": window.clone()}
    hyper = {**settings_of(network.config), "time_layer": "lstm", "band_layer": "lstm", "bidirectional": True}
    hyper.update({"n_heads": 1, "mask_ctxt": 0, "stereo": "tac", **changes})
    return {"state_dict": state, "hyper_parameters": hyper, "optimizer_states": [{"state": {}}], "epoch": 3}


def save_network(path: Path, network: Bsrnn) -> Path:
    write_safetensors(path, network.state_dict(), settings_of(network.config))
    return path


def transparent_network(config: BsrnnConfig = SIMO) -> Bsrnn:
    """Every mask is 1 + 0j: what comes out is what went in, whatever the weights before."""
    network = make_network(config)
    maskers: Any = network.maskers
    for masker in maskers:
        for layer in masker.mask:
            layer[5].weight.zero_()
            layer[5].bias.zero_()
            layer[5].bias[: len(layer[5].bias) // 4] = 2.0  # the gate halves it
    return network


class CountingSource(ArraySource):
    """A mix in memory that notes the largest block that was asked for."""

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__(samples.astype(np.float32))
        self.largest_read = 0

    def read(self, count_samples: int) -> np.ndarray:
        block = super().read(count_samples)
        self.largest_read = max(self.largest_read, block.shape[1])
        return block


def make_mix(length: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((2, length))).astype(np.float32)
