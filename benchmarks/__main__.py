"""`make bench`: every benchmark that needs no GPU, one after the other; each prints its own command and figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOT_HERE = {"separation_gpu", "ensemble_bins"}
"""Needs a GPU machine: `python -m benchmarks.separation_gpu`; needs librosa: `python -m benchmarks.ensemble_bins`."""


def main() -> int:
    """Run each module that is a program, in a process of its own, so that none inherits another's memory."""
    failed = []
    for path in sorted(HERE.glob("*.py")):
        name = path.stem
        if name.startswith("_") or name in NOT_HERE or "__main__" not in path.read_text("utf-8"):
            continue
        print(f"\n$ python -m benchmarks.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall benchmarks ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
