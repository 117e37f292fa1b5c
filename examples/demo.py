"""`make demo`: build a session from the demo song and say how good it is.

Prints the null depth, each stem's SDR against the true stem, the time taken and the files made.
"""

from __future__ import annotations

import math
import shlex
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from daw_bridge.audio.reader import open_audio
from daw_bridge.cli.build import null_text
from daw_bridge.cli.console import ProgressPrinter
from daw_bridge.workflow import BuildOptions, BuildResult, build

HERE = Path(__file__).resolve().parent
SONG = HERE / "demo_song"
TRUE_STEMS = ("drums", "bass", "other", "vocals")


def main(target: Path) -> None:
    """Build, measure, print."""
    shutil.rmtree(target, ignore_errors=True)
    started_s = time.monotonic()
    printer = ProgressPrinter(sys.stderr, style="bar" if sys.stderr.isatty() else "lines")
    options = BuildOptions(model="preview", template="band", output=target, name="Demo", use_cache=False)
    result = build(SONG / "mix.flac", options, on_progress=printer)
    printer.close()
    took_s = time.monotonic() - started_s
    separation, reference = result.song.separation, result.song.reference
    length_s = reference.length_samples / reference.sample_rate_hz
    print(f"\nNull depth   {null_text(separation.null_depth_db)}  (stems read back and summed, against the mix)")
    print(f"Time         {took_s:.1f} s for {length_s:.0f} s of music, model and all, on this machine")
    print_scores(result)
    print("\nFiles")
    for path in sorted(result.folder.rglob("*")):
        if path.is_file():
            print(f"  {path.stat().st_size:>10,}  {path.relative_to(result.folder.parent)}")
    for report in result.reports:
        print(f"\n{report.how_to_open}")
    print(f"Or hear it in the browser:  daw-bridge web {shlex.quote(str(result.folder.parent))}")


def print_scores(result: BuildResult) -> None:
    """Whole-song SDR of each stem, beside that of simply taking a quarter of the mix."""
    mix = read(SONG / "mix.flac")
    print("\nSDR against the true stems (whole excerpt, dB)")
    print(f"  {'stem':<8}{'preview':>9}{'mix / 4':>9}")
    for stem in result.manifest.stems:
        if stem.name in TRUE_STEMS:
            truth, estimate = read(SONG / f"{stem.name}.ogg"), read(result.folder / stem.file)
            print(f"  {stem.name:<8}{sdr_db(truth, estimate):>9.2f}{sdr_db(truth, mix / 4):>9.2f}")
    print("  preview is the small real-time model in the package; the production default is htdemucs_ft")


def read(path: Path) -> np.ndarray:
    with open_audio(path) as audio:
        return np.concatenate(list(audio.blocks()), axis=1)


def sdr_db(truth: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10 of the energy of the truth over that of the error."""
    error = float(np.sum(np.square(truth - estimate, dtype=np.float64)))
    return 10.0 * math.log10(float(np.sum(np.square(truth, dtype=np.float64))) / error)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "demo-output" / "Demo.session")
