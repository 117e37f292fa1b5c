"""A project that somebody mixed -> a plan: which tracks are buses, what is on them, what feeds what.

A bus is what lies directly below the mix bus, and the mix bus is the one folder that holds other folders; without
such a folder the master is the mix bus and everything on top is a bus. A track without items that only takes sends is
a return, a muted track beside the mix bus is the reference. Receives count as folders where the main send is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from daw_bridge.adapter import Feature, Limit, Losses, ReadReport
from daw_bridge.errors import InputError
from daw_bridge.model import MIX_BUS, Bus, Effect, Gain, Marker, Send, SessionPlan, Track, free_bus_name
from daw_bridge.units import linear_to_db, s_to_samples
from daw_bridge_reaper import rpp
from daw_bridge_reaper.decode import tidy, to_effects
from daw_bridge_reaper.read import read_chain, read_project
from daw_bridge_reaper.session import POST_FADER, PRE_FADER, Fx, ReaperProject, ReaperReceive, ReaperTrack, VstFx
from daw_bridge_reaper.stock_state import ReaComp


@dataclass(slots=True)
class _Desk:
    """The tracks as a tree, and what was found in it. All numbers are track indices."""

    project: ReaperProject
    parent: list[int | None]
    names: dict[int, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)

    def children(self, index: int | None) -> list[int]:
        return [child for child, parent in enumerate(self.parent) if parent == index]

    def below(self, index: int) -> list[int]:
        found, todo = [], self.children(index)
        while todo:
            child = todo.pop(0)
            found.append(child)
            todo = self.children(child) + todo
        return found

    def track(self, index: int) -> ReaperTrack:
        return self.project.tracks[index]

    def notes(self, index: int) -> Losses:
        return Losses(self.track(index).name or f"track {index + 1}", self.limits)

    def bus_of(self, index: int) -> str | None:
        """The bus that a track belongs to."""
        place: int | None = index
        while place is not None:
            if place in self.names:
                return self.names[place]
            place = self.parent[place]
        return None


def plan_of(document: rpp.Document, name: str) -> ReadReport:
    """The plan of a project. Raises InputError when it is damaged or empty."""
    if document.problems:
        raise InputError(f"{name}: damaged ({document.problems[0]}); open it in REAPER and save it under a new name")
    project = read_project(document)
    if not project.tracks:
        raise InputError(f"{name}: has no tracks, so there is no bus to take")
    desk = _Desk(project, _parents(project))
    mix = _mix_bus(desk)
    top = desk.children(mix)
    reference = next((index for index in desk.children(None) if _is_reference(desk, index, mix)), None)
    returns = [index for index in top if _is_return(desk, index)]
    buses = [index for index in top if index not in returns and index != reference]
    for index in (*buses, *returns):
        desk.names[index] = free_bus_name(desk.track(index).name, desk.names.values())
    if mix is not None:
        desk.names[mix] = MIX_BUS
    _report_strays(desk, mix, reference)
    if mix is not None and _master_chain(document):
        Losses("master", desk.limits).lost(Feature.PLUGIN, "the plug-ins behind the mix bus; a template ends at it")
    plan = SessionPlan(
        name=name,
        sample_rate_hz=project.sample_rate_hz,
        length_samples=0,
        tracks=tuple(track for index in buses for track in _stems(desk, index)),
        buses=tuple(_bus(desk, index, returns) for index in buses),
        returns=tuple(_bus(desk, index, returns) for index in returns),
        mix_bus=_bus(desk, mix, returns) if mix is not None else _master(desk, document),
        reference=_reference(desk, reference),
        markers=tuple(_markers(project)),
        tempo_bpm=project.tempo_bpm,
        time_signature=project.time_signature,
    )
    return ReadReport(plan=plan, limits=tuple(desk.limits))


def _parents(project: ReaperProject) -> list[int | None]:
    """The folder of each track; where the main send is off, the one track that it is sent to instead."""
    parents = project.parents()
    for index, track in enumerate(project.tracks):
        if track.main_send:
            continue
        targets = [
            target
            for target, other in enumerate(project.tracks)
            for receive in other.receives
            if receive.source == index and receive.mode == POST_FADER and receive.target_channel == 0
        ]
        # A session of sends lists the way to the bus behind the sends to returns, at full level.
        whole = [
            target
            for target in targets
            if any(r.source == index and r.gain_linear == 1.0 for r in project.tracks[target].receives)
        ]
        parents[index] = _without_loop(parents, index, next(iter(whole or targets), None))
    return parents


def _without_loop(parents: list[int | None], index: int, wanted: int | None) -> int | None:
    place, steps = wanted, 0
    while place is not None and steps <= len(parents):
        if place == index:
            return None
        place, steps = parents[place], steps + 1
    return wanted


def _mix_bus(desk: _Desk) -> int | None:
    """The only track on top that holds tracks which hold or are something themselves; None when the master is it."""
    holders = [index for index in desk.children(None) if desk.children(index)]
    if len(holders) != 1:
        return None
    others = [index for index in desk.children(None) if index != holders[0] and not desk.track(index).mute]
    nested = any(desk.children(child) for child in desk.children(holders[0]))
    return holders[0] if nested and not others else None


def _is_return(desk: _Desk, index: int) -> bool:
    track = desk.track(index)
    takes = any(receive.target_channel == 0 for receive in track.receives)
    return takes and not track.items and not desk.children(index)


def _is_reference(desk: _Desk, index: int, mix: int | None) -> bool:
    track = desk.track(index)
    return mix is not None and index != mix and track.mute and bool(track.items) and not desk.children(index)


def _bus(desk: _Desk, index: int, returns: list[int]) -> Bus:
    track, notes = desk.track(index), desk.notes(index)
    on_return = index in returns
    return Bus(
        name=desk.names[index],
        label=track.name.strip() or desk.names[index],
        colour=track.colour,
        gain_db=_level_db(track.gain_linear, notes),
        pan=tidy(min(max(track.pan, -1.0), 1.0)),
        mute=track.mute,
        solo=track.solo,
        effects=(
            *_only_track_effects(desk, index),
            *_effects(track.fx, notes, lambda fx: _sidechain_bus(desk, track, fx), on_return=on_return),
        ),
        sends=() if on_return or desk.names[index] == MIX_BUS else _sends(desk, index, returns),
        group=f"group_{track.group_mask.bit_length()}" if track.group_mask else None,
    )


def _effects(
    chain: Iterable[Fx], notes: Losses, sidechain_bus: Callable[[Fx], str | None], *, on_return: bool
) -> tuple[Effect, ...]:
    return tuple(effect for fx in chain for effect in to_effects(fx, notes, sidechain_bus(fx), on_return=on_return))


def _only_track(desk: _Desk, index: int) -> int | None:
    """The one track of a bus whose chain can stand at the head of the bus's own, because nothing is mixed between."""
    below = desk.below(index)
    if len(below) != 1 or below[0] in desk.names:
        return None
    track = desk.track(below[0])
    plain = track.pan == 0.0 and not track.mute and not track.receives
    return below[0] if plain else None


