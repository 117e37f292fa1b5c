"""What a build left, as numbers; and the quickest build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from daw_bridge.manifest import read_manifest
from daw_bridge.workflow import BuildOptions

FAST = BuildOptions(model="preview", template="neutral")


def read(path: Path) -> np.ndarray:
    return sf.read(path, dtype="float64", always_2d=True)[0]


def null_depth_db(folder: Path) -> float:
    manifest = read_manifest(folder)
    assert manifest is not None and manifest.reference is not None
    reference = read(folder / manifest.reference.file)
    rest = sum(read(folder / stem.file) for stem in manifest.stems) - reference
    return 20 * np.log10(max(np.abs(rest).max(), 1e-12))
