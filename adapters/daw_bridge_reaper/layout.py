"""SessionPlan -> REAPER's tracks: folders or sends, receives, side-chain channels, colours; no text, no I/O.

Folders are REAPER's natural submix: the tracks of a bus and the buses that feed it are its children, the other buses
and the returns are children of the mix bus, and the reference stands below as a track of its own. With `Routing.SENDS`
every track stands alone, its main send is off, and receives carry the signal instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import DawError
from daw_bridge.model import MIX_BUS, Bus, Clip, Compressor, NoteTrack, SessionPlan, Track
from daw_bridge.units import db_to_linear, samples_to_s
from daw_bridge_reaper import rpp
from daw_bridge_reaper.effects import to_fx
from daw_bridge_reaper.session import (
    POST_FADER,
    PRE_FADER,
    Fx,
    ReaperItem,
    ReaperMarker,
    ReaperNote,
    ReaperNotes,
    ReaperProject,
    ReaperReceive,
    ReaperTempo,
    ReaperTrack,
    stored,
)

MASTER = "master"
TICKS_PER_QUARTER = 960
MAX_NAME = 500
MAX_CHANNELS = 64
MAX_GROUPS = 64


class Routing(StrEnum):
    FOLDERS = "folders"
    SENDS = "sends"


@dataclass(slots=True)
class _Strip:
    """A track in the making; `parent` is the index of the strip that it feeds, None for the master."""

    track: ReaperTrack
    parent: int | None
    bus: Bus | None = None
    receives: list[ReaperReceive] = field(default_factory=list)


@dataclass(slots=True)
class _Desk:
    """All strips, with the indices of buses by name, and the limits that were found."""

    plan: SessionPlan
    strips: list[_Strip] = field(default_factory=list)
    bus_index: dict[str, int] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)

    def add(self, strip: _Strip) -> int:
        self.strips.append(strip)
        index = len(self.strips) - 1
        if strip.parent is not None:
            self.edges.add((index, strip.parent))
        return index

    def notes(self, index: int) -> Losses:
        return Losses(self.strips[index].track.name, self.limits)

    def feeds(self, source: int, target: int) -> bool:
        """Whether signal already runs from `source` to `target` in some way."""
        seen, todo = {source}, [source]
        while todo:
            place = todo.pop()
            if place == target:
                return True
            following = {end for start, end in self.edges if start == place} - seen
            seen |= following
            todo.extend(following)
        return False


MediaPath = Callable[[Path], str]
"""How the project names a media file."""


def lay_out(
    plan: SessionPlan, media_path: MediaPath, routing: Routing = Routing.FOLDERS, *, own_tempo: bool = False
) -> tuple[ReaperProject, tuple[Limit, ...]]:
    """The project, and what it could not express. Raises DawError when the plan contradicts itself.

    Without `own_tempo` it goes into a project whose tempo is another's: MIDI counts in beats, so notes stay out.
    """
    desk = _Desk(plan if own_tempo else replace(plan, note_tracks=()))
    if plan.note_tracks and not own_tempo:
        what = "notes follow a project's tempo, which is not this song's: import the MIDI file of the song folder"
        Losses("session", desk.limits).lost(Feature.NOTES, what)
    _add_strips(desk, media_path)
    for index, strip in enumerate(desk.strips):
        if strip.bus is not None:
            _add_sends(desk, index, strip.bus)
    # Inner strips first: a folder must know how many channels its children bring.
    for index in sorted(range(len(desk.strips)), key=lambda place: -_depth(desk, place)):
        _add_inserts(desk, index)
    tracks = _folders(desk) if routing is Routing.FOLDERS else _sends(desk)
    project = ReaperProject(
        sample_rate_hz=plan.sample_rate_hz,
        tempo_bpm=stored(plan.tempo_bpm),
        time_signature=plan.time_signature,
        tracks=tuple(tracks),
        markers=tuple(_markers(plan)),
        notes=tuple(rpp.printable(line) for note in plan.notes for line in note.split("\n")),
        tempos=tuple(_tempos(plan)),
    )
    return project, tuple(desk.limits)


def _tempos(plan: SessionPlan) -> Iterator[ReaperTempo]:
    """Points of the tempo envelope; none where one tempo holds all along."""
    tempo, metre = plan.tempo_map, None
    for placed in tempo.placed if tempo.changes else ():
        now = placed.event.time_signature
        changed = None if now == metre else now
        yield ReaperTempo(position_s=placed.time_s, tempo_bpm=placed.event.tempo_bpm, time_signature=changed)
        metre = now


def _add_strips(desk: _Desk, media_path: MediaPath) -> None:
    """In the order of the session: mix bus, each bus with its tracks and the buses in it, returns, the reference."""
    plan = desk.plan
    groups = _group_masks(desk)
    known = {MASTER, plan.mix_bus.name, *(bus.name for bus in (*plan.buses, *plan.returns))}
    for track in plan.tracks:
        if track.output not in known:
            raise DawError(f"track {track.name!r} feeds {track.output!r}, which is no bus of the plan")

    def add_bus(bus: Bus, parent: int | None, kind: str) -> None:
        made = _bus_track(bus, f"{kind}:{bus.name}", groups.get(bus.group or "", 0))
        index = desk.add(_Strip(_named(desk, made, bus.label, Feature.BUSES), parent, bus))
        desk.bus_index[bus.name] = index
        for track in plan.tracks:
            if track.output == bus.name:
                add_track(track, index, bus)
        if kind == "bus":
            for inner in plan.children(bus.name):
                add_bus(inner, index, kind)

    def add_track(track: Track, parent: int | None, bus: Bus | None, kind: str = "track") -> None:
        made = _clip_track(track, f"{kind}:{track.name}", bus, media_path)
        desk.add(_Strip(_named(desk, made, track.name, Feature.CLIPS), parent))
        for notes in plan.notes_of(track):
            drawn = _note_track(plan, notes, f"notes:{notes.name}")
            desk.add(_Strip(_named(desk, drawn, notes.name, Feature.NOTES), parent))

    add_bus(plan.mix_bus, None, "mix")
    mix = desk.bus_index[plan.mix_bus.name]
    for bus in plan.children(MIX_BUS):
        add_bus(bus, mix, "bus")
    for bus in plan.returns:
        add_bus(bus, mix, "return")
    for track in plan.tracks:
        if track.output == MASTER:
            add_track(track, None, None)
    if plan.reference is not None:
        add_track(plan.reference, None, None, "reference")


def _named(desk: _Desk, track: ReaperTrack, wanted: str, feature: Feature) -> ReaperTrack:
    """With the name as a project can hold it, and a note where that is not the wanted one."""
    name = storable_name(wanted)
    if name != wanted:
        Losses(name, desk.limits).bent(feature, "the name has characters or a length that a project file cannot hold")
    return replace(track, name=name)


def storable_name(text: str) -> str:
    """`text` as a project file gives it back: control characters become blanks, and it has an end."""
    name = rpp.printable(text)[:MAX_NAME]
    return (rpp.split_tokens(rpp.quote(name)) or [""])[0]


def _bus_track(bus: Bus, key: str, group_mask: int) -> ReaperTrack:
    return ReaperTrack(
        name="",
        gain_linear=stored(db_to_linear(bus.gain_db)),
        pan=stored(bus.pan),
        mute=bus.mute,
        solo=bus.solo,
        colour=bus.colour,
        group_mask=group_mask,
        key=key,
    )


def _clip_track(track: Track, key: str, bus: Bus | None, media_path: MediaPath) -> ReaperTrack:
    return ReaperTrack(
        name="",
        gain_linear=stored(db_to_linear(track.gain_db)),
        pan=stored(track.pan),
        mute=track.mute,
        solo=track.solo,
        colour=track.colour or (bus.colour if bus else None),
        items=tuple(_item(clip, media_path) for clip in track.clips),
        key=key,
    )


def _note_track(plan: SessionPlan, track: NoteTrack, key: str) -> ReaperTrack:
    """A muted track with one MIDI item over the whole song."""
    tempo, rate_hz = plan.tempo_map, plan.sample_rate_hz

    def ticks(position_samples: int) -> int:
        return round(tempo.quarters(samples_to_s(position_samples, rate_hz)) * TICKS_PER_QUARTER)

    notes = tuple(
        ReaperNote(
            begin_ticks=ticks(note.position_samples),
            end_ticks=max(ticks(note.position_samples) + 1, ticks(note.position_samples + note.length_samples)),
            key=note.key,
            velocity=note.velocity,
        )
        for note in track.notes
    )
    item = ReaperNotes(
        name=storable_name(track.name),
        length_s=stored(samples_to_s(plan.length_samples, rate_hz)),
        length_ticks=max([ticks(plan.length_samples), *(note.end_ticks for note in notes)]),
        notes=notes,
    )
    return ReaperTrack(name="", mute=track.mute, colour=track.colour, midi=item, key=key)


def mapped_track(track: Track, media_path: MediaPath) -> ReaperTrack:
    """A stem that goes onto a track of somebody else: by a send, its own main send is off."""
    made = _clip_track(track, f"track:{track.name}", None, media_path)
    return replace(made, name=storable_name(track.name), main_send=False)


def _item(clip: Clip, media_path: MediaPath) -> ReaperItem:
    path = media_path(clip.path)
    if not rpp.is_faithful(path):
        raise DawError(f"{path!r}: a REAPER project cannot hold this file name; rename the file or its folder")
    return ReaperItem(
        path=path,
        name=storable_name(clip.name),
        position_s=stored(samples_to_s(clip.position_samples, clip.sample_rate_hz)),
        length_s=stored(samples_to_s(clip.length_samples, clip.sample_rate_hz)),
    )


def _group_masks(desk: _Desk) -> dict[str, int]:
    """One bit per edit group, in order of appearance; a project file holds 64 (REAPER 5.70 and later)."""
    buses = (*desk.plan.buses, *desk.plan.returns, desk.plan.mix_bus)
    names = list(dict.fromkeys(bus.group for bus in buses if bus.group))
    for name in names[MAX_GROUPS:]:
        Losses(name, desk.limits).lost(Feature.GROUPS, f"a project holds {MAX_GROUPS} groups")
    return {name: 1 << bit for bit, name in enumerate(names[:MAX_GROUPS])}


def free_groups(wanted: Iterable[int], used: int, notes: Losses) -> dict[int, int]:
    """For each mask of ours a group that nobody uses for anything, so that no fader of theirs moves with ours."""
    bits: dict[int, int] = {0: 0}
    for mask in sorted(set(wanted) - {0}):
        free = next((bit for bit in range(MAX_GROUPS) if not used >> bit & 1), None)
        if free is None:
            notes.lost(Feature.GROUPS, f"the project uses all of its {MAX_GROUPS} groups")
        bits[mask] = 0 if free is None else 1 << free
        used |= bits[mask]
    return bits


def _add_sends(desk: _Desk, index: int, bus: Bus) -> None:
    for send in bus.sends:
        target = desk.bus_index.get(send.to)
        if target is None:
            raise DawError(f"bus {bus.name!r} sends to {send.to!r}, which is no bus of the plan")
        if desk.feeds(target, index):
            desk.notes(index).lost(Feature.SENDS, f"the send to {send.to} would feed back")
            continue
        mode = PRE_FADER if send.pre_fader else POST_FADER
        gain_linear = stored(db_to_linear(send.gain_db))
        desk.strips[target].receives.append(ReaperReceive(source=index, gain_linear=gain_linear, mode=mode))
        desk.edges.add((index, target))


def _add_inserts(desk: _Desk, index: int) -> None:
    """The plug-ins of a bus, and a channel pair above those in use for each bus that drives a detector."""
    strip = desk.strips[index]
    effects = strip.bus.effects if strip.bus else ()
    notes = desk.notes(index)
    # A child's parent send carries all of its channels: what its own side-chain uses must stay free here.
    channels = max([2, *(child.track.channels for child in desk.strips if child.parent == index)])
    pairs: dict[int, int] = {}
    chain: list[Fx] = []
    for effect in effects:
        key_channel: int | None = None
        if isinstance(effect, Compressor) and effect.sidechain_bus is not None:
            source = _sidechain_source(desk, index, effect.sidechain_bus, notes)
            if source is not None and source not in pairs and channels + 2 <= MAX_CHANNELS:
                pairs[source] = channels
                channels += 2
                strip.receives.append(ReaperReceive(source=source, target_channel=pairs[source]))
                desk.edges.add((source, index))
            key_channel = pairs.get(source) if source is not None else None
        chain.extend(to_fx(effect, notes, key_channel))
    if not pairs:
        channels = 2
    strip.track = replace(strip.track, channels=channels, fx=tuple(chain))


def _sidechain_source(desk: _Desk, index: int, name: str, notes: Losses) -> int | None:
    """The strip that drives the detector; None for the bus itself and for what REAPER could not route."""
    source = desk.bus_index.get(name)
    if source is None:
        raise DawError(f"{notes.where}: the side-chain bus {name!r} is no bus of the plan")
    if source == index:
        return None
    if desk.feeds(index, source):
        notes.lost(Feature.SIDECHAIN, f"{name} already gets this signal; its side-chain would feed back")
        return None
    return source


def _depth(desk: _Desk, index: int) -> int:
    depth, parent = 0, desk.strips[index].parent
    while parent is not None:
        depth, parent = depth + 1, desk.strips[parent].parent
    return depth


def _folders(desk: _Desk) -> list[ReaperTrack]:
    """Folder depths from the parents: a parent opens one, the last track inside closes as many as end there."""
    depths = [_depth(desk, index) for index in range(len(desk.strips))]
    following = [*depths[1:], 0]
    return [
        replace(strip.track, folder_depth=after - depth, receives=tuple(strip.receives))
        for strip, depth, after in zip(desk.strips, depths, following, strict=True)
    ]


def _sends(desk: _Desk) -> list[ReaperTrack]:
    for index, strip in enumerate(desk.strips):
        if strip.parent is not None:
            desk.strips[strip.parent].receives.append(ReaperReceive(source=index))
    return [
        replace(strip.track, main_send=strip.parent is None, receives=tuple(strip.receives)) for strip in desk.strips
    ]


def _markers(plan: SessionPlan) -> list[ReaperMarker]:
    rate_hz = plan.sample_rate_hz
    return [
        ReaperMarker(
            name=storable_name(marker.name),
            position_s=stored(samples_to_s(marker.position_samples, rate_hz)),
            end_s=stored(samples_to_s(marker.position_samples + marker.length_samples, rate_hz))
            if marker.length_samples > 0
            else None,
            colour=marker.colour,
        )
        for marker in plan.markers
    ]