def _only_track_effects(desk: _Desk, index: int) -> tuple[Effect, ...]:
    only = _only_track(desk, index)
    if only is None:
        return ()
    track, notes = desk.track(only), desk.notes(only)
    effects = _effects(track.fx, notes, lambda _fx: None, on_return=False)
    level_db = _level_db(track.gain_linear, notes)
    return (*effects, Gain(gain_db=level_db)) if level_db else effects


def _level_db(gain_linear: float, notes: Losses) -> float:
    level_db = max(linear_to_db(gain_linear), -120.0)
    if level_db > 24.0:
        notes.bent(Feature.GAIN_PAN_MUTE_SOLO, f"a level of {level_db:.1f} dB became 24 dB")
    return tidy(min(level_db, 24.0))


def _sidechain_bus(desk: _Desk, track: ReaperTrack, fx: Fx) -> str | None:
    """The bus whose signal reaches the auxiliary input of `fx`."""
    if not isinstance(fx, VstFx) or fx.sidechain_channel is None or not _listens(fx):
        return None
    for receive in track.receives:
        if receive.target_channel == fx.sidechain_channel and 0 <= receive.source < len(desk.project.tracks):
            name = desk.bus_of(receive.source)
            return None if name == MIX_BUS else name
    return None


def _listens(fx: VstFx) -> bool:
    try:
        return fx.plugin == "ReaComp" and ReaComp.decode(fx.data).auxiliary
    except ValueError:
        return False


