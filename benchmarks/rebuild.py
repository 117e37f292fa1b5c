"""How long another template takes on the stems of a four-minute song, and how long the command line takes to start.

    python -m benchmarks.rebuild [--minutes 4] [--repeats 5]

The stems are noise from the real writer; nothing is separated. The bar is 2 s for `rebuild` and for a `build` that
finds its stems in the cache, 0.25 s for `--help`; each is a whole process, start-up and all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

RATE_HZ = 44_100


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of one whole process; its output is thrown away, a failure is not."""
    began_s = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began_s


def write_song(path: Path, minutes: float) -> None:
    """Mostly silence, so that the model's segments are real but the separation below stays short to set up."""
    rng = np.random.default_rng(1)
    with sf.SoundFile(path, "w", RATE_HZ, 2, subtype="PCM_16") as file:
        for _ in range(int(minutes * 60)):
            file.write((0.1 * rng.standard_normal((RATE_HZ, 2))).astype(np.float32))


def main() -> None:
    """Build once with the bundled model, then time what must be quick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    tool = [sys.executable, "-m", "daw_bridge"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = {**os.environ, "DAW_BRIDGE_CACHE": str(folder / "cache")}
        environment["PYTHONPATH"] = os.pathsep.join([".", "adapters"])
        mix = folder / "song.wav"
        write_song(mix, args.minutes)
        built = timed([*tool, "build", str(mix), "-m", "preview", "-q"], environment)
        print(f"first build with the preview model: {built:.1f} s for {args.minutes:g} minutes")
        song = str(folder / "song.session")
        cases = {
            "--help": lambda _n: [*tool, "--help"],
            "rebuild, another template": lambda n: [*tool, "rebuild", song, "-t", ("dj", "band")[n % 2], "-q"],
            "build from the cache": lambda n: [
                *(*tool, "build", str(mix), "-m", "preview", "-t", "dj", "-o", str(folder / f"again{n}"), "-q"),
            ],
        }
        for name, command in cases.items():
            times = [timed(command(number), environment) for number in range(args.repeats)]
            print(f"{name:<28} best {min(times):.2f} s, median {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
