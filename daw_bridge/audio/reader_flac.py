"""FLAC files that were joined byte by byte (`cat a.flac b.flac`): all of them, one after the other."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, BlockReader, FloatArray
from daw_bridge.audio.container_flac import read_streaminfo
from daw_bridge.audio.joined import Piece, join
from daw_bridge.audio.lengths import LengthClaim

_FILE_BEGINS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
"""The mark and the header of STREAMINFO, which is the first block and 34 bytes long (RFC 9639, 8.1 and 8.2)."""


def flac_starts(handle: BinaryIO, base: int) -> list[int]:
    """Where FLAC files begin in this one, the first at `base`."""
    with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = [base]
        for mark in _FILE_BEGINS:
            at = base
            while (at := data.find(mark, at + 1)) >= 0:
                info = read_streaminfo(handle, at)
                if info is not None and info.sample_rate_hz:
                    starts.append(at)
        return sorted(starts)


class JoinedReader(BlockReader):
    """Several encodings in one file, one after the other at the rate of the first; sequential only."""

    def __init__(self, readers: Sequence[AudioReader]) -> None:
        self._readers = readers
        first = readers[0].info
        channels = max(reader.channels for reader in readers)
        pieces = [Piece(reader.sample_rate_hz, reader.channels, self._part(reader)) for reader in readers]
        blocks, said = join(pieces, first.sample_rate_hz, channels)
        lengths = [
            (reader.length_samples or reader.info.estimated_samples or 0) / reader.sample_rate_hz for reader in readers
        ]
        each = " + ".join(f"{length_s:.3f} s" for length_s in lengths[:6]) + (" + ..." if len(lengths) > 6 else "")
        total = round(sum(lengths) * first.sample_rate_hz)
        notes = (f"{len(readers)} {first.container} files in one: {each}, one after the other", *said)
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
        yield from reader.blocks()
        self.late_notes += reader.late_notes

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
