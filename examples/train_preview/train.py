"""Train the causal band-split model on a CPU or one GPU; stop and start again at will.

    python examples/train_preview/train.py --cache CACHE --run RUN --audio ../shared/audio --minutes 90 --processes 2

RUN receives config.json, curves.csv, last.pt (to resume) and best.safetensors (the running average of the weights that
scored best on the held-out song). The same command again carries on where it stopped; the learning rate follows the
share of --minutes that has been used. --start-from daw_bridge/separation/families/band_split/weights_data improves the
shipped model.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from growth import grown
from losses import WEIGHTS, separation_loss
from mixing import Clips, Mixer, MixingOptions, dealt
from muon import optimizers
from safetensors.torch import save_file
from scores import score_song
from torch import Tensor, nn

from daw_bridge.separation.families.band_split.causal import load_net
from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet, State
from daw_bridge.separation.families.band_split.stft import analyse
from daw_bridge.separation.families.band_split.windows import asymmetric_windows


def main() -> None:
    args = parse()
    args.run.mkdir(parents=True, exist_ok=True)
    if args.processes > 1:
        # One thread each: on shared cores two processes waste far less than one process with two threads.
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(args.port))
        torch.multiprocessing.spawn(train, args=(args,), nprocs=args.processes)
    else:
        train(0, args)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--audio", type=Path, help="shared songs; with it the held-out one is scored on the way")
    parser.add_argument("--held-out", default="francium")
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--batch", type=int, default=4, help="mixes per step and process")
    parser.add_argument("--seconds", type=float, default=3.0, help="of every mix per step")
    parser.add_argument(
        "--pieces", type=int, default=1, help="steps per excerpt; the recurrences carry on from one to the next"
    )
    parser.add_argument("--peak-rate", type=float, default=1.5e-3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report-steps", type=int, default=50)
    parser.add_argument("--validate-minutes", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=29_511)
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="FOLDER",
        help="begin a new run at exported weights, not at random ones: a folder that export.py wrote, such as the"
        " package's own daw_bridge/separation/families/band_split/weights_data; --net may make it larger (growth.py)",
    )
    parser.add_argument("--compile", action="store_true", help="compile masks and loss: a quarter less time; needs g++")
    parser.add_argument("--bfloat16", action="store_true", help="recurrences in bfloat16 (avx512_bf16, AMX or a GPU)")
    parser.add_argument("--reuse", type=int, default=1, help="steps per drawn batch; after the first, stems are dealt")
    parser.add_argument("--validation", type=Path, help="folder of more songs to score on the way")
    parser.add_argument("--net", type=json.loads, default={}, help="JSON with fields of BandSplitConfig")
    parser.add_argument("--mixing", type=json.loads, default={}, help="JSON with fields of MixingOptions")
    return parser.parse_args()


class Trainer:
    """Network, running average, optimizer and what has been done so far."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.trained_before = {"steps": 0, "audio_h": 0.0, "elapsed_s": 0.0}
        if args.start_from is None:
            self.net = BandSplitNet(BandSplitConfig.from_json(args.net)).to(args.device)
        else:
            self.net, self.trained_before = exported(args.start_from)
            self.net = grown(self.net, replace(self.net.config, **args.net)).to(args.device)
        self.average = BandSplitNet(self.net.config).to(args.device)
        self.average.load_state_dict(self.net.state_dict())
        self.optimizers = optimizers(self.net, rate=args.peak_rate, weight_decay=1e-2)
        self.step, self.elapsed_s, self.audio_s, self.best = 0, 0.0, 0.0, -math.inf
        analysis, _ = asymmetric_windows(self.net.config.window_samples, self.net.config.hop_samples)
        self.window = torch.from_numpy(analysis).to(args.device)
        self.weights = torch.tensor([WEIGHTS.get(name, 1.0) for name in self.net.config.sources], device=args.device)
        self.autocast = torch.autocast(str(args.device).split(":")[0], torch.bfloat16, enabled=args.bfloat16)
        self.tail = torch.compile(self._tail, dynamic=False) if args.compile else self._tail

    def load(self, path: Path, device: str) -> None:
        saved = torch.load(path, map_location=device, weights_only=True)  # noqa: TID251
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.elapsed_s, self.audio_s, self.best = (
            saved[k] for k in ("step", "elapsed_s", "audio_s", "best")
        )

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "step": self.step,
                "elapsed_s": self.elapsed_s,
                "audio_s": self.audio_s,
                "best": self.best,
            },
            partial,
        )
        partial.replace(path)

    def spectra(self, audio: Tensor) -> Tensor:
        """(n, 2, samples) -> (n, frames, 4, bins), with the frames that streaming would make."""
        config = self.net.config
        padded = nn.functional.pad(audio, (config.window_samples - config.hop_samples, 2 * config.hop_samples))
        return analyse(padded, self.window, config.hop_samples)

    def _tail(self, z: Tensor, mix: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """From the bands to the loss: nothing but products and passes over large spectra, worth compiling."""
        return separation_loss(self.net.estimate(z, mix), targets, self.weights)

    def targets(self, stems: Tensor) -> Tensor:
        """(batch, sources, 2, samples) -> (batch, frames, sources, 4, bins)."""
        return self.spectra(stems.flatten(0, 1)).unflatten(0, stems.shape[:2]).transpose(1, 2)

    def learn(self, targets: Tensor, rate: float, processes: int, state: State | None) -> tuple[float, float, State]:
        """One step; (loss, mean error in dB under the mix, what the recurrences know at the end)."""
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        mix = targets.sum(2)
        with self.autocast:
            z, (hidden, cells) = self.net.encode(mix, state)
        loss, error_db = self.tail(z.float(), mix, targets)  # masks and loss stay in float32
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        if processes > 1:
            average_gradients(self.net, processes)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        if torch.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.step()
        self.step += 1
        keep = min(0.9985, self.step / (self.step + 20))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach()), float(error_db), (hidden.detach().float(), cells.detach().float())


