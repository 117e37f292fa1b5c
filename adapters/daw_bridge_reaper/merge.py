"""A plan into a copy of a project that somebody made: their text stays byte for byte, ours is added behind it.

The new tracks come after the last one, so that every send of the project keeps its number; our own sends are counted
on from there. Tempo, rate and master stay the project's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import InputError, OutputError
from daw_bridge.model import SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.layout import MediaPath, Routing, free_groups, lay_out
from daw_bridge_reaper.read import groups_in_use, read_project
from daw_bridge_reaper.rpp import Chunk, Document, Line
from daw_bridge_reaper.session import ReaperProject, ReaperTrack, open_folders
from daw_bridge_reaper.write import Guids, marker_lines, track_chunk

_UNITY = 1e-4


def merged_document(
    plan: SessionPlan, session: Path, target: Path, media_path: MediaPath, routing: Routing
) -> tuple[Document, tuple[Limit, ...]]:
    """The project at `session` with the plan's tracks added. Raises InputError, OutputError."""
    document = mergeable(session, target)
    theirs = read_project(document)
    ours, limits = lay_out(plan, media_path, routing)
    guids = Guids(hashlib.sha256(f"{rpp.serialise(document)}\0{ours!r}".encode("utf-8", "replace")).hexdigest())
    notes = Losses(session.name, list(limits))
    for note in document.notes:
        notes.bent(Feature.CLIPS, note)
    groups = free_groups({track.group_mask for track in ours.tracks}, groups_in_use(document.root), notes)
    before = _closing_track(theirs, notes)
    offset = len(theirs.tracks) + len(before)
    _add_markers(document.root, ours, guids)
    _add_tracks(document.root, [*before, *_renumbered(ours.tracks, offset, groups)], len(theirs.tracks), guids)
    _say_what_the_project_keeps(ours, theirs, notes)
    _say_what_changes_the_sound(document.root, theirs, notes)
    return document, tuple(notes.limits)


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
