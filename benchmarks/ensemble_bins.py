"""The spectral ways of an ensemble (`min:`, `max:`) against librosa's transform, bar 2e-6.

    python -m benchmarks.ensemble_bins

Three estimates of stereo noise at a rms of 0.2, several lengths; ours streamed in blocks, librosa's at once. Left out
are the last 116 samples at most, where librosa divides by a window that has fallen to nothing (see `combine.py`).
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np

from daw_bridge.separation.combine import HOP_SAMPLES, WINDOW_SAMPLES, Way, combined
from daw_bridge.separation.engine.separator import FloatArray

librosa: Any = importlib.import_module("librosa")  # no dependency of ours: `pip install librosa==0.11.0` beside it
BAR = 2e-6
LENGTHS = (44_100, 100_003, 300_001, 308_224)
SPARED_SAMPLES = 116


def ours(parts: FloatArray, way: Way) -> FloatArray:
    blocks = combined(lambda first, last: parts[:, :, first:last], parts.shape[2], way, (1.0,) * len(parts))
    return np.concatenate(list(blocks), axis=1)


def theirs(parts: FloatArray, way: Way) -> FloatArray:
    """By librosa, as MSST's ensemble script does it: complex bins chosen by their size, back to the length."""
    spectra = np.stack([librosa.stft(part, n_fft=WINDOW_SAMPLES, hop_length=HOP_SAMPLES) for part in parts])
    size = np.abs(spectra)
    index = size.argmax(axis=0) if way == "max" else size.argmin(axis=0)
    chosen = np.take_along_axis(spectra, index[None], axis=0)[0]
    made: FloatArray = librosa.istft(chosen, n_fft=WINDOW_SAMPLES, hop_length=HOP_SAMPLES, length=parts.shape[2])
    return made


def main() -> int:
    worst = 0.0
    ways: tuple[Way, ...] = ("min", "max")
    for way in ways:
        for samples in LENGTHS:
            parts = np.random.default_rng(samples).normal(0.0, 0.2, (3, 2, samples)).astype(np.float32)
            error = np.abs(ours(parts, way) - theirs(parts, way))
            counted = float(error[:, : samples - SPARED_SAMPLES].max())
            row = {"way": way, "samples": samples, "max_abs": f"{counted:.1e}", "at_the_end": f"{error.max():.1e}"}
            print(json.dumps(row), flush=True)
            worst = max(worst, counted)
    print(json.dumps({"librosa": librosa.__version__, "worst": f"{worst:.1e}", "bar": BAR}))
    return 1 if worst > BAR else 0


if __name__ == "__main__":
    sys.exit(main())
