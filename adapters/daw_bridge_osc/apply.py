"""A SessionPlan as operations on an open project: what a profile can carry over, and what it cannot, said beforehand.

Meant for a project whose tracks are there already (by import, DAWproject, or a file of another adapter): OSC carries no
audio. Tracks are addressed by the names that the plan gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from daw_bridge.adapter import Feature, Limit, Losses, feature_of
from daw_bridge.errors import DawError, did_you_mean
from daw_bridge.model import (
    BandKind,
    Bus,
    Compressor,
    Delay,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    SessionPlan,
    Track,
)
from daw_bridge.osc import Message
from daw_bridge_osc.client import OscDaw, Outcome
from daw_bridge_osc.compose import Clock, Request, compose, dry_run, place_of
from daw_bridge_osc.operations import Value
from daw_bridge_osc.profile import Profile

_FEATURES = {
    "track.gain_db": Feature.GAIN_PAN_MUTE_SOLO,
    "track.pan": Feature.GAIN_PAN_MUTE_SOLO,
    "track.mute": Feature.GAIN_PAN_MUTE_SOLO,
    "track.solo": Feature.GAIN_PAN_MUTE_SOLO,
    "track.colour": Feature.COLOURS,
    "send.gain_db": Feature.SENDS,
    "eq.band": Feature.EQUALIZER,
    "marker.add": Feature.MARKERS,
    "tempo.set": Feature.TEMPO,
}


def plan_requests(plan: SessionPlan, profile: Profile) -> list[Request]:
    """The operations that bring a project with the plan's tracks to its values, as far as the DAW can do them."""
    return [request for request in _all_requests(plan) if request.operation in profile.operations]


def track_names(plan: SessionPlan) -> list[str]:
    """The tracks that the project must have, in the order of the session."""
    reference = [plan.reference.name] if plan.reference else []
    return [*(track.name for track in plan.tracks), *(bus.label for bus in _buses(plan)), *reference]


def _buses(plan: SessionPlan) -> tuple[Bus, ...]:
    return (*plan.buses, *plan.returns, plan.mix_bus)


def _all_requests(plan: SessionPlan) -> Iterator[Request]:
    yield Request(operation="tempo.set", values={"value": plan.tempo_bpm})
    for track in plan.tracks:
        yield from _strip(track.name, track)
    for bus in _buses(plan):
        yield from _strip(bus.label, bus)
        for number, send in enumerate(bus.sends, start=1):
            values: dict[str, Value] = {"track": bus.label, "send": number, "value": send.gain_db}
            yield Request(operation="send.gain_db", values=values)
        bells = [band for band in _bands(bus) if band.kind == "bell"]
        for number, band in enumerate(bells, start=1):
            bell: dict[str, Value] = {"frequency_hz": band.frequency_hz, "gain_db": band.gain_db, "q": band.q}
            yield Request(operation="eq.band", values={"track": bus.label, "band": number, **bell})
    if plan.reference is not None:
        yield from _strip(plan.reference.name, plan.reference)
    for number, marker in enumerate(plan.markers, start=1):
        position_s = marker.position_samples / plan.sample_rate_hz
        values = {"number": number, "value": marker.name, "position_s": position_s}
        yield Request(operation="marker.add", values=values)


def _strip(name: str, strip: Track | Bus) -> Iterator[Request]:
    yield Request(operation="track.gain_db", values={"track": name, "value": strip.gain_db})
    yield Request(operation="track.pan", values={"track": name, "value": strip.pan})
    yield Request(operation="track.mute", values={"track": name, "value": strip.mute})
    yield Request(operation="track.solo", values={"track": name, "value": strip.solo})
    if strip.colour is not None:
        colour = strip.colour
        values: dict[str, Value] = {"track": name, "red": colour.red, "green": colour.green, "blue": colour.blue}
        yield Request(operation="track.colour", values=values)


def _bands(bus: Bus) -> list[EqBand]:
    equalizers = [effect for effect in bus.effects if isinstance(effect, Equalizer) and effect.enabled]
    return [band for equalizer in equalizers for band in equalizer.bands if band.enabled]


def plan_limits(plan: SessionPlan, profile: Profile) -> list[Limit]:
    """What of the plan this DAW's OSC cannot do. To be shown before anything is sent."""
    losses = Losses()
    losses.lost(Feature.CLIPS, profile.unsupported.get("clip.import", "OSC carries no audio; import the stems first"))
    for request in _all_requests(plan):
        reason = profile.unsupported.get(request.operation)
        if reason is not None:
            place = request.values["value"] if request.operation == "marker.add" else losses.where
            losses.at(str(request.values.get("track", place))).lost(_FEATURES[request.operation], reason)
    for bus in _buses(plan):
        _bus_limits(bus, profile, losses.at(bus.label))
    for marker in plan.markers:
        if marker.length_samples and "marker.add" in profile.operations:
            losses.at(marker.name).bent(Feature.MARKERS, "OSC knows no regions; its start becomes a marker")
    if plan.note_tracks:
        losses.lost(Feature.NOTES, "OSC carries no notes; import the MIDI file of the song folder")
    return losses.limits


