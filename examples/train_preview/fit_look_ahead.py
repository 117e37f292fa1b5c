"""Fit what shares the low end out anew offline (look_ahead.py of the package) to finished weights: after export.py.

    python examples/train_preview/fit_look_ahead.py --cache CACHE [--weights FOLDER] [--mixes 600] [--steps 3000]

The causal network separates mixes; four and a half thousand numbers learn from its errors below 650 Hz. FOLDER is one
that export.py wrote (the package's own if left out) and is written again, the layers in its preview.safetensors.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from export import export
from losses import WEIGHTS, reference_energy
from mixing import Clips, Mixer, MixingOptions
from scores import separate
from torch import Tensor, nn

from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER
from daw_bridge.separation.families.band_split.causal import load_net
from daw_bridge.separation.families.band_split.look_ahead import (
    BINS,
    FIGURES,
    FRAME_SAMPLES,
    HOP_SAMPLES,
    figures,
    low_spectra,
)
from daw_bridge.separation.families.band_split.network import BandSplitNet

_REPORT_EVERY = 100
_EDGE_FRAMES = 90  # whose figures lack what came before the mix or comes after it
_ENERGY = 2 / (FRAME_SAMPLES * 1.5)  # of samples, from that of spectra whose windows' squares sum to 1.5
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One mix without its edges, and what the network made of it."""

    figures: Tensor
    """(frames, BINS, FIGURES), float16"""
    mix: Tensor
    """(channels, frames, BINS)"""
    error: Tensor
    """What the network's stems have too much, (sources, channels, frames, BINS)."""
    above: Tensor
    """Energy of the error above the low end, (sources,)."""
    energy: Tensor
    """Of the true stems, all of them, (sources,)."""


class Layers(nn.Module):
    """`LookAhead` to be trained; at first nobody gives anything."""

    def __init__(self, hidden: int, sources: int) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(FIGURES, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, sources)
        nn.init.zeros_(self.c.weight)
        nn.init.zeros_(self.c.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., FIGURES) -> (..., sources)."""
        x = torch.tanh(self.c(torch.relu(self.b(torch.relu(self.a(x))))))
        return x - x.mean(-1, keepdim=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FOLDER, metavar="FOLDER")
    parser.add_argument("--mixes", type=int, default=600)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mixing", type=json.loads, default={}, help="JSON with fields of MixingOptions")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    net = load_net(args.weights / "preview.safetensors")
    options = MixingOptions(seconds=args.seconds, **args.mixing)
    mixer = Mixer(Clips(args.cache), options, args.seed)
    lessons = []
    for index in range(args.mixes):
        lessons.append(lesson(net, mixer.draw()))
        if (index + 1) % _REPORT_EVERY == 0:
            print(f"{index + 1} mixes of {args.mixes} heard", flush=True)
    layers = Layers(args.hidden, len(net.config.sources))
    weights = torch.tensor([WEIGHTS.get(name, 1.0) for name in net.config.sources])
    fit(layers, lessons, weights, steps=args.steps, batch=args.batch, rate=args.rate, seed=args.seed)
    training = json.loads((args.weights / "preview.json").read_text())["training"]
    about = {
        "mixes": args.mixes,
        "steps": args.steps,
        "batch": args.batch,
        "seed": args.seed,
        "mixing": asdict(options),
    }
    export(net, args.weights, training | {"look_ahead": about}, look_ahead=layers.state_dict())


def lesson(net: BandSplitNet, truth: np.ndarray) -> Lesson:
    """From true stems (sources, 2, samples)."""
    stems = separate(net, truth.sum(0))
    heard, wrong = low_spectra(stems), low_spectra(stems - truth)[..., :BINS]
    inner = slice(_EDGE_FRAMES, heard.shape[2] - _EDGE_FRAMES)
    share = (inner.stop - inner.start) * HOP_SAMPLES / truth.shape[2]
    error = np.square(stems - truth).sum((1, 2)) - _ENERGY * np.square(np.abs(wrong)).sum((1, 2, 3))
    return Lesson(
        figures=torch.from_numpy(figures(heard)[inner].astype(np.float16)),
        mix=torch.from_numpy(heard[:, :, inner, :BINS].sum(0)),
        error=torch.from_numpy(wrong[:, :, inner].copy()),
        above=torch.from_numpy(np.maximum(0, error) * np.float32(share)),
        energy=torch.from_numpy(np.square(truth).sum((1, 2)) * np.float32(share)),
    )


def fit(
    layers: Layers, lessons: list[Lesson], weights: Tensor, *, steps: int, batch: int, rate: float, seed: int
) -> None:
    """Make the root of each stem's error relative to the stem small, as losses.py does, the part above 650 Hz given."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(layers.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=min(0.1, 30 / steps))
    gains: list[float] = []
    for step in range(1, steps + 1):
        drawn = [lessons[index] for index in rng.choice(len(lessons), batch)]
        given = layers(torch.stack([one.figures for one in drawn]).float()).permute(0, 3, 1, 2).unsqueeze(2)
        error = torch.stack([one.error for one in drawn])
        above, energy = (torch.stack([getattr(one, name) for one in drawn]) for name in ("above", "energy"))
        after = above + _low_energy(error + given * torch.stack([one.mix for one in drawn]).unsqueeze(1))
        reference = reference_energy(energy, energy.sum(1, keepdim=True) + 1e-6)
        loss = (torch.sqrt(after / reference + _FLOOR) * weights).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            sounding = energy > _FLOOR * energy.sum(1, keepdim=True)
            gains.append(float(10 * torch.log10((above + _low_energy(error)) / after)[sounding].mean()))
        if step % _REPORT_EVERY == 0:
            better_db = np.mean(gains[-_REPORT_EVERY:])
            print(f"step {step}: loss {float(loss.detach()):.4f}, stems better by {better_db:.2f} dB", flush=True)


def _low_energy(spectra: Tensor) -> Tensor:
    """(mixes, sources, channels, frames, bins) -> (mixes, sources)."""
    return _ENERGY * (spectra.real.square() + spectra.imag.square()).sum((2, 3, 4))


if __name__ == "__main__":
    main()
