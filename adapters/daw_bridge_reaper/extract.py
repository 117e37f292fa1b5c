"""A project that somebody mixed -> a plan: what is on its buses, what feeds what, and what a plan cannot say of it.

Which tracks are buses is told by `desk`; everything that gets lost is named by `report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from daw_bridge.adapter import Feature, Losses, ReadReport
from daw_bridge.errors import InputError
from daw_bridge.model import MIX_BUS, Bus, Effect, Gain, Marker, Send, SessionPlan, Track
from daw_bridge.units import db_to_linear, linear_to_db, s_to_samples
from daw_bridge_reaper import rpp
from daw_bridge_reaper.decode import tidy, to_effects
from daw_bridge_reaper.desk import Desk, desk_of, stem_tracks
from daw_bridge_reaper.lines import law_text
from daw_bridge_reaper.read import read_chain, read_project
from daw_bridge_reaper.report import report_losses
from daw_bridge_reaper.session import (
    PRE_FADER,
    PRE_FX,
    PROJECT_LAW,
    UNITY_LAW,
    Fx,
    ReaperProject,
    ReaperReceive,
    ReaperTrack,
    VstFx,
)
from daw_bridge_reaper.stock_state import ReaComp

SILENT_DB, LOUDEST_DB = -120.0, 24.0


def plan_of(document: rpp.Document, name: str) -> ReadReport:
    """The plan of a project. Raises InputError when it is damaged or empty."""
    if document.problems:
        raise InputError(f"{name}: damaged ({document.problems[0]}); open it in REAPER and save it under a new name")
    project = read_project(document)
    if not project.tracks:
        raise InputError(f"{name}: has no tracks, so there is no bus to take")
    desk = desk_of(project)
    for note in document.notes:
        Losses(name, desk.limits).bent(Feature.BUSES, note)
    mix_bus = _bus(desk, desk.mix) if desk.mix is not None else _master(desk, document)
    plan = SessionPlan(
        name=name,
        sample_rate_hz=project.sample_rate_hz,
        length_samples=0,
        tracks=tuple(track for index in desk.buses for track in _stems(desk, index)),
        buses=tuple(_bus(desk, index) for index in desk.buses),
        returns=tuple(_bus(desk, index) for index in desk.returns),
        mix_bus=mix_bus,
        reference=_reference(desk),
        markers=tuple(_markers(project)),
        tempo_bpm=project.tempo_bpm,
        time_signature=project.time_signature,
    )
    _report_other_sends(desk)
    report_losses(desk, document)
    return ReadReport(plan=plan, limits=tuple(desk.limits))


def _bus(desk: Desk, index: int) -> Bus:
    track, notes = desk.track(index), desk.notes(index)
    on_return = index in desk.returns
    own = _effects(track.fx, notes, lambda fx: _sidechain_bus(desk, track, fx), on_return=on_return)
    return Bus(
        name=desk.names[index],
        label=track.name.strip() or desk.names[index],
        colour=track.colour,
        gain_db=_level_db(track.gain_linear, notes),
        pan=tidy(min(max(track.pan, -1.0), 1.0)),
        mute=track.mute or (desk.is_unheard(index) and desk.names[index] != MIX_BUS),
        solo=track.solo,
        effects=(*_only_track_effects(desk, index), *_switched(own, on=track.chain_on)),
        sends=() if on_return or desk.names[index] == MIX_BUS else _sends(desk, index),
        group=_group(track, notes),
        parent=_parent(desk, index) if index in desk.buses else None,
    )


def _parent(desk: Desk, index: int) -> str | None:
    """The bus that a bus lies in; None for the mix bus."""
    folder = desk.parent[index]
    name = None if folder is None else desk.bus_of(folder)
    return None if name == MIX_BUS else name


def _group(track: ReaperTrack, notes: Losses) -> str | None:
    """The first group of a track's volume; a template's bus is in one."""
    mask = track.group_mask
    if not mask:
        return None
    if mask & (mask - 1):
        notes.bent(Feature.GROUPS, f"it is in {bin(mask).count('1')} groups; a template's bus is in one")
    return f"group_{(mask & -mask).bit_length()}"


def _effects(
    chain: Iterable[Fx], notes: Losses, sidechain_bus: Callable[[Fx], str | None], *, on_return: bool
) -> tuple[Effect, ...]:
    return tuple(effect for fx in chain for effect in to_effects(fx, notes, sidechain_bus(fx), on_return=on_return))


def _switched(effects: tuple[Effect, ...], *, on: bool) -> tuple[Effect, ...]:
    """A chain that is bypassed as a whole is a chain of bypassed effects."""
    return effects if on else tuple(replace(effect, enabled=False) for effect in effects)


def _only_track_effects(desk: Desk, index: int) -> tuple[Effect, ...]:
    only = desk.only_track(index)
    if only is None or index == desk.mix:
        return ()
    track, notes = desk.track(only), desk.notes(only)
    effects = _switched(_effects(track.fx, notes, lambda _fx: None, on_return=False), on=track.chain_on)
    level_db = _level_db(track.gain_linear, notes)
    return (*effects, Gain(gain_db=level_db)) if level_db else effects


def _level_db(gain_linear: float, notes: Losses) -> float:
    level_db = max(linear_to_db(gain_linear), SILENT_DB)
    if level_db > LOUDEST_DB:
        notes.bent(Feature.GAIN_PAN_MUTE_SOLO, f"a level of {level_db:.1f} dB became {LOUDEST_DB:g} dB")
    return tidy(min(level_db, LOUDEST_DB))


def _sidechain_bus(desk: Desk, track: ReaperTrack, fx: Fx) -> str | None:
    """The bus whose signal reaches the auxiliary input of `fx`."""
    if not isinstance(fx, VstFx) or fx.sidechain_channel is None or not _listens(fx):
        return None
    for receive in track.receives:
        if receive.target_channel == fx.sidechain_channel and 0 <= receive.source < len(desk.project.tracks):
            name = desk.bus_of(receive.source)
            return None if name == MIX_BUS or name in _around(desk, track) else name
    return None


def _around(desk: Desk, track: ReaperTrack) -> set[str]:
    """The bus of a track and those around it: in a template none of them can steer its compressor."""
    place: int | None = next(index for index, each in enumerate(desk.project.tracks) if each is track)
    found = set()
    while place is not None:
        if place in desk.names and place != desk.mix:
            found.add(desk.names[place])
        place = desk.parent[place]
    return found


def _listens(fx: VstFx) -> bool:
    try:
        return fx.plugin == "ReaComp" and ReaComp.decode(fx.data).auxiliary
    except ValueError:
        return False


# --- sends
def _sends(desk: Desk, index: int) -> tuple[Send, ...]:
    """The sends of a bus to returns, one for each return; what a send cannot say is noted."""
    found: dict[str, Send] = {}
    for target in desk.returns:
        for receive in desk.track(target).receives:
            if receive.source != index or _is_parent_send(desk, receive, target):
                continue
            notes, title = desk.notes(index), desk.title(target)
            if not _is_audible(receive, title, notes):
                continue
            _note_ways(receive, title, notes)
            gain_db = _level_db(receive.gain_linear, notes)
            pre_fader = receive.mode in (PRE_FADER, PRE_FX)
            send = Send(to=desk.names[target], gain_db=gain_db, pre_fader=pre_fader)
            found[send.to] = _joined(found[send.to], send, title, notes) if send.to in found else send
    return tuple(found.values())


def _is_audible(receive: ReaperReceive, title: str, notes: Losses) -> bool:
    """Whether a send carries the bus's own two channels into those of the return."""
    if receive.mute:
        notes.bent(Feature.SENDS, f"the muted send to {title} is left out")
    elif receive.source_channel == -1:
        notes.lost(Feature.SENDS, f"the send to {title} carries MIDI only")
    elif receive.source_channel or receive.target_channel:
        notes.lost(Feature.SENDS, f"the send to {title} {_channels(receive)}; a template's carries 1/2 to 1/2")
    else:
        return True
    return False


