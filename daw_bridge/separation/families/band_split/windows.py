"""A short-time Fourier transform with long analysis and short synthesis windows: fine in frequency, quick in time.

A frame looks back over `window` samples but writes only the last two hops, so a sample is finished two hops after it
came in, whatever the frequency resolution. Construction: D. Mauler and R. Martin, "A low delay, variable resolution,
perfect reconstruction spectral analysis-synthesis system for speech enhancement", EUSIPCO 2007. On the last two hops
analysis * synthesis is a periodic Hann window, and Hann windows one hop apart sum to one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def asymmetric_windows(window_samples: int, hop_samples: int) -> tuple[FloatArray, FloatArray]:
    """(analysis, synthesis), float32 of shapes (window,) and (2 * hop,).

    The analysis window climbs along the square root of a long Hann window and falls within one hop along that of a
    short one. Raises ValueError unless window >= 2 * hop >= 2.
    """
    if not 2 <= 2 * hop_samples <= window_samples:
        raise ValueError(f"window ({window_samples}) must span at least two hops of {hop_samples} samples")
    climb = window_samples - hop_samples
    analysis = np.empty(window_samples)
    analysis[:climb] = np.sin(0.5 * np.pi * np.arange(climb) / climb)
    analysis[climb:] = np.cos(0.5 * np.pi * np.arange(hop_samples) / hop_samples)
    hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop_samples) / hop_samples)
    synthesis = hann / np.maximum(analysis[-2 * hop_samples :], 1e-9)
    return analysis.astype(np.float32), synthesis.astype(np.float32)
