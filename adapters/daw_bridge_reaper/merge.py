"""A plan into a copy of a project that somebody made: their text stays byte for byte, ours is added behind it.

The new tracks come after the last one, so that every send of the project keeps its number; our own sends are counted
on from there. Tempo, rate and master stay the project's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from daw_bridge.adapter import AT_THE_START, Feature, Limit, Losses, MergePlace
from daw_bridge.errors import InputError, OutputError, UsageError, did_you_mean
from daw_bridge.model import Bus, Compressor, SessionPlan, Track
from daw_bridge.units import seconds_of
from daw_bridge_reaper import rpp
from daw_bridge_reaper.layout import MediaPath, Routing, free_groups, lay_out, mapped_track
from daw_bridge_reaper.read import groups_in_use, read_project
from daw_bridge_reaper.rpp import Chunk, Document, Line
from daw_bridge_reaper.session import (
    ReaperItem,
    ReaperProject,
    ReaperReceive,
    ReaperTrack,
    open_folders,
    stored,
)
from daw_bridge_reaper.write import Guids, marker_lines, receive_line, track_chunk

_UNITY = 1e-4


def merged_document(
    plan: SessionPlan,
    session: Path,
    target: Path,
    media_path: MediaPath,
    routing: Routing,
    place: MergePlace = AT_THE_START,
) -> tuple[Document, tuple[Limit, ...]]:
    """The project at `session` with the plan's tracks added. Raises InputError, UsageError, OutputError."""
    document = mergeable(session, target)
    theirs = read_project(document)
    at_s, targets = check_place(document, place)
    notes = Losses(session.name)
    rest, mapped = take_mapped(plan, targets, notes)
    ours, limits = lay_out(rest, media_path, routing)
    ours = _moved(ours, at_s)
    notes.limits[:0] = limits
    guids = Guids(hashlib.sha256(f"{rpp.serialise(document)}\0{ours!r}".encode("utf-8", "replace")).hexdigest())
    for note in document.notes:
        notes.bent(Feature.CLIPS, note)
    groups = free_groups({track.group_mask for track in ours.tracks}, groups_in_use(document.root), notes)
    before = _closing_track(theirs, notes)
    offset = len(theirs.tracks) + len(before)
    tracks = [*before, *_renumbered(ours.tracks, offset, groups)]
    for track, index in mapped:
        made = mapped_track(track, media_path)
        receive = ReaperReceive(source=len(theirs.tracks) + len(tracks))
        _add_receive(list(document.root.chunks("TRACK"))[index], receive)
        tracks.append(replace(made, items=tuple(_later(item, at_s) for item in made.items)))
    _add_markers(document.root, ours, guids)
    _add_tracks(document.root, tracks, len(theirs.tracks), guids)
    _say_what_the_project_keeps(ours, theirs, notes)
    _say_what_changes_the_sound(document.root, theirs, notes)
    return document, tuple(notes.limits)


def check_place(document: Document, place: MergePlace) -> tuple[float, dict[str, int]]:
    """Where the stems begin (s), and by stem the number of their track that takes it. Raises UsageError."""
    project = read_project(document)
    at_s = _time_of(place.at, project) if place.at is not None else 0.0
    targets: dict[str, int] = {}
    for stem, title in place.bus_map:
        found = [n for n, track in enumerate(project.tracks) if track.name.strip().casefold() == title.casefold()]
        if len(found) != 1:
            names = sorted({track.name for track in project.tracks if track.name.strip()})
            why = "several tracks are" if found else "no track is"
            hint = did_you_mean(title, names) or f"; there are: {', '.join(names[:20])}"
            raise UsageError(f"{stem} onto {title!r}: {why} called so{'' if found else hint}")
        targets[stem.casefold()] = found[0]
    return at_s, targets


def _time_of(text: str, project: ReaperProject) -> float:
    """The time of a marker or the start of a region by its name, else a time in seconds or as m:ss."""
    wanted = text.strip().casefold()
    for marker in project.markers:
        if marker.name.strip().casefold() == wanted:
            return max(marker.position_s, 0.0)
    time_s = seconds_of(text)
    if time_s is None:
        names = [marker.name for marker in project.markers if marker.name.strip()]
        known = f"; there are: {', '.join(names[:20])}" if names else "; the project has none"
        hint = did_you_mean(text, names) or known
        raise UsageError(f"no marker or region called {text!r}{hint}; or give a time, as in 83.5 or 1:23.5")
    return time_s


