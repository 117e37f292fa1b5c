"""Samples as AAF embeds them: one channel of a file as 24-bit integers, and what has to be known before that."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import InputError
from daw_bridge.model import Clip

FULL_SCALE = 1 << 23
SAMPLE_BYTES = 3
_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The highest sample of all files, 1.0 being full scale, and a digest of all samples."""

    peak_linear: float
    digest: bytes

    @property
    def lowered_db(self) -> float:
        """By how much everything has to be lowered together so that 24 bits hold it, in steps of 0.1 dB."""
        highest = (FULL_SCALE - 1) / FULL_SCALE
        if self.peak_linear <= highest:
            return 0.0
        return math.ceil(10.0 * 20.0 * math.log10(self.peak_linear / highest)) / 10.0


def survey(clips: Iterable[Clip]) -> Survey:
    """Read all of it once. Raises InputError for a file that is gone, changed or holds what is no number."""
    peak, digest = 0.0, hashlib.sha256()
    for clip in clips:
        for block in _blocks(clip):
            digest.update(np.ascontiguousarray(block).data)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
    return Survey(peak_linear=peak, digest=digest.digest())


def channel_bytes(clip: Clip, channel: int, gain_linear: float) -> Iterator[bytes]:
    """One channel as 24-bit little-endian integers, rounded to the nearest."""
    for block in _blocks(clip):
        scaled = np.round(block[channel].astype(np.float64) * gain_linear * FULL_SCALE)
        inside = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i4")
        yield inside.view(np.uint8).reshape(-1, 4)[:, :SAMPLE_BYTES].tobytes()


def _blocks(clip: Clip) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    with open_audio(clip.path) as reader:
        if (reader.sample_rate_hz, reader.channels) != (clip.sample_rate_hz, clip.channels):
            raise InputError(f"{clip.path}: is not the file that the session was planned with; rebuild the session")
        left = clip.length_samples
        while left > 0:
            block = reader.read(min(left, _BLOCK_SAMPLES))
            if not block.shape[1]:
                raise InputError(f"{clip.path}: is shorter than the session says; was it changed?")
            if not np.isfinite(block).all():
                raise InputError(f"{clip.path}: holds samples that are no numbers; separate the mix again")
            left -= block.shape[1]
            yield block
