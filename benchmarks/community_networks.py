"""The community's networks with their published sizes and random weights: equality, CPU time, memory of one chunk.

    python -m benchmarks.community_networks time [NAME ...]     # against pymss-core, interleaved, one thread
    python -m benchmarks.community_networks memory [NAME ...]   # peak of one chunk, and what is predicted

Without a word both are taken of all networks.

Weights are random (nobody may ship the real ones), so quality is not measured here. Times are CPU time of one thread
in one process, both networks in turn on the same input. A busy machine still moves them: the best round of each counts,
and the median of the rounds' ratios stands beside it.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from daw_bridge.separation.engine.speed import kept_memory
from daw_bridge.separation.families.community.settings import Settings
from daw_bridge.separation.families.mdx23c.config import Mdx23cConfig
from daw_bridge.separation.families.mdx23c.family import Mdx23cFamily
from daw_bridge.separation.families.mdx23c.network import Mdx23c
from daw_bridge.separation.families.roformer.config import RoformerConfig
from daw_bridge.separation.families.roformer.family import RoformerFamily
from daw_bridge.separation.families.roformer.network import Roformer
from daw_bridge.separation.families.scnet.config import ScnetConfig
from daw_bridge.separation.families.scnet.family import ScnetFamily
from daw_bridge.separation.families.scnet.network import Scnet

ROUNDS = 5
SECONDS = {"viperx": 1.0}
"""Of audio in one forward, 2 where none are given."""
XL = ScnetConfig(
    dims=(4, 64, 128, 256),
    band_shares=(0.23, 0.37, 0.4),
    band_strides=(1, 4, 4),
    band_kernels=(3, 4, 4),
    conv_depths=(3, 3, 3),
    dual_path_layers=8,
)
SIZES: dict[str, tuple[Any, int]] = {
    "mel_kim": (RoformerConfig(dim=384, depth=6, hop_samples=441, mel_band_count=60, mask_hidden_layers=2), 352_800),
    "six_stems": (RoformerConfig(dim=256, depth=12, stems=6), 588_800),
    "deux": (
        RoformerConfig(dim=256, depth=12, hop_samples=441, mel_band_count=60, mask_hidden_layers=2, stems=2),
        573_300,
    ),
    "viperx": (RoformerConfig(dim=512, depth=12, hop_samples=441), 352_800),
    "scnet_xl_ihf": (XL, 485_100),
    "scnet_masked_xl": (replace(XL, masked=True), 485_100),
    "drumsep5": (Mdx23cConfig(stems=5), 523_776),
}


def ours(config: Any) -> nn.Module:
    torch.manual_seed(0)
    kind = {RoformerConfig: Roformer, ScnetConfig: Scnet, Mdx23cConfig: Mdx23c}[type(config)]
    return kind(config).eval().requires_grad_(requires_grad=False)


def ready(network: nn.Module) -> nn.Module:
    for family, kind in ((RoformerFamily(), Roformer), (ScnetFamily(), Scnet)):
        if isinstance(network, kind):
            family.make_ready(network)
    return network


def theirs(config: Any) -> nn.Module | None:
    """The independent implementation of the same sizes; None where it has none."""
    if isinstance(config, RoformerConfig):
        from pymss_core.modules.bs_roformer import BSRoformer, MelBandRoformer

        shared: dict[str, Any] = {
            "dim": config.dim,
            "depth": config.depth,
            "stereo": True,
            "num_stems": config.stems,
            "time_transformer_depth": 1,
            "freq_transformer_depth": 1,
            "stft_hop_length": config.hop_samples,
            "mask_estimator_depth": 2,
            "zero_dc": False,
        }
        if config.mel_band_count is None:
            return BSRoformer(**shared).eval()
        return MelBandRoformer(
            **shared, num_bands=config.mel_band_count, mlp_hidden_layers=2, match_input_audio_length=True
        ).eval()
    if isinstance(config, ScnetConfig):
        if config.masked:
            return None
        from pymss_core.modules.scnet import SCNet

        return SCNet(
            dims=list(config.dims),
            band_SR=list(config.band_shares),
            band_stride=list(config.band_strides),
            band_kernel=list(config.band_kernels),
            conv_depths=list(config.conv_depths),
            num_dplayer=config.dual_path_layers,
        ).eval()
    from pymss_core import AttrDict
    from pymss_core.modules.mdx23c_tfc_tdf_v3 import TFC_TDF_net

    return TFC_TDF_net(
        AttrDict(
            audio={"n_fft": 2048, "hop_length": 512, "dim_f": 1024, "num_channels": 2},
            model={
                "norm": config.norm,
                "act": config.activation,
                "num_subbands": 4,
                "num_scales": 5,
                "scale": [2, 2],
                "num_blocks_per_scale": 2,
                "num_channels": 128,
                "growth": 128,
                "bottleneck_factor": 4,
            },
            training={"target_instrument": None, "instruments": list("abcde")},
        )
    ).eval()


def timed(network: nn.Module, mix: torch.Tensor) -> tuple[torch.Tensor, float]:
    begun = time.process_time()
    out = network(mix)
    return out, time.process_time() - begun


def measure_time(name: str) -> None:
    config, chunk = SIZES[name]
    reference = theirs(config)
    network = ours(config)
    if reference is not None:
        reference.load_state_dict(network.state_dict())
    ready(network)
    samples = int(SECONDS.get(name, 2.0) * 44_100)
    if isinstance(config, Mdx23cConfig):
        samples = (samples // 512 + 31) // 32 * 32 * 512 - 512
    mix = 0.1 * torch.randn(1, 2, samples)
    difference, peak = 0.0, 0.0
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        theirs_s = float("nan")
        if reference is not None:
            expected, theirs_s = timed(reference, mix)
        out, ours_s = timed(network, mix)
        rounds.append((theirs_s, ours_s))
        if reference is not None:
            difference = float((out - expected.view(out.shape)).abs().max())
            peak = float(expected.abs().max())
    least = [min(each[place] for each in rounds) for place in (0, 1)]
    per_s = least[1] / (samples / 44_100)
    ratio = (
        f"ratio of the best {least[1] / least[0]:.3f}, median {statistics.median(b / a for a, b in rounds):.3f}  "
        f"max abs {difference:.1e} at peak {peak:.2f}"
        if reference
        else "no peer"
    )
    print(f"{name:<16} chunk {chunk}  {per_s:6.2f} CPU-s per audio-s and pass  {ratio}", flush=True)


def resident_kb(line: str) -> int:
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(line):
            return int(text.split()[1])
    return 0


def measure_memory(name: str, give_back: Callable[[], None]) -> None:
    config, chunk = SIZES[name]
    network = ready(ours(config))
    stems = len(config.sources) if isinstance(config, ScnetConfig) else config.stems
    settings = Settings(network=config, stems=tuple(f"s{index}" for index in range(stems)), chunk_samples=chunk)
    families = {RoformerConfig: RoformerFamily, ScnetConfig: ScnetFamily, Mdx23cConfig: Mdx23cFamily}
    predicted = families[type(config)]().activations_gb(settings, stems)
    mix = 0.1 * torch.randn(1, 2, chunk)
    network(mix[..., : 512 * 31])  # what is made once
    give_back()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_kb("RssAnon") + resident_kb("VmSwap")
    network(mix)
    # Pages of libraries come and go with what else the machine does: they are taken off as they are after a forward.
    peak = (resident_kb("VmHWM") - resident_kb("RssFile") - before) / 1024.0**2
    print(f"{name:<16} {peak:5.2f} GiB  predicted {predicted:5.2f}  ({predicted / peak - 1:+.0%})", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with torch.inference_mode(), kept_memory() as trim:
        for what in sys.argv[1:2] or ("memory", "time"):
            for each in sys.argv[2:] or list(SIZES):
                if what == "time":
                    measure_time(each)
                else:
                    measure_memory(each, trim)