def take_mapped(
    plan: SessionPlan, targets: dict[str, int], notes: Losses
) -> tuple[SessionPlan, list[tuple[Track, int]]]:
    """The plan without the stems that go onto tracks of theirs, and those with the number of their track.

    A bus that has no other stem and no other bus in it goes, too, with the compressors that listen to it. Raises
    UsageError for a stem that is not there.
    """
    if not targets:
        return plan, []
    stems = {track.name.casefold(): track for track in plan.tracks}
    for stem in targets:
        if stem not in stems:
            raise UsageError(f"no stem called {stem!r}{did_you_mean(stem, stems)}; there are: {', '.join(stems)}")
    mapped = [(stems[stem], index) for stem, index in targets.items()]
    left = tuple(track for track in plan.tracks if track.name.casefold() not in targets)
    used, gone = {track.output for track in left}, {track.output for track, _ in mapped}
    gone -= {*used, plan.mix_bus.name}
    gone |= {bus.name for bus in plan.buses if bus.name not in used and _holds_only(plan, bus, gone)}
    gone -= {over.name for bus in plan.buses if bus.name not in gone for over in plan.above(bus)}

    def wired(bus: Bus) -> Bus:
        kept = tuple(each for each in bus.effects if not (isinstance(each, Compressor) and each.sidechain_bus in gone))
        if kept != bus.effects:
            notes.lost(Feature.SIDECHAIN, f"{bus.label}: the compressor that listens to {', '.join(sorted(gone))}")
        return replace(bus, effects=kept)

    return (
        replace(
            plan,
            tracks=left,
            buses=tuple(wired(bus) for bus in plan.buses if bus.name not in gone),
            returns=tuple(wired(bus) for bus in plan.returns),
            mix_bus=wired(plan.mix_bus),
        ),
        mapped,
    )


def _holds_only(plan: SessionPlan, bus: Bus, gone: set[str]) -> bool:
    """Whether there are buses inside a bus, and at the bottom nothing but such as have gone."""
    inside = [each for each in plan.buses if bus in plan.above(each) and not plan.children(each.name)]
    return bool(inside) and all(each.name in gone for each in inside)


def _moved(project: ReaperProject, at_s: float) -> ReaperProject:
    if not at_s:
        return project
    tracks = tuple(replace(track, items=tuple(_later(item, at_s) for item in track.items)) for track in project.tracks)
    markers = tuple(
        replace(
            marker,
            position_s=stored(marker.position_s + at_s),
            end_s=None if marker.end_s is None else stored(marker.end_s + at_s),
        )
        for marker in project.markers
    )
    return replace(project, tracks=tracks, markers=markers)


def _later(item: ReaperItem, at_s: float) -> ReaperItem:
    return replace(item, position_s=stored(item.position_s + at_s))


def _add_receive(track: Chunk, receive: ReaperReceive) -> None:
    """A receive on a track of theirs, where REAPER writes it: every line that is there stays."""
    before = ("MIDIOUT", "MAINSEND", "HWOUT")
    for place, part in enumerate(track.body):
        if isinstance(part, Chunk) or part.keyword in before:
            track.body.insert(place, receive_line(receive))
            return
    track.body.append(receive_line(receive))


def mergeable(session: Path, target: Path) -> Document:
    """The project, when a copy of it at `target` can take more tracks. Raises InputError, OutputError."""
    document = rpp.load(session)
    if document.problems:
        raise InputError(f"{session}: damaged ({document.problems[0]}); open it in REAPER and save it under a new name")
    if session.resolve().parent != target.resolve().parent:
        _require_absolute_media(document.root, session, target)
    return document


def _closing_track(theirs: ReaperProject, notes: Losses) -> list[ReaperTrack]:
    """An empty track that closes the folder which the project leaves open (REAPER saves such projects): without it our
    tracks would lie in that folder, and to close it on their last track would change a line of theirs."""
    level = open_folders(track.folder_depth for track in theirs.tracks)
    if not level:
        return []
    notes.bent(Feature.BUSES, "its last folder is never closed; an empty track closes it, before the stems begin")
    return [ReaperTrack(name="(end of folder)", folder_depth=-level, key="end")]


def _require_absolute_media(root: Chunk, session: Path, target: Path) -> None:
    for path in _media(root):
        if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
            raise OutputError(
                f"{target}: the project's media ({path}) are found from {session.resolve().parent}; "
                "give -o a file in that folder"
            )


