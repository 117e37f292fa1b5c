"""Peak host memory of a separation against the length of the mix.

    python -m benchmarks.separation_memory [--long 120] [--short 5]

Two separators: `engine` is the whole streaming engine with a small random HDemucs network and htdemucs' segment length
(a published network would take hours here and adds a constant); `cheap` halves the mix and so shows the audio path
alone. The files are made in blocks, each run is a process of its own, and the figure is its peak resident size (VmHWM:
ru_maxrss would count the parent's).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 1.2
"""2 hours against 5 minutes; 60 against 3 minutes may take 1.3."""

CHILD = """
import re, sys
from pathlib import Path
from benchmarks.separation_memory import separator
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import separate_reference
result = separate_reference(Path(sys.argv[2]), Path(sys.argv[3]), SeparationOptions(), separator=separator(sys.argv[1]))
assert result.null_depth_db <= -120.0, result.null_depth_db
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024.0)
"""


class Halves:
    """Half of the mix to each of two stems, a second at a time."""

    name = "cheap"
    sources = ("first", "second")
    sample_rate_hz = 44_100
    channels = 2

    def run(self, source, emit, *, start_samples=0, on_progress, cancel):  # type: ignore[no-untyped-def]
        import numpy as np

        from daw_bridge.progress import Progress

        source.seek(start_samples)
        while (block := source.read(self.sample_rate_hz)).shape[1]:
            cancel.check()
            emit(np.stack([block * np.float32(0.5)] * 2))
            on_progress(Progress(stage="separate", done=1, total=1))


def separator(kind: str):  # type: ignore[no-untyped-def]
    """The separator of that kind; imported by the measured process."""
    if kind == "cheap":
        return Halves()
    import torch
    from demucs.hdemucs import HDemucs

    from benchmarks.peer_models import SOURCES
    from daw_bridge.separation.engine.memory import Rung
    from daw_bridge.separation.families.demucs.bag import Bag
    from daw_bridge.separation.families.demucs.networks import Network
    from daw_bridge.separation.families.demucs.separator import DemucsSeparator, Plan

    torch.manual_seed(0)
    module = HDemucs(SOURCES, channels=4, dconv_lstm=9, dconv_attn=9, segment=7.8)
    bag = Bag(
        networks=(Network.of(module),),
        sources=tuple(SOURCES),
        bag_weights=((1.0,) * 4,),
        segment_s=None,
        sha256="0" * 64,
    )
    return DemucsSeparator("engine", bag, Plan(), [Rung(device="cpu", workers=2)], print)


def peak_mb(kind: str, minutes: float, folder: Path) -> tuple[float, float]:
    """Peak resident size in MB and the seconds it took."""
    import soundfile

    from benchmarks.peer_models import RATE_HZ, make_song

    source = make_song(folder / "pcm.wav", 60.0)
    block = soundfile.read(source, dtype="float32")[0]
    mix = folder / "mix.wav"
    with soundfile.SoundFile(mix, "w", RATE_HZ, 2, subtype="FLOAT", format="RF64") as song:
        for _ in range(round(minutes)):
            song.write(block)
    began = time.monotonic()
    command = [sys.executable, "-c", CHILD, kind, str(mix), str(folder / "out")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for path in folder.rglob("*.wav"):
        path.unlink()
    return float(done.stdout.strip().splitlines()[-1]), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", type=float, default=120.0, help="minutes")
    parser.add_argument("--short", type=float, default=5.0, help="minutes")
    parser.add_argument("--only", default="", help="cheap or engine")
    args = parser.parse_args()
    missed = 0
    for kind in ("cheap", "engine"):
        if args.only and kind != args.only:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            short_mb, short_s = peak_mb(kind, args.short, Path(temporary))
            long_mb, long_s = peak_mb(kind, args.long, Path(temporary))
        ratio = long_mb / short_mb
        print(
            json.dumps(
                {
                    "separator": kind,
                    f"{args.short:g}_min_mb": round(short_mb),
                    f"{args.long:g}_min_mb": round(long_mb),
                    "ratio": round(ratio, 3),
                    "took_s": [round(short_s), round(long_s)],
                }
            ),
            flush=True,
        )
        missed += ratio > BAR
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
