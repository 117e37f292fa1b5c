"""Do the parts sum back to the whole? Read back from the files that were written, summed in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.samples import checked_peak
from daw_bridge.errors import InputError
from daw_bridge.units import linear_to_db

_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NullResult:
    """What is left of sum(parts) - reference, in dBFS; -inf when nothing is."""

    peak_db: float
    rms_db: float


def null_depth_db(reference: Path, parts: Sequence[Path]) -> float:
    """Peak of sum(parts) - reference in dBFS; -inf for a perfect null. Raises InputError."""
    return null_test(reference, parts).peak_db


def null_test(reference: Path, parts: Sequence[Path]) -> NullResult:
    """Peak and RMS of sum(parts) - reference over all channels, block by block.

    Raises InputError when a part has another rate, length or number of channels than the reference.
    """
    peak, energy, count = 0.0, 0.0, 0
    with ExitStack() as stack:
        whole = stack.enter_context(open_audio(reference))
        readers = [stack.enter_context(open_audio(part)) for part in parts]
        for reader in readers:
            _check_same_shape(whole, reader)
        for block in whole.blocks(_BLOCK_SAMPLES):
            start = count // whole.channels
            left_over = -block.astype(np.float64)
            checked_peak(reference, block, start, whole.sample_rate_hz)
            for reader in readers:
                part = reader.read(block.shape[1])
                if part.shape != block.shape:
                    raise InputError(f"{reader.info.path}: ends before {reference.name} does; they cannot null")
                checked_peak(reader.info.path, part, start, reader.sample_rate_hz)
                left_over += part
            peak = max(peak, float(left_over.max()), float(-left_over.min()))
            energy += float(np.vdot(left_over, left_over))
            count += left_over.size
    return NullResult(
        peak_db=linear_to_db(peak), rms_db=linear_to_db(math.sqrt(energy / count)) if count else -math.inf
    )


def _check_same_shape(whole: AudioReader, part: AudioReader) -> None:
    for what, expected, found in (
        ("Hz", whole.sample_rate_hz, part.sample_rate_hz),
        ("channels", whole.channels, part.channels),
        ("samples", whole.length_samples, part.length_samples),
    ):
        if expected != found and None not in (expected, found):  # some formats tell their length at their end
            raise InputError(
                f"{part.info.path}: {found} {what}, but {whole.info.path.name} has {expected}; they cannot null"
            )
