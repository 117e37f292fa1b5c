"""The GPU bars, for a machine that has one: ours in strict FP32 against the stock `demucs` command at its defaults.

    python -m benchmarks.separation_gpu [--songs 20] [--minutes 4] [--model htdemucs] [--repeats 3]

Bars on an H200: one song at least 1.5x, a folder of 20 songs at least 5x. Theirs runs TF32 convolutions, which is
PyTorch's default; ours does not, and `tests/separation/test_memory.py` holds that. Also: the share of the card's FP32
peak while networks run, and the time from the process's start to its first segment (see `first_segment`). That the
script itself runs can be seen without a GPU:

    python -m benchmarks.separation_gpu --device cpu --songs 2 --minutes 0.02 --repeats 1
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import torch

from benchmarks.first_segment import until_first_segment
from benchmarks.peer_models import demucs_command, make_repository, make_song, our_command
from benchmarks.separate_vs_demucs import timed
from daw_bridge.separation.catalog import model_info

FP32_PEAK_TFLOPS = {"H200": 67.0, "H100": 67.0, "A100": 19.5, "L40": 90.5, "4090": 82.6, "3090": 35.6, "T4": 8.1}
"""Peak of FP32 without tensor cores, from the makers' data sheets (SXM versions where there are several)."""


def our_batch_command(model: str, repository: Path, folder: Path, out: Path, device: str) -> list[str]:
    base = [
        sys.executable,
        "-m",
        "daw_bridge",
        "batch",
        "--stems-only",
        str(folder),
        "--model",
        model,
        "--weights",
        str(repository),
    ]
    return [*base, "-o", str(out), "--no-cache", "--quiet", "--device", device]


def share_of_peak(model: str, repository: Path, device: str, minutes: float) -> dict[str, float | None]:
    """FLOP rate of the networks alone, at the batch that the free memory gives, against the card's FP32 peak."""
    from daw_bridge.progress import CancelToken, ignore_progress
    from daw_bridge.separation.disk.raw_audio import RawAudio
    from daw_bridge.separation.families.loader import load
    from daw_bridge.separation.options import Device, SeparationOptions

    loaded = load(SeparationOptions(model=model, weights=repository, device=cast("Device", device)), print)
    with tempfile.TemporaryDirectory() as temporary, RawAudio(Path(temporary) / "mix.f32", 2) as source:
        import numpy as np

        source.append(
            np.random.default_rng(0).standard_normal((2, round(minutes * 60 * 44_100))).astype(np.float32) * 0.1
        )

        def run() -> float:
            began = time.monotonic()
            loaded.separator.run(source, lambda _: None, on_progress=ignore_progress, cancel=CancelToken())
            if device != "cpu":
                torch.cuda.synchronize()
            return time.monotonic() - began

        run()
        took_s = min(run() for _ in range(3))
    tflops = model_info(model).gflop_per_s * minutes * 60 / 1000.0 / took_s
    name = device_name(device)
    peak = next((value for key, value in FP32_PEAK_TFLOPS.items() if key in name), None)
    batch = float(loaded.rung.batch_segments) if loaded.rung else 1.0
    return {
        "seconds": took_s,
        "tflops": tflops,
        "share_of_fp32_peak": tflops / peak if peak else None,
        "batch_segments": batch,
    }


def device_name(device: str) -> str:
    return "CPU" if device == "cpu" else torch.cuda.get_device_name()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--model", default="htdemucs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda", help="cpu: only to see that this script runs, with tiny sizes")
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        print("there is no CUDA device here: nothing was measured")
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        repository = make_repository(folder, args.model)
        (folder / "songs").mkdir()
        songs = [
            make_song(folder / "songs" / f"song{number:02}.wav", args.minutes * 60, seed=number)
            for number in range(args.songs)
        ]
        result: dict[str, object] = {
            "device": device_name(args.device),
            "model": args.model,
            "torch": torch.__version__,
        }
        one: dict[str, list[float]] = {"theirs": [], "ours": []}
        many: dict[str, list[float]] = {"theirs": [], "ours": []}
        out = folder / "out"
        theirs_one = demucs_command(args.model, repository, songs[:1], out, "-d", args.device)
        theirs_many = demucs_command(args.model, repository, songs, out, "-d", args.device)
        ours_one = our_command(args.model, repository, songs[0], out, "--device", args.device)
        ours_many = our_batch_command(args.model, repository, folder / "songs", out, args.device)
        for _ in range(args.repeats):
            one["theirs"].append(timed(theirs_one, out).wall_s)
            one["ours"].append(timed(ours_one, out).wall_s)
            many["theirs"].append(timed(theirs_many, out).wall_s)
            many["ours"].append(timed(ours_many, out).wall_s)
        for name, runs, bar in (("one song", one, 1.5), (f"{args.songs} songs", many, 5.0)):
            result[name] = {
                **runs,
                "bar": bar,
                "ratio_of_minima": min(runs["theirs"]) / min(runs["ours"]),
                "ratio_of_medians": statistics.median(runs["theirs"]) / statistics.median(runs["ours"]),
            }
        starts: dict[str, float] = {}
        for side, command in (("theirs", theirs_one), ("ours", ours_one)):
            starts[side] = round(until_first_segment(command).wall_s, 2)
            shutil.rmtree(out, ignore_errors=True)
        result["start to first segment, s"] = starts
        result["networks alone"] = share_of_peak(args.model, repository, args.device, args.minutes)
        print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
