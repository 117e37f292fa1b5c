"""A plan as what AAF can hold: mono tracks, hard left or right, with a gain for each clip.

AAF has no buses. Every fader and pan on a track's way to the master is multiplied into its clips, so that the tracks
alone add up to what the faders made of the mix. A hard-panned pair sounds the same under every pan law.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from daw_bridge.adapter import Feature, Losses, feature_of
from daw_bridge.errors import InputError
from daw_bridge.model import MASTER, MIX_BUS, Bus, Clip, SessionPlan, Track
from daw_bridge.units import db_to_linear

Pan = Literal[-1, 0, 1]
_SIDES: tuple[tuple[str, Pan], ...] = (("L", -1), ("R", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One channel of a clip at its place."""

    clip: Clip
    channel: int
    gain_linear: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonoTrack:
    """Pieces that follow one another."""

    name: str
    pan: Pan
    pieces: tuple[Piece, ...]


def mono_tracks(plan: SessionPlan, losses: Losses) -> tuple[MonoTrack, ...]:
    """All tracks of a session, the reference last; what they cannot say goes to `losses`."""
    _say_what_is_lost(plan, losses)
    tracks = [each for track in plan.tracks for each in _of_track(track, _way(plan, track), losses.at(track.name))]
    if plan.reference is not None:
        losses.at(plan.reference.name).bent(
            Feature.REFERENCE, "AAF has no mute: its clip gain is 0, raise it to hear it"
        )
        tracks += _of_track(plan.reference, (), Losses())
    return tuple(tracks)


def _way(plan: SessionPlan, track: Track) -> tuple[Bus, ...]:
    """The buses between a track and the master."""
    if track.output == MASTER:
        return ()
    if track.output == MIX_BUS:
        return (plan.mix_bus,)
    try:
        bus = plan.bus(track.output)
        return (bus, *plan.above(bus), plan.mix_bus)
    except KeyError as exc:
        raise InputError(f"{track.name}: feeds the bus {track.output!r}, which does not exist") from exc


def _of_track(track: Track, way: Sequence[Bus], losses: Losses) -> Iterator[MonoTrack]:
    left = right = 1.0
    strips: tuple[Track | Bus, ...] = (track, *way)
    for strip in strips:
        left *= db_to_linear(strip.gain_db) * min(1.0, 1.0 - strip.pan)
        right *= db_to_linear(strip.gain_db) * min(1.0, 1.0 + strip.pan)
    if any(strip.mute for strip in strips):
        losses.bent(Feature.GAIN_PAN_MUTE_SOLO, "AAF has no mute: its clip gain is 0, raise it to hear it")
        left = right = 0.0
    clips = [clip for clip in track.clips if clip.length_samples > 0]
    for number, lane in enumerate(_lanes(clips), 1):
        name = track.name if number == 1 else f"{track.name} {number}"
        channels = max((clip.channels for clip in lane), default=2)
        if channels > 2:
            losses.bent(Feature.CLIPS, f"{channels} channels become as many mono tracks in the middle")
            yield from (_channel(f"{name}.{1 + each}", 0, lane, each, left) for each in range(channels))
            continue
        for channel, ((side, pan), gain) in enumerate(zip(_SIDES, (left, right), strict=True)):
            yield _channel(f"{name}.{side}", pan, lane, channel, gain)


def _channel(name: str, pan: Pan, lane: Sequence[Clip], channel: int, gain: float) -> MonoTrack:
    """One channel of all clips; a mono clip is heard on both sides."""
    pieces = (
        Piece(clip=clip, channel=0 if clip.channels == 1 else channel, gain_linear=gain)
        for clip in lane
        if channel < max(2, clip.channels)
    )
    return MonoTrack(name=name, pan=pan, pieces=tuple(pieces))


def _lanes(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips sorted into as few rows as keep them from overlapping; at least one row."""
    lanes: list[list[Clip]] = []
    for clip in sorted(clips, key=lambda clip: clip.position_samples):
        free = (lane for lane in lanes if lane[-1].position_samples + lane[-1].length_samples <= clip.position_samples)
        lane = next(free, None)
        if lane is None:
            lanes.append([clip])
        else:
            lane.append(clip)
    return lanes or [[]]


def _say_what_is_lost(plan: SessionPlan, losses: Losses) -> None:
    losses.lost(Feature.BUSES, "AAF has no buses: their faders and pans are in the clip gains of their tracks")
    losses.lost(Feature.MIX_BUS, "AAF has no mix bus: its fader and pan are in the clip gains")
    if any(bus.parent for bus in plan.buses):
        losses.lost(Feature.NESTING, "AAF has no buses: all faders on the way are in the clip gains")
    if plan.returns:
        losses.lost(Feature.RETURNS, f"AAF has no returns: {', '.join(bus.label for bus in plan.returns)}")
    for bus in (*plan.buses, *plan.returns, plan.mix_bus):
        at = losses.at(bus.name)
        for effect in bus.effects:
            feature = feature_of(effect)
            at.lost(feature, f"AAF has no inserts: its {feature} is left out")
            if getattr(effect, "sidechain_bus", None) is not None:
                at.lost(Feature.SIDECHAIN, "AAF has no side-chains")
        if bus.sends:
            at.lost(Feature.SENDS, f"AAF has no sends: to {', '.join(send.to for send in bus.sends)}")
        if bus.group is not None:
            at.lost(Feature.GROUPS, "AAF has no groups")
    strips: tuple[Track | Bus, ...] = (*plan.tracks, *plan.buses, *plan.returns)
    for each in strips:
        if each.solo:
            losses.at(each.name).lost(Feature.GAIN_PAN_MUTE_SOLO, "AAF has no solo")
    if any(each.colour is not None for each in strips):
        losses.lost(Feature.COLOURS, "AAF has no colours that those programs read")