def _channels(receive: ReaperReceive) -> str:
    def pair(channel: int) -> str:
        first = channel & 1023
        return f"{first + 1}" if channel & 1024 else f"{first + 1}/{first + 2}"

    return f"takes channels {pair(receive.source_channel)} into {pair(receive.target_channel)}"


def _note_ways(receive: ReaperReceive, title: str, notes: Losses) -> None:
    """How a send differs from one of a template, that keeps its level and its place behind or before the fader."""
    if receive.mode == PRE_FX:
        notes.bent(Feature.SENDS, f"the send to {title} leaves before the effects; it became one before the fader")
    if receive.pan:
        notes.lost(Feature.SENDS, f"the pan of {receive.pan:g} of the send to {title}")
    if receive.inverted:
        notes.lost(Feature.SENDS, f"the inverted polarity of the send to {title}")
    if receive.pan_law not in (PROJECT_LAW, UNITY_LAW):
        notes.bent(Feature.SENDS, f"the pan law of {law_text(receive.pan_law)} of the send to {title} became 0 dB")
    if receive.mono:
        notes.lost(Feature.SENDS, f"the send to {title} is mono; it became stereo")


def _joined(first: Send, second: Send, title: str, notes: Losses) -> Send:
    """Two sends to one return as one: at the same place their levels add up."""
    if first.pre_fader != second.pre_fader:
        notes.lost(Feature.SENDS, f"a second send to {title}, at another place; the first one is kept")
        return first
    both = db_to_linear(first.gain_db) + db_to_linear(second.gain_db)
    notes.bent(Feature.SENDS, f"two sends to {title} became one of the same level")
    return replace(first, gain_db=tidy(min(linear_to_db(both), LOUDEST_DB)))


