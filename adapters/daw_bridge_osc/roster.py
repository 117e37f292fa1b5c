"""Which tracks a DAW has, as it told: from a list that was asked for, or from names that it pushes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from daw_bridge.mixer import MixerChannel
from daw_bridge.osc import Message, OscValue
from daw_bridge_osc.compose import Place, place_of
from daw_bridge_osc.profile import ChannelKind, KindOf, Profile
from daw_bridge_osc.reports import TRACK_KINDS, TRACK_NAMES, Report

MAX_TRACKS = 2048


@dataclass(slots=True)
class Roster:
    """Tracks by their key (bank, number on the wire), in order. Bounded, since a DAW fills it."""

    profile: Profile
    bank: int = 1
    sample_rate_hz: int = 0
    _names: dict[tuple[int, int], str] = field(default_factory=dict)
    _kinds: dict[tuple[int, int], ChannelKind] = field(default_factory=dict)

    def take_answer(self, message: Message) -> bool:
        """Take one answer to the question for the list; True when it was the last."""
        listing = self.profile.tracks.list
        if listing is None or message.address != listing.answer or not message.arguments:
            return False
        values = message.arguments
        if listing.all_in_one:
            for offset, name in enumerate(values[:MAX_TRACKS]):
                self._names[0, offset + self.profile.tracks.index_base] = str(name)
            return True
        if listing.end is not None and values[0] == listing.end:
            rate_at = listing.rate_index
            if rate_at is not None and rate_at < len(values):
                self.sample_rate_hz = _whole(values[rate_at])
            return True
        if len(values) > max(listing.name_index, listing.number_index) and len(self._names) < MAX_TRACKS:
            key = (0, _whole(values[listing.number_index]))
            self._names[key] = str(values[listing.name_index])
            if listing.kind_index is not None and listing.kind_index < len(values):
                self._kinds[key] = _kind(values[listing.kind_index], listing.kinds)
        return False

    @property
    def shown_bank(self) -> int:
        """The bank to which reports belong now; 0 where there are none."""
        return self.bank if self.profile.tracks.bank else 0

    def take_report(self, report: Report) -> None:
        """Take a name or a kind that the DAW pushed; other reports say nothing of tracks."""
        key, value = (report.bank, _whole(report.track)), report.value
        if report.about == TRACK_NAMES:
            if isinstance(value, str) and value and len(self._names) < MAX_TRACKS:
                self._names[key] = value
            elif value == "":
                self._names.pop(key, None)
        elif report.about == TRACK_KINDS and len(self._kinds) < MAX_TRACKS:
            self._kinds[key] = _kind(value, self.profile.tracks.kinds_say)

    def count_in(self, bank: int) -> int:
        """How many tracks a bank has."""
        return sum(1 for key in self._names if key[0] == bank)

    def channels(self) -> tuple[MixerChannel, ...]:
        return tuple(
            MixerChannel(name=self._names[key], kind=self._kinds.get(key, "other")) for key in sorted(self._names)
        )

    def places(self) -> list[Place]:
        return [Place(number=number, bank=bank) for bank, number in sorted(self._names)]

    def find(self, track: OscValue) -> Place | None:
        """By name, or by position from 1 (which need not be known by name)."""
        if isinstance(track, int):
            return place_of(self.profile, track)
        for bank, number in sorted(self._names):
            if self._names[bank, number] == track:
                return Place(number=number, bank=bank)
        return None

    def name_at(self, number: int, bank: int) -> str | None:
        return self._names.get((bank, number))


def _whole(value: OscValue) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _kind(word: OscValue, kinds: tuple[KindOf, ...]) -> ChannelKind:
    return cast("ChannelKind", next((entry.kind for entry in kinds if entry.says == word), "other"))
