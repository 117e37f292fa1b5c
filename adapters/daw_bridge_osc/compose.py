"""Operations to messages, without sending anything: what the client sends and what a dry run prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daw_bridge.errors import DawError, UsageError
from daw_bridge.osc import Message
from daw_bridge.units import s_to_samples
from daw_bridge_osc.operations import OPERATIONS, Value, check_arguments
from daw_bridge_osc.profile import OperationRow, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a track is: its number on the wire, and the bank that must be shown first (0: no banks)."""

    number: int
    bank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What times are converted with. A rate of 0 is unknown."""

    sample_rate_hz: int = 0
    tempo_bpm: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation to carry out."""

    operation: str
    values: Mapping[str, Value]

    def __str__(self) -> str:
        return f"{self.operation} " + " ".join(f"{name}={value}" for name, value in self.values.items())


def place_of(profile: Profile, position: int) -> Place:
    """The place of the track at a position from 1, by the profile's index base and banks."""
    bank = profile.tracks.bank
    if position < 1:
        raise UsageError(f"track {position}: tracks count from 1")
    if bank is None:
        return Place(number=position - 1 + profile.tracks.index_base)
    return Place(
        number=(position - 1) % bank.size + profile.tracks.index_base,
        bank=(position - 1) // bank.size + 1,
    )


def mapping_of(profile: Profile, operation: str) -> OperationRow:
    """The operation's row. DawError with the profile's reason when the DAW cannot do it."""
    mapping = profile.operations.get(operation)
    if mapping is None:
        reason = profile.unsupported.get(operation)
        if reason is None:
            raise UsageError(f"no operation called {operation!r}; known: {', '.join(OPERATIONS)}")
        raise DawError(f"{profile.title} cannot do {operation} over OSC: {reason}")
    return mapping


def environment(profile: Profile, request: Request, place: Place | None, clock: Clock) -> dict[str, Value]:
    """The values of all placeholders, scaled. Raises UsageError for a value that the DAW has no number for."""
    check_arguments(request.operation, request.values)
    mapping = mapping_of(profile, request.operation)
    env: dict[str, Value] = {}
    for name, value in request.values.items():
        scale = mapping.scale.get(name)
        try:
            env[name] = value if scale is None or isinstance(value, str) else scale.to_wire(float(value))
        except UsageError as exc:
            raise UsageError(f"{request.operation}: {name}: {exc}") from None
    if place is not None:
        env["track"] = place.number
    position_s = request.values.get("position_s")
    if isinstance(position_s, (int, float)):
        env["position_beats"] = position_s * clock.tempo_bpm / 60.0
        if clock.sample_rate_hz:
            env["position_samples"] = s_to_samples(position_s, clock.sample_rate_hz)
        elif any("position_samples" in template.placeholders for template in mapping.send):
            raise UsageError(f"{request.operation}: {profile.title} counts in samples; say the session's rate")
    return env


def compose(profile: Profile, request: Request, place: Place | None, clock: Clock) -> list[Message]:
    """The messages of one operation, without bank changes."""
    return mapping_of(profile, request.operation).messages(environment(profile, request, place, clock))


def unsupported(profile: Profile, requests: Sequence[Request]) -> list[str]:
    """One line for each operation among `requests` that this DAW cannot do; empty when all is possible."""
    names = dict.fromkeys(request.operation for request in requests)
    return [f"{name}: {profile.unsupported[name]}" for name in names if name in profile.unsupported]


def dry_run(profile: Profile, requests: Sequence[Request], clock: Clock | None = None) -> list[Message]:
    """Exactly what would be sent, hello first. Track arguments must be positions from 1: nothing is asked.

    Raises DawError, before anything else, when the profile cannot do one of the operations.
    """
    missing = unsupported(profile, requests)
    if missing:
        raise DawError(f"{profile.title} cannot do: {'; '.join(missing)}")
    messages = [template.fill({}) for template in profile.hello]
    shown = 1
    for request in requests:
        place = None
        track = request.values.get("track")
        if track is not None:
            if not isinstance(track, int):
                raise UsageError(f"track={track}: a dry run asks no DAW for names; give the track's number from 1")
            place = place_of(profile, track)
            messages += bank_messages(profile, shown, place)
            shown = place.bank or shown
        messages += compose(profile, request, place, clock or Clock())
    return messages


def bank_messages(profile: Profile, shown: int, place: Place) -> list[Message]:
    """The scrolling from the bank that is shown to that of a place."""
    bank = profile.tracks.bank
    if bank is None or not place.bank:
        return []
    template = bank.next if place.bank > shown else bank.previous
    return [template.fill({})] * abs(place.bank - shown)
