"""From the start of the process to the first segment: our `separate` against the stock `demucs` command, on the CPU.

    python -m benchmarks.first_segment [--model htdemucs] [--seconds 8,240] [--repeats 5]

Both commands run unmodified until a network's `forward` is called for the first time: everything before it (imports,
weights, decoding, for us also the archive, the rules and the passes over the mix) is what a user waits for before
computing begins. Runs alternate and the ratio is theirs / ours, of the medians of the paired ratios; the first pair
only warms the disk. Bytecode is cached for both, as an installed program has it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._first_forward import MARK
from benchmarks.peer_models import demucs_command, make_repository, make_song, our_command
from benchmarks.separate_vs_demucs import Cost

BAR = 1.0


def until_first_segment(command: list[str]) -> Cost:
    """Wall and processor seconds of `python -m PROGRAM ...` until its first forward."""
    watched = [sys.executable, "-m", "benchmarks._first_forward", *command[2:]]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    done = subprocess.run(watched, capture_output=True, text=True, env=environment, check=False)
    found = [line for line in done.stderr.splitlines() if line.startswith(MARK)]
    if not found:
        raise SystemExit(f"{' '.join(command)} computed nothing:\n{done.stderr[-2000:]}")
    reached, cpu_s = (float(word) for word in found[0].removeprefix(MARK).split())
    return Cost(reached - began, cpu_s)


def run_case(model: str, seconds: float, repeats: int, folder: Path) -> dict[str, object]:
    """Both commands in turn."""
    repository = make_repository(folder, model)
    song = make_song(folder / f"song{seconds:g}.wav", seconds)
    costs: dict[str, list[Cost]] = {"theirs": [], "ours": []}
    for number in range(repeats + 1):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            pair = {
                "theirs": until_first_segment(demucs_command(model, repository, [song], Path(out), "-d", "cpu")),
                "ours": until_first_segment(
                    our_command(model, repository, song, Path(out) / "ours", "--device", "cpu")
                ),
            }
        if number:
            for side, cost in pair.items():
                costs[side].append(cost)
    pairs = list(zip(costs["theirs"], costs["ours"], strict=True))
    return {
        "model": model,
        "seconds_of_audio": seconds,
        "bar": BAR,
        "wall_s": {side: [round(cost.wall_s, 2) for cost in runs] for side, runs in costs.items()},
        "cpu_s": {side: [round(cost.cpu_s, 2) for cost in runs] for side, runs in costs.items()},
        "ratio_of_wall": round(statistics.median(theirs.wall_s / ours.wall_s for theirs, ours in pairs), 3),
        "ratio_of_cpu": round(statistics.median(theirs.cpu_s / ours.cpu_s for theirs, ours in pairs), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="htdemucs", help="one or several of those that peer_models can make")
    parser.add_argument("--seconds", default="8,240")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for model in args.model.split(","):
            for seconds in args.seconds.split(","):
                result = run_case(model, float(seconds), args.repeats, Path(temporary))
                print(json.dumps(result), flush=True)
                missed += max(float(str(result["ratio_of_wall"])), float(str(result["ratio_of_cpu"]))) < BAR
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
