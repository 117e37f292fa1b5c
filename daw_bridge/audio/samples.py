"""Blocks of samples: the order they lie in, and the one check that every decoded block goes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.lengths import GET_A_WHOLE_ONE, Hole
from daw_bridge.errors import DamagedInput

LOUDEST_PLAUSIBLE = 1e6
"""+120 dBFS. What is above comes from a damaged file, and sums and filters in float32 would overflow on it."""


def interleaved(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels, n) as contiguous (n, channels); channel by channel, six times faster than numpy's transposing copy."""
    if block.T.flags.c_contiguous:
        return block.T
    result = np.empty(block.shape[::-1], dtype=np.float32)
    for index, channel in enumerate(block):
        result[:, index] = channel
    return result


def checked_peak(path: Path, block: NDArray[Any], start_samples: int, sample_rate_hz: int) -> float:
    """The largest magnitude in a block (channels, n) that begins at `start_samples`; 0 for an empty one.

    Raises DamagedInput with the place of the first sample that is NaN, infinite or beyond any sound.
    """
    if not block.size:
        return 0.0
    # NaN and infinity travel through max and min, so that these two looks find them.
    peak = float(np.maximum(block.max(), -block.min()))
    if peak <= LOUDEST_PLAUSIBLE:
        return peak
    wrong = ~(np.abs(block.T) <= LOUDEST_PLAUSIBLE)
    sample, channel = (int(index) for index in np.argwhere(wrong)[0])
    value = block[channel, sample]
    kind = "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else f"{value:.1e}, which is no sound"
    if np.isfinite(value) and abs(value) <= 2**31 and value == np.trunc(value):
        kind += " (integers in a float file? a gain of -138.5 dB is for 24 bits, -186.6 dB for 32: `gain_db`)"
    at = start_samples + sample
    place = f"sample {at} ({at / sample_rate_hz:.3f} s) of channel {channel + 1}"
    raise DamagedInput(f"{path}: {place} is {kind}; export the mix again, or {GET_A_WHOLE_ONE.partition(', or ')[2]}")


def silence_no_numbers(reader: AudioReader, block: NDArray[np.float32], start_samples: int) -> None:
    """Put silence where a sample of the block is NaN, infinite or beyond any sound, and note the holes."""
    wrong = ~(np.abs(block) <= LOUDEST_PLAUSIBLE)
    if not wrong.any():
        return
    block[wrong] = 0.0
    for sample in np.flatnonzero(wrong.any(axis=0)).tolist():
        reader.add_hole(Hole(start_samples=start_samples + sample, length_samples=1))
