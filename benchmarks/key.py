"""The tonic of songs with true stems against the artist's labels.

python -m benchmarks.key [SONGS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.grid import blocks, song
from daw_bridge.analysis.features import features
from daw_bridge.analysis.key import find_key

LABELS = {"sodium": "G minor", "potassium": "C", "rubidium": "G", "caesium": "C", "francium": "Bb"}


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/audio")
    right = total = 0
    for name, label in LABELS.items():
        if not (folder / name).is_dir():
            continue
        stems, rate = song(folder / name)
        chroma = np.sum(
            [features(blocks(audio), rate, bands=False).chroma for part, audio in stems.items() if part != "drums"],
            axis=0,
        )
        key = find_key(chroma)
        found = key.text if key is not None else "nothing"
        right += key is not None and key.tonic == label.split()[0]
        total += 1
        print(f"{name:10} {label:8} heard: {found}")
    print(f"tonic right {right} of {total}")
    return 0 if total and right >= 6 / 7 * total - 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
