"""Fit the last layer anew in closed form: the masks that explain most of the stems, given what the network hears.

    python examples/train_preview/refit.py --cache CACHE --run RUN --weights FOLDER --mixes 200
    python examples/train_preview/export.py --run RUN --weights refit.safetensors

Masks are linear in the features before them, so their best weights for a heap of mixes solve one least-squares problem
per frequency bin: a single pass over the data, no learning rate. `--ridge` holds them near the present ones (0 trusts
the mixes alone). It is the cheapest way to fit a trained network to new material; writes RUN/refit.safetensors. The
same RUN with another seed adds to the mixes that it heard before; with `--mixes 0` it only solves again.

Each stem of each mix counts relative to its own energy, as in `losses.py`: plain least squares would hear the loud
stems alone. Where songs that were kept back say so, `--keep` mixes the old weights in and `--strengths` holds single
stems nearer to the even share.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from losses import reference_energy
from mixing import Clips, Mixer, MixingOptions
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from train import exported

from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.stft import analyse
from daw_bridge.separation.families.band_split.windows import asymmetric_windows

_WARM_UP_FRAMES = 40  # the recurrence has heard too little in them to say what it says in the middle of a song


class Normal:
    """Sums of the normal equations per stem, side (mid, side) and bin: features by features, features by (re, im)."""

    def __init__(self, net: BandSplitNet) -> None:
        config = net.config
        size, sources = config.mask_hidden + 1, len(config.sources)
        self.square = torch.zeros(sources, 2, config.bins, size, size)
        self.cross = torch.zeros(sources, 2, config.bins, size, 2)

    def load(self, path: Path) -> None:
        saved = load_file(path)
        self.square, self.cross = saved["square"], saved["cross"]

    def save(self, path: Path) -> None:
        save_file({"square": self.square, "cross": self.cross}, path)

    def add(self, hidden: Tensor, mix: Tensor, targets: Tensor, band_of_bin: Tensor, weights: Tensor) -> None:
        """`hidden` (bands, n, size), `mix` (n, 4, bins), `targets` (n, sources, 4, bins); a weight a source."""
        for side in range(2):
            re, im = mix[:, 2 * side], mix[:, 2 * side + 1]
            t_re, t_im = targets[:, :, 2 * side], targets[:, :, 2 * side + 1]
            power = re.square() + im.square()
            # conj(mix) * target: what the mask would have to be, times the power
            wanted = torch.stack((t_re * re[:, None] + t_im * im[:, None], t_im * re[:, None] - t_re * im[:, None]))
            wanted = wanted.permute(2, 3, 1, 0) * weights[:, None, None, None]  # (sources, bins, n, 2)
            for band in range(hidden.shape[0]):
                bins = torch.nonzero(band_of_bin == band).squeeze(1)
                first, last = int(bins[0]), int(bins[-1]) + 1
                y = hidden[band]
                square = (y.T.unsqueeze(0) * power[:, first:last].T.unsqueeze(1)) @ y  # (bins, features, features)
                self.square[:, side, first:last] += weights[:, None, None, None] * square
                self.cross[:, side, first:last] += y.T @ wanted[:, first:last]


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
    parser.add_argument("--keep", type=float, default=0.0, help="share of the weights it began with in the result")
    parser.add_argument(
        "--strengths", type=float, nargs="*", metavar="SHARE", help="per source: how far masks may leave the even share"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    net, before = exported(args.weights)
    net.eval()
    args.run.mkdir(parents=True, exist_ok=True)
    normal, sums, about_file = Normal(net), args.run / "normal.safetensors", args.run / "config.json"
    about = json.loads((args.weights / "preview.json").read_text())["training"] | {"before": before, "refits": []}
    about.pop("look_ahead", None)  # it was fitted to the old last layer
    if sums.exists():
        normal.load(sums)
        about = json.loads(about_file.read_text())
    options = MixingOptions(seconds=args.seconds, **args.mixing)
    mixer = Mixer(Clips(args.cache), options, args.seed)
    with torch.no_grad():
        for _ in range(args.mixes):
            gather(net, normal, torch.from_numpy(mixer.draw()))
        normal.save(sums)
        solve(net, normal, args.ridge, args.keep, args.strengths)
    if args.mixes:
        about["refits"] += [{"mixes": args.mixes, "seed": args.seed, "mixing": asdict(options)}]
    about |= {"ridge": args.ridge, "keep": args.keep, "strengths": args.strengths}
    about_file.write_text(json.dumps(about, indent=1))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, args.run / "refit.safetensors")


def gather(net: BandSplitNet, normal: Normal, stems: Tensor) -> None:
    """One mix's share of the sums; `stems` (sources, 2, samples)."""
    config = net.config
    window = torch.from_numpy(asymmetric_windows(config.window_samples, config.hop_samples)[0])
    padded = nn.functional.pad(stems, (config.window_samples - config.hop_samples, 2 * config.hop_samples))
    targets = analyse(padded, window, config.hop_samples).transpose(0, 1)  # (frames, sources, 4, bins)
    mix = targets.sum(1)
    z, _ = net.encode(mix.unsqueeze(0))
    hidden = net.before_masks(z, mix.unsqueeze(0))
    ones = torch.ones(*hidden.shape[:2], 1)
    weights = 1 / reference_energy(targets.square().mean((0, 2, 3)), mix.square().mean() + 1e-8)
    heard = slice(_WARM_UP_FRAMES, None)
    features = torch.cat((hidden, ones), 2)[:, heard]
    normal.add(features, mix[heard], targets[heard], band_of_bin(net), weights)