def _sends(desk: _Desk, index: int, returns: list[int]) -> tuple[Send, ...]:
    sends: list[Send] = []
    for target in returns:
        for receive in desk.track(target).receives:
            if receive.source == index and receive.target_channel == 0 and not _is_parent_send(desk, receive, target):
                pre_fader = receive.mode == PRE_FADER
                gain_db = _level_db(receive.gain_linear, desk.notes(index))
                sends.append(Send(to=desk.names[target], gain_db=gain_db, pre_fader=pre_fader))
    unique = {send.to: send for send in reversed(sends)}
    return tuple(reversed(unique.values()))


def _is_parent_send(desk: _Desk, receive: ReaperReceive, target: int) -> bool:
    return desk.parent[receive.source] == target and not desk.track(receive.source).main_send


def _is_single_send(desk: _Desk, receive: ReaperReceive, target: int, mix: int | None) -> bool:
    """Signal from a track that is no bus: a template's sends start at buses."""
    plain = receive.target_channel == 0 and target != mix and receive.source not in desk.names
    return plain and not _is_parent_send(desk, receive, target)


def _stems(desk: _Desk, bus: int) -> list[Track]:
    """The tracks inside a bus, or the bus itself when it holds the items."""
    leaves = [index for index in desk.below(bus) if not desk.children(index)] or [bus]
    taken: list[Track] = []
    for index in leaves:
        name = desk.track(index).name.strip() or desk.names[bus]
        if name.casefold() not in (track.name.casefold() for track in taken):
            taken.append(Track(name=name, output=desk.names[bus]))
    return taken


def _report_strays(desk: _Desk, mix: int | None, reference: int | None) -> None:
    """What a template has no place for: plug-ins and sends of single tracks, and tracks beside the mix bus."""
    taken = {_only_track(desk, bus) for bus in desk.names}
    for index, track in enumerate(desk.project.tracks):
        notes = desk.notes(index)
        if index == reference:
            continue
        if index not in desk.names:
            if track.fx and index not in taken:
                notes.lost(
                    Feature.PLUGIN, f"{len(track.fx)} plug-in(s) on a single track; a template has chains on buses"
                )
            if desk.bus_of(index) is None:
                notes.lost(Feature.CLIPS, "stands beside the mix bus")
        for receive in track.receives:
            if not 0 <= receive.source < len(desk.project.tracks):
                notes.lost(Feature.SENDS, f"a send from track {receive.source + 1}, which is not there")
            elif _is_single_send(desk, receive, index, mix):
                notes.lost(Feature.SENDS, f"the send from the single track {desk.track(receive.source).name!r}")


def _reference(desk: _Desk, index: int | None) -> Track | None:
    if index is None:
        return None
    track = desk.track(index)
    return Track(name=track.name.strip() or "Reference", output="master", mute=True, colour=track.colour)


def _master(desk: _Desk, document: rpp.Document) -> Bus:
    """The mix bus of a project that mixes on its master."""
    notes = Losses("master", desk.limits)
    effects = _effects(_master_chain(document), notes, lambda _fx: None, on_return=False)
    gain_db = _level_db(document.root.float("MASTER_VOLUME", 0, 1.0), notes)
    return Bus(name=MIX_BUS, label="Mix", gain_db=gain_db, effects=effects)


def _master_chain(document: rpp.Document) -> tuple[Fx, ...]:
    chain = document.root.chunk("MASTERFXLIST")
    return tuple(read_chain(chain)) if chain else ()


def _markers(project: ReaperProject) -> list[Marker]:
    rate_hz = project.sample_rate_hz
    return [
        Marker(
            name=marker.name,
            position_samples=s_to_samples(max(marker.position_s, 0.0), rate_hz),
            length_samples=s_to_samples(max((marker.end_s or 0.0) - marker.position_s, 0.0), rate_hz),
            colour=marker.colour,
        )
        for marker in project.markers
    ]
