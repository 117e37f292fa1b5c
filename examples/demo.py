"""`make demo`: build a session from the demo song and say how good it is.

Prints the null depth, each stem's SDR against the true stem, the time taken and the files made.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from daw_bridge import build
from daw_bridge.cli.build import null_text
from daw_bridge.cli.console import ProgressPrinter
from daw_bridge.metrics import evaluate
from daw_bridge.workflow import BuildOptions

HERE = Path(__file__).resolve().parent
SONG = HERE / "demo_song"
TARGET = HERE.parent / "demo-output"


def main() -> None:
    """Build, measure, print."""
    shutil.rmtree(TARGET, ignore_errors=True)
    started = time.monotonic()
    printer = ProgressPrinter(sys.stderr, style="bar" if sys.stderr.isatty() else "lines")
    options = BuildOptions(model="preview", template="band", output=TARGET, name="Demo", use_cache=False)
    result = build(SONG / "mix.flac", options, on_progress=printer)
    printer.close()
    took_s = time.monotonic() - started

    separation = result.manifest.separation
    print(
        f"\nNull depth:  {null_text(separation.null_depth_db if separation else None)} (stems read back, summed, against the mix)"
    )
    print(
        f"Time:        {took_s:.1f} s for {mix_length_s(result.manifest.reference):.1f} s of music, on this machine's CPU"
    )
    print_scores(result.folder, {stem.name: result.folder / stem.file for stem in result.manifest.stems})
    print("\nFiles:")
    for path in sorted(result.folder.rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(result.folder.parent)}  ({path.stat().st_size:,} bytes)")
    print(f"\n{result.reports[0].how_to_open}")