def solve(
    net: BandSplitNet, normal: Normal, ridge: float, keep: float = 0.0, strengths: Sequence[float] | None = None
) -> None:
    """Put the best weights into `net`; the even share, which the network adds by itself, is taken away."""
    sources, size = normal.square.shape[0], normal.square.shape[-1]
    old = mask_weights(net)  # (sources, 2 sides, bins, hidden + 1, re and im)
    even = torch.zeros(size, 2)
    even[-1, 0] = 1 / sources
    mean_energy = torch.diagonal(normal.square, dim1=-2, dim2=-1).mean(-1).clamp_min(1e-12)
    held = ridge * mean_energy[..., None, None] * torch.eye(size)
    inverse = torch.linalg.inv((normal.square + held).double())
    free = inverse @ (normal.cross + held @ (old + even)).double()
    # The masks must sum to one. Whatever is missing goes to the stems as little as it hurts each (Lagrange).
    one = torch.zeros(size, 2, dtype=torch.float64)
    one[-1, 0] = 1.0
    missing = torch.linalg.solve(inverse.sum(0), one - free.sum(0))
    best = keep * old + (1 - keep) * ((free + inverse @ missing).float() - even)
    if strengths:
        best *= torch.tensor(strengths)[:, None, None, None, None]
    put_mask_weights(net, best)  # the network takes the mean over the sources away


def mask_weights(net: BandSplitNet) -> Tensor:
    """The last layer as (sources, 2 sides, bins, hidden + 1, re and im), its mean over the sources taken away."""
    sources, parts = len(net.config.sources), []
    for (count, width), layer in zip(net.groups, net.masks, strict=True):
        flat = torch.cat((layer.weight, layer.bias), 1)
        whole = flat.reshape(count, flat.shape[1], sources, 2, 2, width)
        parts.append(whole.permute(2, 3, 0, 5, 1, 4).reshape(sources, 2, count * width, flat.shape[1], 2))
    joined = torch.cat(parts, 2)
    return joined - joined.mean(0, keepdim=True)


def put_mask_weights(net: BandSplitNet, values: Tensor) -> None:
    """The inverse of `mask_weights`."""
    sources, size, first = values.shape[0], values.shape[3], 0
    for (count, width), layer in zip(net.groups, net.masks, strict=True):
        whole = values[:, :, first : first + count * width].reshape(sources, 2, count, width, size, 2)
        flat = whole.permute(2, 4, 0, 1, 5, 3).reshape(count, size, -1)
        layer.weight.data.copy_(flat[:, :-1])
        layer.bias.data.copy_(flat[:, -1:])
        first += count * width


def band_of_bin(net: BandSplitNet) -> Tensor:
    bands, band = [], 0
    for count, width in net.groups:
        bands += list(np.repeat(np.arange(band, band + count), width))
        band += count
    return torch.tensor(np.asarray(bands))


if __name__ == "__main__":
    main()
