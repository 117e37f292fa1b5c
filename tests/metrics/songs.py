"""Small songs made in code: coloured noise in stereo, so that filters, windows and silences are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 8_000
"""Low, to keep the tests fast; nothing in the metrics depends on it but the length of a window."""


def make_sources(sources: int, *, channels: int = 2, seconds: float = 5.0, seed: int = 1) -> NDArray[np.float64]:
    """Independent coloured noise, shape (sources, channels, samples)."""
    import scipy.signal  # not above: every worker of a test run collects this file, and the import takes a second

    noise = np.random.default_rng(seed).standard_normal((sources, channels, round(seconds * RATE_HZ)))
    coloured = [scipy.signal.lfilter([1.0], [1.0, 0.5 - 0.3 * index], part) for index, part in enumerate(noise)]
    return 0.1 * np.stack(coloured)


def make_estimates(references: NDArray[np.float64], *, leak: float = 0.1, seed: int = 2) -> NDArray[np.float64]:
    """References with a short filter, a leak of all the others, and noise: every kind of error at once."""
    import scipy.signal

    rng = np.random.default_rng(seed)
    taps = np.r_[1.0, 0.2, -0.1, 0.05]
    filtered = scipy.signal.lfilter(taps, [1.0], references)
    return filtered + leak * (references.sum(axis=0) - references) + 0.003 * rng.standard_normal(references.shape)


def write_stems(
    folder: Path, stems: Mapping[str, NDArray[np.float64]], *, rate_hz: int = RATE_HZ, suffix: str = ".wav"
) -> dict[str, Path]:
    """Float files (24-bit for FLAC), one a stem."""
    folder.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if suffix == ".wav" else None
    for name, samples in stems.items():
        soundfile.write(folder / f"{name}{suffix}", samples.T.astype(np.float32), rate_hz, subtype=subtype)
    return {name: folder / f"{name}{suffix}" for name in stems}
