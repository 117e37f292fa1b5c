"""What a DAW reports, understood once: a message meets the profile's patterns here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daw_bridge.osc import Message, OscValue
from daw_bridge_osc.messages import FeedbackPattern
from daw_bridge_osc.profile import Profile

TRACK_NAMES, TRACK_KINDS = "tracks.names", "tracks.kinds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One meaning of a message. `about` is an operation, or the profile's key of a pattern of tracks.

    `value` is the DAW's own number or text; `is_answer` marks what `confirm.answer` describes. `bank` is the one that
    was shown, 0 where there are none.
    """

    about: str
    bank: int
    track: OscValue
    send: OscValue
    value: OscValue
    is_answer: bool = False


class ReportReader:
    """The patterns of a profile by the shape of their address, so that a message is held against few of them."""

    def __init__(self, profile: Profile) -> None:
        self._patterns: dict[str, list[tuple[FeedbackPattern, str, bool]]] = {}
        for about, pattern in ((TRACK_NAMES, profile.tracks.names), (TRACK_KINDS, profile.tracks.kinds)):
            self._add(pattern, about, is_answer=False)
        for operation, row in profile.operations.items():
            if row.confirm is not None:
                self._add(row.confirm.report, operation, is_answer=False)
                self._add(row.confirm.answer, operation, is_answer=True)

    def _add(self, pattern: FeedbackPattern | None, about: str, *, is_answer: bool) -> None:
        if pattern is not None:
            self._patterns.setdefault(_shape(pattern.address), []).append((pattern, about, is_answer))

    def read(self, message: Message, bank: int) -> tuple[Report, ...]:
        """All that the message says; nothing when the profile does not know it."""
        found: list[Report] = []
        for pattern, about, is_answer in self._patterns.get(_shape(message.address), ()):
            values = pattern.match(message)
            if values is not None:
                track, send, value = (values.get(name) for name in ("track", "send", "value"))
                found.append(Report(about=about, bank=bank, track=track, send=send, value=value, is_answer=is_answer))
        return tuple(found)


def _shape(address: str) -> str:
    """Equal for a pattern and the addresses that it can match: what is a number in one is a mark in both."""
    return re.sub(r"\{(track|send)\}|\d+", "#", address)