def exported(folder: Path) -> tuple[BandSplitNet, dict[str, float]]:
    """The network that export.py wrote, its masks at full strength again, and how long it was trained."""
    training = json.loads((folder / "preview.json").read_text())["training"]
    net = load_net(folder / "preview.safetensors").train()
    for parameter in net.masks.parameters():
        parameter.data /= training["strength"]
    return net, {key: training[key] for key in ("steps", "audio_h", "elapsed_s")}


def average_gradients(net: nn.Module, processes: int) -> None:
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(piece.view_as(gradient))


def learning_rate(args: argparse.Namespace, trainer: Trainer) -> float:
    """A short warm-up, then a cosine over the time (or steps) that the run was given."""
    used = max(trainer.elapsed_s / (args.minutes * 60), trainer.step / args.steps)
    return float(
        args.peak_rate
        * min(1.0, (trainer.step + 1) / 100)
        * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1, used))))
    )


def train(rank: int, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    if args.processes > 1:
        dist.init_process_group("gloo", rank=rank, world_size=args.processes)
    trainer = Trainer(args)
    if (args.run / "last.pt").exists():
        trainer.load(args.run / "last.pt", args.device)
    options = MixingOptions(seconds=args.seconds * args.pieces, **args.mixing)
    mixer = Mixer(Clips(args.cache), options, seed=args.seed + 1000 * rank + 1_000_003 * trainer.step)
    if rank == 0:
        config = {"net": trainer.net.config.to_json(), "mixing": asdict(options), "seed": args.seed}
        config |= {"before": trainer.trained_before}
        (args.run / "config.json").write_text(json.dumps(config | {"batch": args.batch * args.processes}, indent=1))
    recent: list[tuple[float, float]] = []
    state: State | None = None
    validated_s = trainer.elapsed_s
    coming = lessons(args, trainer, mixer)
    while True:
        began = time.monotonic()
        part, begins = next(coming)
        rate = learning_rate(args, trainer)
        loss, error_db, state = trainer.learn(part, rate, args.processes, None if begins else state)
        recent.append((loss, error_db))
        trainer.elapsed_s = agreed(trainer.elapsed_s + time.monotonic() - began, args.processes)
        trainer.audio_s += args.batch * args.seconds * args.processes
        finished = trainer.elapsed_s >= args.minutes * 60 or trainer.step >= args.steps
        due = trainer.elapsed_s - validated_s >= args.validate_minutes * 60
        if rank == 0 and (trainer.step % args.report_steps == 0 or finished):
            report(args, trainer, recent)
            recent = []
        if rank == 0 and (trainer.step % 50 == 0 or finished or due):
            trainer.save(args.run / "last.pt")
        if finished or due:
            validated_s = trainer.elapsed_s
            if rank == 0:
                validate(args, trainer)
        if finished:
            break
    if args.processes > 1:
        dist.destroy_process_group()


def lessons(args: argparse.Namespace, trainer: Trainer, mixer: Mixer) -> Iterator[tuple[Tensor, bool]]:
    """Endless targets for `learn`, one piece of a batch of excerpts after the other, and whether it is the first."""
    while True:
        batch = np.stack([mixer.draw() for _ in range(args.batch)])
        for turn in range(args.reuse):
            batch = dealt(batch, mixer.rng) if turn else batch
            targets = trainer.targets(torch.from_numpy(batch).to(args.device))
            frames = targets.shape[1] // args.pieces
            for piece in range(args.pieces):
                yield targets[:, piece * frames : (piece + 1) * frames], piece == 0


def agreed(elapsed_s: float, processes: int) -> float:
    """Process 0's clock for all, so that all stop at the same step."""
    if processes == 1:
        return elapsed_s
    value = torch.tensor([elapsed_s], dtype=torch.float64)
    dist.broadcast(value, 0)
    return float(value)


def report(args: argparse.Namespace, trainer: Trainer, recent: list[tuple[float, float]]) -> None:
    loss, error_db = np.mean(recent, 0)
    row = [
        trainer.step,
        round(trainer.elapsed_s),
        round(trainer.audio_s / 3600, 3),
        round(float(loss), 4),
        round(float(error_db), 3),
    ]
    append(args.run / "curves.csv", ["step", "elapsed_s", "audio_h", "loss", "error_db"], row)
    print("step {} after {} s, {} h of audio: loss {}, error {} dB".format(*row), flush=True)


def validate(args: argparse.Namespace, trainer: Trainer) -> None:
    """Score the averaged weights on songs that training never sees; keep them if they are the best so far."""
    songs = [args.audio / args.held_out] if args.audio is not None else []
    songs += sorted(folder for folder in args.validation.iterdir() if folder.is_dir()) if args.validation else []
    mean = float(trainer.step)
    if songs:
        scores = {f"{song.name} {s}": score for song in songs for s, score in score_song(trainer.average, song).items()}
        gains = [s.model_db - s.trivial_db for s in scores.values()]
        mean = float(np.mean([s.model_db for s in scores.values()]))
        columns = {name: round(s.model_db, 2) for name, s in scores.items()}
        columns |= {"mean": round(mean, 3), "smallest_gain": round(min(gains), 2)}
        append(args.run / "held_out.csv", ["step", "elapsed_s", *columns],
               [trainer.step, round(trainer.elapsed_s), *columns.values()])  # fmt: skip
        print("held out:", columns, flush=True)
    save_file({k: v.contiguous() for k, v in trainer.average.state_dict().items()}, args.run / "average.safetensors")
    if mean > trainer.best:
        trainer.best = mean
        save_file({k: v.contiguous() for k, v in trainer.average.state_dict().items()}, args.run / "best.safetensors")


def append(path: Path, header: list[str], row: list[float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(header)
        writer.writerow(row)


if __name__ == "__main__":
    main()
