"""Recordings of several encodings in one file, heard one after the other at one rate and number of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from daw_bridge.audio.audio_file import FloatArray


@dataclass(frozen=True, slots=True)
class Piece:
    """One encoding: its rate, its channels, its blocks (channels, n)."""

    sample_rate_hz: int
    channels: int
    blocks: Iterable[FloatArray]


def join(pieces: list[Piece], sample_rate_hz: int, channels: int) -> tuple[Iterator[FloatArray], tuple[str, ...]]:
    """All blocks at this rate and number of channels, and remarks about what had to be converted."""
    said = []
    for number, piece in enumerate(pieces, 1):
        if piece.sample_rate_hz != sample_rate_hz:
            said.append(f"part {number} is of {piece.sample_rate_hz} Hz; converted to {sample_rate_hz} Hz")
        if piece.channels != channels:
            said.append(f"part {number} has {piece.channels} channel(s); they are made {channels}")
    return _all(pieces, sample_rate_hz, channels), tuple(dict.fromkeys(said))


def _all(pieces: list[Piece], sample_rate_hz: int, channels: int) -> Iterator[FloatArray]:
    for piece in pieces:
        blocks: Iterable[FloatArray] = piece.blocks
        if piece.sample_rate_hz != sample_rate_hz:
            blocks = _resampled(blocks, piece, sample_rate_hz)
        for block in blocks:
            yield with_channels(block, channels)


def _resampled(blocks: Iterable[FloatArray], piece: Piece, sample_rate_hz: int) -> Iterator[FloatArray]:
    from daw_bridge.audio.resample import Resampler

    resampler = Resampler(piece.sample_rate_hz, sample_rate_hz, piece.channels)
    for block in blocks:
        yield resampler.process(block)
    yield resampler.finish()


def with_channels(block: FloatArray, channels: int) -> FloatArray:
    """Mono on every channel; of more channels than asked for the first ones."""
    if block.shape[0] == channels:
        return block
    if block.shape[0] == 1:
        return np.repeat(block, channels, axis=0)
    if block.shape[0] > channels:
        return np.ascontiguousarray(block[:channels])
    return np.concatenate([block, np.zeros((channels - block.shape[0], block.shape[1]), dtype=np.float32)])
