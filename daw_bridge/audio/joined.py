"""Recordings of several encodings in one file, heard one after the other at one rate and number of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, BlockReader, FloatArray
from daw_bridge.audio.lengths import LengthClaim
from daw_bridge.errors import InputError


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


class JoinedReader(BlockReader):
    """Several encodings in one file, one after the other at the rate of the first; sequential only."""

    def __init__(self, readers: Sequence[AudioReader]) -> None:
        self._readers, self._before_samples = readers, 0
        first = readers[0].info
        channels = max(reader.channels for reader in readers)
        pieces = [Piece(reader.sample_rate_hz, reader.channels, self._part(reader)) for reader in readers]
        blocks, said = join(pieces, first.sample_rate_hz, channels)
        lengths = [
            (reader.length_samples or reader.info.estimated_samples or 0) / reader.sample_rate_hz for reader in readers
        ]
        each = " + ".join(f"{length_s:.3f} s" for length_s in lengths[:6]) + (" + ..." if len(lengths) > 6 else "")
        total = round(sum(lengths) * first.sample_rate_hz)
        kinds = {reader.info.container.partition(",")[0].upper().replace("MOV", "MP4") for reader in readers}
        kind = f" {kinds.pop()}" if len(kinds) == 1 else ""
        notes = (f"{len(readers)}{kind} files in one: {each}, one after the other", *said)
        info = AudioInfo(
            path=first.path,
            container=first.container,
            codec=first.codec,
            subtype=first.subtype,
            sample_rate_hz=first.sample_rate_hz,
            channels=channels,
            length_samples=None,
            estimated_samples=total,
            lossy=any(reader.info.lossy for reader in readers),
            notes=(*notes, *(note for reader in readers for note in reader.info.notes)),
            claim=LengthClaim(claimed_samples=first.claim.claimed_samples, behind_samples=total),
        )
        super().__init__(info, blocks)

    def _part(self, reader: AudioReader) -> Iterator[FloatArray]:
        done, ratio = 0, self.sample_rate_hz / reader.sample_rate_hz
        for block in reader.blocks():
            done += block.shape[1]
            yield block
        self.late_notes += reader.late_notes
        for hole in reader.holes:
            self.add_hole(hole.moved(self._before_samples, ratio))
        self._before_samples += round(done * ratio)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


def open_all(openers: Iterable[Callable[[], AudioReader]]) -> list[AudioReader]:
    """The readers of the parts of a file; where one cannot be opened, none is left open."""
    readers: list[AudioReader] = []
    try:
        for opener in openers:
            readers.append(opener())
    except InputError:
        for reader in readers:
            reader.close()
        raise
    return readers