def _media(root: Chunk) -> Iterable[str]:
    """The files of all sources, wherever they are nested."""
    todo = [root]
    while todo:
        chunk = todo.pop()
        todo.extend(chunk.chunks())
        if chunk.name == "SOURCE":
            yield from (line.tokens[1] for line in chunk.lines("FILE") if len(line.tokens) > 1 and line.tokens[1])


def _renumbered(tracks: tuple[ReaperTrack, ...], offset: int, groups: dict[int, int]) -> list[ReaperTrack]:
    """Receives counted from the end of the project, edit groups that are free in it."""
    return [
        replace(
            track,
            receives=tuple(replace(receive, source=receive.source + offset) for receive in track.receives),
            group_mask=groups[track.group_mask],
        )
        for track in tracks
    ]


def _add_tracks(root: Chunk, tracks: list[ReaperTrack], offset: int, guids: Guids) -> None:
    places = [place for place, part in enumerate(root.body) if isinstance(part, Chunk) and part.name == "TRACK"]
    after = places[-1] + 1 if places else _end_of_settings(root)
    root.body[after:after] = [track_chunk(track, offset + index, guids) for index, track in enumerate(tracks)]


def _add_markers(root: Chunk, ours: ReaperProject, guids: Guids) -> None:
    numbers = [round(rpp.to_float(line.tokens[1])) for line in root.lines("MARKER") if len(line.tokens) > 1]
    places = [place for place, part in enumerate(root.body) if isinstance(part, Line) and part.keyword == "MARKER"]
    after = places[-1] + 1 if places else _end_of_settings(root)
    root.body[after:after] = list(marker_lines(ours.markers, guids, first=max([0, *numbers]) + 1))


def _end_of_settings(root: Chunk) -> int:
    """Before the first track; behind everything when there is none."""
    for place, part in enumerate(root.body):
        if isinstance(part, Chunk) and part.name == "TRACK":
            return place
    return len(root.body)


def _say_what_changes_the_sound(root: Chunk, theirs: ReaperProject, notes: Losses) -> None:
    """The project's master and solos stay theirs; what they do to the stems is told."""
    gain, pan = root.float("MASTER_VOLUME", 0, 1.0), root.float("MASTER_VOLUME", 1, 0.0)
    if abs(gain - 1.0) > _UNITY or abs(pan) > _UNITY:
        notes.bent(
            Feature.GAIN_PAN_MUTE_SOLO, f"the project's master is not at 0 dB and centre (gain {gain:.3f}, pan {pan:g})"
        )
    if root.float("MASTERMUTESOLO", 0, 0.0):
        notes.bent(Feature.GAIN_PAN_MUTE_SOLO, "the project's master is muted or in mono")
    chain = root.chunk("MASTERFXLIST")
    active = [] if chain is None else _active_effects(chain)
    if active:
        notes.bent(
            Feature.PLUGIN, f"the project's master has {len(active)} effect(s), through which the stems are heard"
        )
    soloed = [track.name for track in theirs.tracks if track.solo]
    if soloed:
        names = ", ".join(soloed[:4])
        notes.bent(
            Feature.GAIN_PAN_MUTE_SOLO,
            f"{len(soloed)} track(s) of the project are soloed ({names}): the stems are silent",
        )


def _active_effects(chain: Chunk) -> list[Chunk]:
    """The plug-ins of a chain that are neither bypassed nor offline."""
    found, bypassed = [], False
    for part in chain.body:
        if isinstance(part, Line) and part.keyword == "BYPASS":
            bypassed = any(flag != "0" for flag in part.tokens[1:3])
        elif isinstance(part, Chunk) and not bypassed and not part.name.endswith("ENV"):
            found.append(part)
    return found


def _say_what_the_project_keeps(ours: ReaperProject, theirs: ReaperProject, notes: Losses) -> None:
    if (ours.tempo_bpm, ours.time_signature) != (theirs.tempo_bpm, theirs.time_signature):
        beats, unit = theirs.time_signature
        notes.bent(Feature.TEMPO, f"the project keeps its own: {theirs.tempo_bpm:g} bpm, {beats}/{unit}")
    if ours.sample_rate_hz != theirs.sample_rate_hz:
        notes.bent(
            Feature.CLIPS,
            f"the project runs at {theirs.sample_rate_hz} Hz, the stems have {ours.sample_rate_hz} Hz: "
            "REAPER converts while it plays, so they null at their own rate only",
        )
