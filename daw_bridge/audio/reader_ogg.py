"""Ogg Vorbis and Opus: every link of a chain, each decoded on its own by libsndfile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import soundfile

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, BlockReader, FloatArray, library_path
from daw_bridge.audio.container_ogg import Chain, Link, read_chain, spans_at_full_rate
from daw_bridge.audio.joined import Piece, join
from daw_bridge.audio.lengths import LengthClaim, damaged
from daw_bridge.audio.reader_soundfile import SoundfileReader
from daw_bridge.audio.spans import SpanFile
from daw_bridge.errors import InputError
from daw_bridge.units import human_bytes

_BLOCK_SAMPLES = 1 << 16
_NO_END = "the Ogg stream has no end mark; it may have been cut off"
_LONGEST_PAGE_S = 30


def open_ogg(path: Path, *, accept_damaged: bool) -> AudioReader | None:
    """A reader; None for Ogg files that hold something else or more than sound.

    Raises DamagedInput for a file that is cut off in a page, or that has lost some, unless that is accepted.
    """
    with path.open("rb") as handle:
        chain = read_chain(handle, path.stat().st_size)
    if not accept_damaged:
        _refuse_damage(path, chain)
    plain = chain.links and all(link.codec and link.streams == 1 for link in chain.links)
    if not plain or (accept_damaged and any(link.gaps for link in chain.links)):
        return None
    notes = _remarks(chain)
    try:
        link = chain.links[0]
        if len(chain.links) == 1 and link.start == 0 and not chain.cut and link.is_at_full_rate:
            claim = LengthClaim(claimed_samples=link.granules, behind_samples=link.granules)
            sound = soundfile.SoundFile(library_path(path))
            return SoundfileReader(path, sound, notes, known=not _starts_late(link), claim=claim)
        return ChainReader(path, chain, notes)
    except soundfile.LibsndfileError:
        if not accept_damaged and all(link.first_granules < 0 for link in chain.links):
            raise InputError(f"{path}: there are no samples in it; export the mix again") from None
        return None


def _refuse_damage(path: Path, chain: Chain) -> None:
    before_s = 0.0
    for number, link in enumerate(chain.links, 1):
        if link.gaps:
            raise damaged(path, before_s + link.gaps[0] / link.sample_rate_hz, "pages of it are lost or damaged")
        before_s += link.granules / link.sample_rate_hz
        if chain.cut and number == len(chain.links):
            raise damaged(path, before_s, "the file ends in the middle of an Ogg page")
    if chain.cut and not chain.links:
        raise damaged(path, 0.0, "the file ends in the middle of an Ogg page")


def _starts_late(link: Link) -> bool:
    """Whether counting did not begin at 0: a recording of a radio stream that was on already."""
    return link.first_granules > _LONGEST_PAGE_S * link.sample_rate_hz


def _remarks(chain: Chain) -> tuple[str, ...]:
    notes = []
    if chain.cut:
        notes.append("cut off: the file ends in the middle of an Ogg page")
    elif not chain.links[-1].ended:
        notes.append(_NO_END)
    if len(chain.links) > 1:
        lengths = " + ".join(f"{link.granules / link.sample_rate_hz:.3f} s" for link in chain.links[:6])
        more = " + ..." if len(chain.links) > 6 else ""
        notes.append(f"{len(chain.links)} Ogg streams in one file: {lengths}{more}, one after the other")
    if chain.foreign_bytes:
        notes.append(f"{human_bytes(chain.foreign_bytes)} of the file are no Ogg; left out")
    return tuple(notes)


class ChainReader(BlockReader):
    """All links, one after the other, at the first one's rate and the most channels; sequential only."""

    def __init__(self, path: Path, chain: Chain, notes: tuple[str, ...]) -> None:
        self._path = path
        self._handle = path.open("rb")
        try:
            shapes = [self._shape(link) for link in chain.links]
        except BaseException:
            self._handle.close()
            raise
        rate_hz, channels = shapes[0][0], max(shape[1] for shape in shapes)
        pieces = [
            Piece(shape[0], shape[1], self._link_blocks(link)) for link, shape in zip(chain.links, shapes, strict=True)
        ]
        blocks, said = join(pieces, rate_hz, channels)
        total = sum(round(link.granules * rate_hz / link.sample_rate_hz) for link in chain.links)
        super().__init__(
            AudioInfo(
                path=path,
                container="OGG",
                codec=chain.links[0].codec,
                subtype=chain.links[0].codec.upper(),
                sample_rate_hz=rate_hz,
                channels=channels,
                length_samples=None,
                estimated_samples=total,
                lossy=True,
                notes=(*notes, *said),
                claim=LengthClaim(claimed_samples=chain.links[0].granules, behind_samples=total),
            ),
            blocks,
        )

    def close(self) -> None:
        self._handle.close()

    def _open_link(self, link: Link) -> soundfile.SoundFile:
        return soundfile.SoundFile(SpanFile(self._handle, spans_at_full_rate(self._handle, link)))

    def _shape(self, link: Link) -> tuple[int, int]:
        with self._open_link(link) as sound:
            return sound.samplerate, sound.channels

    def _link_blocks(self, link: Link) -> Iterator[FloatArray]:
        with SoundfileReader(self._path, self._open_link(link), known=False) as reader:
            yield from reader.blocks(_BLOCK_SAMPLES)
