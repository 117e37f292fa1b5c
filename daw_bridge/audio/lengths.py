"""The one rule for lengths: what a header says is a claim, and it is held against what lies behind it.

More behind it than it says: read on to the real end. A placeholder, or a count that is wrong by one: take what is
there. Much less behind it: the file is cut off, and that is refused with its place. Whatever differs is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from daw_bridge.errors import DamagedInput
from daw_bridge.units import clock

GET_A_WHOLE_ONE = "copy or download it again, or take what is there with `accept_damaged`"
WRAP_BYTES = 1 << 32
_NEAR_BYTES = 1 << 16
_PLACEHOLDERS_AROUND = (1 << 31, 1 << 32, 1 << 63, 1 << 64)


class Verdict(StrEnum):
    """How a claim stands against the file."""

    AS_CLAIMED = "as claimed"
    PLACEHOLDER = "the header does not know"
    OFF_BY_ONE = "short by no more than one unit"
    WRAPPED = "the size ran over 32 bits"
    CUT = "cut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthClaim:
    """In samples: what the container says, and what lies behind it in the file. None where it does not say, or where
    only decoding tells.
    """

    claimed_samples: int | None = None
    behind_samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A place where sound is missing or was no sound; silence stands there. Counted from the first sample."""

    start_samples: int
    length_samples: int

    def moved(self, by_samples: int, ratio: float) -> Hole:
        """The same hole in a file at another rate, in which this one's begins so much later."""
        return Hole(
            start_samples=by_samples + round(self.start_samples * ratio),
            length_samples=max(1, round(self.length_samples * ratio)),
        )


def is_placeholder(claimed_bytes: int) -> bool:
    """Whether a size only says "not known": what encoders write to a pipe, and recorders before they finish.

    Zero is one. So is everything just below or above 2^31, 2^32, 2^63 and 2^64: programs take their header off.
    """
    return claimed_bytes == 0 or any(abs(claimed_bytes - mark) <= _NEAR_BYTES for mark in _PLACEHOLDERS_AROUND)


def weigh(claimed_bytes: int, there_bytes: int, unit_bytes: int, *, goes_on: bool = False) -> tuple[Verdict, int]:
    """The verdict on a size in bytes, and how many bytes are to be read.

    `unit_bytes` is what cannot be split: a frame of PCM, a block of ADPCM. `goes_on` says that the container continues
    as it should behind the claimed end, which proves the claim.
    """
    if claimed_bytes == there_bytes or (claimed_bytes < there_bytes and goes_on):
        return Verdict.AS_CLAIMED, claimed_bytes
    if is_placeholder(claimed_bytes):
        return Verdict.PLACEHOLDER, there_bytes
    if claimed_bytes > there_bytes:
        short = claimed_bytes - there_bytes <= unit_bytes
        return (Verdict.OFF_BY_ONE if short else Verdict.CUT), there_bytes
    rounds = (there_bytes - claimed_bytes) // WRAP_BYTES
    if rounds:
        return Verdict.WRAPPED, claimed_bytes + rounds * WRAP_BYTES
    return Verdict.AS_CLAIMED, claimed_bytes


def cut_off(path: Path, there: float, announced: float, *, at_s: float | None = None) -> DamagedInput:
    """The error for a file that holds `there` of `announced` (bytes, samples: only the ratio matters)."""
    percent = min(99.9, 100.0 * there / announced) if announced else 0.0
    where = "" if at_s is None else f" at {precise_clock(at_s)}"
    return DamagedInput(
        f"{path}: cut off{where}, holds {percent:.1f} % of what its header announces; {GET_A_WHOLE_ONE}"
    )


def damaged(path: Path, at_s: float, what: str = "cannot be decoded there") -> DamagedInput:
    """The error for a file with a hole at a place."""
    return DamagedInput(f"{path}: damaged or cut off at {precise_clock(at_s)}, {what}; {GET_A_WHOLE_ONE}")


def precise_clock(seconds: float) -> str:
    """`1:02.345`: a place in a song that can be found again."""
    whole = int(max(0.0, seconds) * 1000)
    return f"{clock(whole // 1000)}.{whole % 1000:03d}"


def holes_text(holes: Iterable[Hole], sample_rate_hz: int) -> str:
    """One remark about all holes: their number, how long they are together, where the first ones are."""
    found = list(holes)
    total_s = sum(hole.length_samples for hole in found) / sample_rate_hz
    places = [precise_clock(hole.start_samples / sample_rate_hz) for hole in found[:4]]
    more = f" and {len(found) - len(places)} more" if len(found) > len(places) else ""
    count = "1 hole" if len(found) == 1 else f"{len(found)} holes"
    return f"damaged: {count} of {total_s:.3f} s together, silence stands there; at {', '.join(places)}{more}"