def _is_parent_send(desk: Desk, receive: ReaperReceive, target: int) -> bool:
    return desk.parent[receive.source] == target and not desk.track(receive.source).main_send


def _report_other_sends(desk: Desk) -> None:
    """Every receive that is neither a way to a parent, nor a send of a bus to a return, nor heard by a side-chain."""
    for target, track in enumerate(desk.project.tracks):
        notes = desk.notes(target)
        heard = {fx.sidechain_channel for fx in track.fx if isinstance(fx, VstFx) and _sidechain_bus(desk, track, fx)}
        for receive in track.receives:
            if not 0 <= receive.source < len(desk.project.tracks):
                notes.lost(Feature.SENDS, f"a send from track {receive.source + 1}, which is not there")
                continue
            source = desk.title(receive.source)
            if _is_parent_send(desk, receive, target):
                _note_ways(receive, desk.title(target), desk.notes(receive.source))
                if receive.mute or receive.source_channel:
                    notes.lost(Feature.BUSES, f"the way from {source} to here is muted or takes other channels")
            elif receive.target_channel in heard and receive.target_channel:
                if receive.mute or receive.gain_linear != 1.0 or receive.mode or receive.source_channel:
                    notes.bent(Feature.SIDECHAIN, f"level, place or channels of the side-chain from {source}")
            elif target in desk.returns and desk.names.get(receive.source, MIX_BUS) != MIX_BUS:
                if receive.source in desk.returns:
                    notes.lost(Feature.SENDS, f"the send from the return {source!r}; returns feed the mix bus only")
            elif receive.target_channel:
                notes.lost(Feature.SIDECHAIN, f"the signal of {source} on channels {_channels(receive).split()[-1]}")
            elif receive.source in desk.names:
                notes.lost(Feature.SENDS, f"the send from {source}; a template's sends go to returns")
            else:
                notes.lost(Feature.SENDS, f"the send from the single track {source!r}")


# --- stems, reference, master, markers
def _stems(desk: Desk, bus: int) -> list[Track]:
    """The tracks inside a bus, by name."""
    taken: list[Track] = []
    for index in stem_tracks(desk, bus):
        name = desk.track(index).name.strip() or desk.names[bus]
        if name.casefold() not in (track.name.casefold() for track in taken):
            taken.append(Track(name=name, output=desk.names[bus]))
    return taken


def _reference(desk: Desk) -> Track | None:
    if desk.reference is None:
        return None
    track = desk.track(desk.reference)
    return Track(name=track.name.strip() or "Reference", output="master", mute=True, colour=track.colour)


def _master(desk: Desk, document: rpp.Document) -> Bus:
    """The mix bus of a project that mixes on its master."""
    notes, root = Losses("master", desk.limits), document.root
    chain = root.chunk("MASTERFXLIST")
    effects = _effects(read_chain(chain) if chain else (), notes, lambda _fx: None, on_return=False)
    return Bus(
        name=MIX_BUS,
        label="Mix",
        gain_db=_level_db(root.float("MASTER_VOLUME", 0, 1.0), notes),
        pan=tidy(min(max(root.float("MASTER_VOLUME", 1), -1.0), 1.0)),
        effects=_switched(effects, on=root.int("MASTER_FX", 0, 1) != 0),
    )


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