def _bus_limits(bus: Bus, profile: Profile, losses: Losses) -> None:
    by_hand = f"set it in {profile.title}"
    for effect in bus.effects:
        match effect:
            case Equalizer():
                _equalizer_limits(effect, profile, losses)
            case Compressor() | Gate() | Limiter() | Gain() | Reverb() | Delay() | PluginRef():
                losses.lost(feature_of(effect), f"{type(effect).__name__}: OSC cannot insert effects; {by_hand}")
            case _:
                assert_never(effect)
    if bus.parent is not None:
        losses.lost(Feature.NESTING, f"feeds the bus {bus.parent}: OSC changes no routing; {by_hand}")
    if bus.group:
        losses.lost(Feature.GROUPS, f"group {bus.group}: OSC makes no groups; {by_hand}")


def _equalizer_limits(effect: Equalizer, profile: Profile, losses: Losses) -> None:
    """All but the bells, which are requests: what of those cannot be done is told with the other requests."""
    for band in effect.bands:
        if effect.enabled and band.enabled and band.kind is not BandKind.BELL:
            what = f"{band.kind} at {band.frequency_hz:g} Hz: profiles set bells only; set it in {profile.title}"
            losses.lost(Feature.EQUALIZER, what)


def plan_messages(plan: SessionPlan, profile: Profile) -> list[Message]:
    """Exactly what `apply_plan` would send to a project whose tracks are those of `track_names`, in that order.

    Raises UsageError for a value that the DAW has no number for.
    """
    numbers = {name: number for number, name in reversed(list(enumerate(track_names(plan), start=1)))}
    numbered = [
        replace(request, values={**request.values, "track": numbers[str(request.values["track"])]})
        if "track" in request.values
        else request
        for request in plan_requests(plan, profile)
    ]
    return dry_run(profile, numbered, Clock(sample_rate_hz=plan.sample_rate_hz, tempo_bpm=plan.tempo_bpm))


def missing_tracks(plan: SessionPlan, daw: OscDaw) -> list[str]:
    """The session's tracks that the project lacks. Raises DawError for a name that it has twice."""
    have = Counter(channel.name for channel in daw.channels)
    names = list(dict.fromkeys(track_names(plan)))
    twice = [name for name in names if have[name] > 1]
    if twice:
        raise DawError(
            f"{daw.profile.title} has several tracks called {', '.join(map(repr, twice))}; rename all but the one "
            "that is meant; nothing was set"
        )
    return [name for name in names if name not in have]


def require_tracks(plan: SessionPlan, daw: OscDaw) -> None:
    """Raise DawError, before anything is set, when the project lacks tracks of the session."""
    missing, ours = missing_tracks(plan, daw), track_names(plan)
    if missing:
        others = [channel.name for channel in daw.channels if channel.name not in ours]
        hints = ", ".join(f"{name!r}{did_you_mean(name, others)}" for name in missing)
        raise DawError(
            f"{daw.profile.title} has no track {hints}; import the stems and name the tracks alike, or leave them out "
            "with --skip-missing; nothing was set"
        )


def apply_plan(
    plan: SessionPlan,
    daw: OscDaw,
    *,
    without: Sequence[str] = (),
    on_done: Callable[[Request, Outcome], None] = lambda _request, _outcome: None,
) -> list[tuple[Request, Outcome]]:
    """Carry out everything that the DAW can do, in order, each value confirmed; the tracks `without` are left out.

    Every value is converted before the first is sent. Raises UsageError for one that the DAW has no number for, and
    DawError at the first operation that fails, with how many were done; doing all of it again is harmless.
    """
    requests = [each for each in plan_requests(plan, daw.profile) if each.values.get("track") not in without]
    for request in requests:
        compose(daw.profile, request, place_of(daw.profile, 1) if "track" in request.values else None, daw.clock)
    done: list[tuple[Request, Outcome]] = []
    for request in requests:
        try:
            outcome = daw.do(request.operation, **request.values)
        except DawError as exc:
            raise type(exc)(
                f"{exc}; {len(done)} of {len(requests)} operations were done, run it again to go on"
            ) from exc
        done.append((request, outcome))
        on_done(request, outcome)
    return done
