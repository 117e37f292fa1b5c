"""Fit the last layer anew in closed form: the masks that explain most of the energy, given what the network hears.

    python examples/train_preview/refit.py --cache CACHE --run RUN --weights FOLDER --mixes 200

Masks are linear in the features before them, so their best weights for a heap of mixes solve one least-squares problem
per frequency bin: a single pass over the data, no learning rate. `--ridge` holds them near the present ones (0 trusts
the mixes alone). It is the cheapest way to fit a trained network to new material; writes RUN/refit.safetensors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from mixing import Clips, Mixer, MixingOptions
from safetensors.torch import save_file
from torch import Tensor, nn

from daw_bridge.separation.families.band_split.causal import load_net
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.stft import analyse
from daw_bridge.separation.families.band_split.windows import asymmetric_windows


class Normal:
    """Sums of the normal equations: per side (mid, side) and bin, features by features and features by sources."""

    def __init__(self, net: BandSplitNet) -> None:
        config = net.config
        size = config.mask_hidden + 1
        self.square = torch.zeros(2, config.bins, size, size)
        self.cross = torch.zeros(2, config.bins, size, 2 * len(config.sources))

    def add(self, hidden: Tensor, mix: Tensor, targets: Tensor, band_of_bin: Tensor) -> None:
        """`hidden` (bands, n, features + 1), `mix` (n, 4, bins), `targets` (n, sources, 4, bins) of one excerpt."""
        energy = mix.square().mean() + 1e-8
        for side in range(2):
            re, im = mix[:, 2 * side], mix[:, 2 * side + 1]
            t_re, t_im = targets[:, :, 2 * side], targets[:, :, 2 * side + 1]
            power = (re.square() + im.square()) / energy
            # conj(mix) * target: what the mask would have to be, times the power
            wanted = torch.cat((t_re * re[:, None] + t_im * im[:, None], t_im * re[:, None] - t_re * im[:, None]), 1)
            wanted = (wanted / energy).permute(2, 0, 1)  # (bins, n, 2 * sources)
            for band in range(hidden.shape[0]):
                bins = torch.nonzero(band_of_bin == band).squeeze(1)
                y = hidden[band]
                weighted = y.T.unsqueeze(0) * power[:, bins].T.unsqueeze(1)  # (bins, features, n)
                self.square[side, bins] += weighted @ y
                self.cross[side, bins] += y.T @ wanted[bins]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="folder that export.py wrote")
    parser.add_argument("--mixes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--ridge", type=float, default=0.03, help="share of each bin's mean feature energy")
    parser.add_argument("--mixing", type=json.loads, default={}, help="JSON with fields of MixingOptions")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load_net(args.weights / "preview.safetensors").eval()
    normal = Normal(net)
    mixer = Mixer(Clips(args.cache), MixingOptions(seconds=args.seconds, **args.mixing), args.seed)
    with torch.no_grad():
        for index in range(args.mixes):
            gather(net, normal, torch.from_numpy(mixer.draw()))
            if index % 20 == 19:
                print(f"{index + 1} mixes", flush=True)
    args.run.mkdir(parents=True, exist_ok=True)
    save_file({"square": normal.square, "cross": normal.cross}, args.run / "normal.safetensors")
    with torch.no_grad():
        solve(net, normal, args.ridge)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, args.run / "refit.safetensors")


def gather(net: BandSplitNet, normal: Normal, stems: Tensor) -> None:
    """One mix's share of the sums; `stems` (sources, 2, samples)."""
    config = net.config
    window = torch.from_numpy(asymmetric_windows(config.window_samples, config.hop_samples)[0])
    padded = nn.functional.pad(stems, (config.window_samples - config.hop_samples, 2 * config.hop_samples))
    targets = analyse(padded, window, config.hop_samples).transpose(0, 1)  # (frames, sources, 4, bins)
    mix = targets.sum(1)
    z, _ = net.encode(mix.unsqueeze(0))
    hidden = net.before_masks(z)
    ones = torch.ones(*hidden.shape[:2], 1)
    normal.add(torch.cat((hidden, ones), 2), mix, targets, band_of_bin(net))


def solve(net: BandSplitNet, normal: Normal, ridge: float) -> None:
    """Put the best weights into `net`; the mean over the sources is taken away there, the even share comes on top."""
    sources = len(net.config.sources)
    first_bin = 0
    for (count, width), layer in zip(net.groups, net.masks, strict=True):
        # (bands, hidden + 1, sources, 2 sides, re and im, width)
        old = torch.cat((layer.weight, layer.bias), 1).reshape(count, -1, sources, 2, 2, width)
        old = old - old.mean(2, keepdim=True)
        new = torch.empty_like(old)
        for band in range(count):
            for offset in range(width):
                at = first_bin + band * width + offset
                for side in range(2):
                    new[band, :, :, side, :, offset] = _ridge_solution(
                        normal.square[side, at], normal.cross[side, at], old[band, :, :, side, :, offset], ridge
                    )
        first_bin += count * width
        flat = new.reshape(count, old.shape[1], -1)
        layer.weight.data.copy_(flat[:, :-1])
        layer.bias.data.copy_(flat[:, -1:])


def _ridge_solution(square: Tensor, cross: Tensor, old: Tensor, ridge: float) -> Tensor:
    """Weights (hidden + 1, sources, 2) that explain the targets, drawn to `old`; the even share comes on top."""
    sources = old.shape[1]
    prior = old.permute(0, 2, 1).reshape(old.shape[0], 2 * sources).clone()  # re of all sources, then im
    prior[-1, :sources] += 1 / sources
    held = ridge * torch.diagonal(square).mean().clamp_min(1e-12) * torch.eye(square.shape[0])
    best = torch.linalg.solve(square + held, cross + held @ prior)
    best[-1, :sources] -= 1 / sources
    return best.reshape(old.shape[0], 2, sources).permute(0, 2, 1)


def band_of_bin(net: BandSplitNet) -> Tensor:
    bands, band = [], 0
    for count, width in net.groups:
        bands += list(np.repeat(np.arange(band, band + count), width))
        band += count
    return torch.tensor(np.asarray(bands))


if __name__ == "__main__":
    main()
