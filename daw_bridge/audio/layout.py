"""Where the samples of an uncompressed file lie, and what its header says of them, whatever the container.

`container_wave.py` and `container_pcm.py` find it; here the claim is held against the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from daw_bridge.audio.lengths import LengthClaim, Verdict, weigh
from daw_bridge.units import human_bytes

MOST_CHUNKS = 4096
"""More chunks than any program writes; a file of millions of empty ones would keep us for hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFormat:
    """`subtype` is libsndfile's name, "" where the samples are coded in a way that only a decoder knows."""

    container: str
    subtype: str
    big_endian: bool
    channels: int
    sample_rate_hz: int
    unit_bytes: int
    """What cannot be split: a frame of PCM, a block of ADPCM."""
    tag: int = 0
    """WAVE's format tag."""
    block_samples: int = 1

    def ends_before_pad(self, data_bytes: int) -> bool:
        """Whether one byte is missing to a whole frame, which the pad byte behind an odd size seems to bring."""
        return self.unit_bytes % 2 == 0 and data_bytes % self.unit_bytes == self.unit_bytes - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPiece:
    """One run of samples in the file. `size_at` is where its size stands, for mending a copy of the header."""

    start: int
    claimed_bytes: int
    there_bytes: int
    goes_on: bool
    size_at: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is to be read, and what has to be said about it."""

    form: SampleFormat
    spans: tuple[tuple[int, int], ...]
    verdict: Verdict
    claim: LengthClaim
    notes: tuple[str, ...] = ()
    left_behind_bytes: int = 0
    size_at: int = -1

    @property
    def data_bytes(self) -> int:
        return sum(length for _start, length in self.spans)

    @property
    def length_samples(self) -> int:
        return self.data_bytes // self.form.unit_bytes * self.form.block_samples


def lay_out(form: SampleFormat, pieces: list[DataPiece], *, accept_damaged: bool, sound_behind: bool = False) -> Layout:
    """The decision about every piece. What lies behind the announced end is read as well where it is sound, and with
    `accept_damaged`.
    """
    unit = form.unit_bytes
    verdict, spans, notes, left = Verdict.AS_CLAIMED, [], [], 0
    for piece in pieces:
        verdict, take = weigh(piece.claimed_bytes, piece.there_bytes, unit, goes_on=piece.goes_on)
        if not piece.goes_on:
            left = piece.there_bytes - take // unit * unit
        if (accept_damaged or sound_behind) and left >= unit:
            take, left = piece.there_bytes, 0
            why = "it is sound as well" if sound_behind else "the damage is accepted"
            notes.append(
                f"the header announces {_duration(form, piece.claimed_bytes)}; what lies behind is read, too, since "
                f"{why}: {_duration(form, take)}"
            )
        if piece.goes_on and form.ends_before_pad(take) and take < piece.there_bytes:
            notes.append("the sound ends one byte before the end of a frame, with a pad byte; that frame is left out")
        spans.append((piece.start, take // unit * unit))
    claimed = sum(piece.claimed_bytes for piece in pieces)
    there = sum(length for _start, length in spans)
    notes += _remarks(form, verdict, claimed, there, left)
    if len(pieces) > 1:
        notes.append(f"{len(pieces)} data chunks; they are joined")
    return Layout(
        form=form,
        spans=tuple(spans),
        verdict=verdict,
        claim=LengthClaim(
            claimed_samples=None if verdict is Verdict.PLACEHOLDER else claimed // unit * form.block_samples,
            behind_samples=(there + left) // unit * form.block_samples,
        ),
        notes=tuple(notes),
        left_behind_bytes=left,
        size_at=pieces[-1].size_at,
    )


def _remarks(form: SampleFormat, verdict: Verdict, claimed: int, there: int, left: int) -> list[str]:
    """What a person should know of a header that is not right."""
    found = _duration(form, there)
    match verdict:
        case Verdict.PLACEHOLDER:
            return [f"the header does not state the length ({claimed:#x}); read to the end of the file: {found}"]
        case Verdict.OFF_BY_ONE:
            return [f"the header announces {claimed - there} byte(s) more than there are; what is there is taken"]
        case Verdict.WRAPPED:
            return [f"the header announces {_duration(form, claimed)}, a size that ran over 32 bits; there are {found}"]
        case Verdict.CUT:
            return [f"cut off: the header announces {_duration(form, claimed)}, there are {found}"]
        case Verdict.AS_CLAIMED:
            if left < form.unit_bytes:
                return []
            return [
                f"{human_bytes(left)} behind the announced end of the sound do not look like sound and are left out; "
                f"`accept_damaged` reads them ({_duration(form, left)})"
            ]


def _duration(form: SampleFormat, data_bytes: int) -> str:
    return f"{data_bytes // form.unit_bytes * form.block_samples / form.sample_rate_hz:.3f} s"
