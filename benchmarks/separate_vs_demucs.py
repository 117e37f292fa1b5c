"""Our `separate` against the stock `demucs` command on the CPU, with the same (random) weights; whole commands.

    python -m benchmarks.separate_vs_demucs [--seconds 60] [--repeats 1] [--only htdemucs]

The bars are for songs, so each case has a length of its own unless one is given: up to a minute the start, the reading
back and a last round of segments that leaves cores idle weigh more. Runs alternate, so that a noisy machine hurts both
alike. The ratio is theirs / ours: of the shortest runs, of the medians, and of the processor time, which is the same
whatever else the machine does. Exit status 1 when a bar is missed on all three.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer_models import demucs_command, make_repository, make_song, our_command


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    model: str
    bar: float
    seconds: float
    theirs: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()


CASES = (
    Case(name="htdemucs, 4 stems", model="htdemucs", bar=1.35, seconds=180.0),
    Case(name="mdx_extra, 4 stems", model="mdx_extra", bar=1.8, seconds=60.0),
    Case(
        name="htdemucs_ft, --two-stems vocals",
        model="htdemucs_ft",
        bar=4.0,
        seconds=60.0,
        theirs=("--two-stems", "vocals"),
        ours=("--two-stems", "vocals"),
    ),
)


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float


def timed(command: list[str], out: Path) -> Cost:
    """Run a command that writes into `out`, which is removed afterwards."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out, ignore_errors=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_case(case: Case, folder: Path, seconds: float, repeats: int) -> dict[str, object]:
    """Alternate both commands; ratios of theirs to ours."""
    repository = make_repository(folder, case.model)
    song = make_song(folder / "song.wav", seconds)
    costs: dict[str, list[Cost]] = {"theirs": [], "ours": []}
    for _ in range(repeats):
        out = folder / "theirs"
        costs["theirs"].append(
            timed(demucs_command(case.model, repository, [song], out, "-d", "cpu", *case.theirs), out)
        )
        out = folder / "ours"
        costs["ours"].append(timed(our_command(case.model, repository, song, out, "--device", "cpu", *case.ours), out))
        print(f"  {case.name}: theirs {costs['theirs'][-1]}, ours {costs['ours'][-1]}", file=sys.stderr, flush=True)
    wall = {side: [cost.wall_s for cost in runs] for side, runs in costs.items()}
    cpu = {side: [cost.cpu_s for cost in runs] for side, runs in costs.items()}
    return {
        "case": case.name,
        "bar": case.bar,
        "seconds_of_audio": seconds,
        "repeats": repeats,
        "wall_s": wall,
        "cpu_s": cpu,
        "ratio_of_minima": min(wall["theirs"]) / min(wall["ours"]),
        "ratio_of_medians": statistics.median(wall["theirs"]) / statistics.median(wall["ours"]),
        "ratio_of_cpu_minima": min(cpu["theirs"]) / min(cpu["ours"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="length of the audio; otherwise the case's own")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--folder", type=Path, help="keep the random weights here for the next time")
    args = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for case in CASES:
            if not case.name.startswith(args.only):
                continue
            result = run_case(case, folder, args.seconds or case.seconds, args.repeats)
            print(json.dumps(result), flush=True)
            best = max(float(str(result[key])) for key in result if key.startswith("ratio"))
            missed += best < case.bar
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
