"""The tracks of somebody's project as a mixing desk: which one is the mix bus, which are buses, returns, the reference.

A bus is what lies directly below the mix bus, and every folder inside a bus. The mix bus is the one folder on top that
holds other folders, when nothing else on top is part of the mix, or when it is called so; without such a folder it is
the master, and everything on top is a bus. A track without items that only takes sends is a return. Receives count as
folders where the main send is off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from daw_bridge.adapter import Limit, Losses
from daw_bridge.model import MAX_NESTING, MIX_BUS, free_bus_name
from daw_bridge_reaper.session import POST_FADER, ReaperProject, ReaperTrack

_MIX_NAME = re.compile(
    r"(the )?(mix|master|pre-?master|sub-?mix|(mix|master|main|stereo|two|2)[ -]?(bus|buss|out|group)|.*\(stems\))"
    r"( \d+)?"
)
_REFERENCE_NAME = re.compile(r".*\b(ref|refs|reference|original|rough|bounce|mixdown|demo)\b.*")
_CLICK_NAME = re.compile(r".*\b(click|clk|metronome|metro|count[ -]?in|guide|cue|talkback|timecode|ltc|smpte)\b.*")


@dataclass(slots=True)
class Desk:
    """The tracks as a tree, and what was found in it. All numbers are track indices; None is the master."""

    project: ReaperProject
    parent: list[int | None]
    mix: int | None = None
    buses: list[int] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    reference: int | None = None
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

    def leaves(self, index: int) -> list[int]:
        """The tracks below without tracks of their own."""
        return [child for child in self.below(index) if not self.children(child)]

    def track(self, index: int) -> ReaperTrack:
        return self.project.tracks[index]

    def title(self, index: int) -> str:
        return self.track(index).name.strip() or f"track {index + 1}"

    def notes(self, index: int) -> Losses:
        return Losses(self.title(index), self.limits)

    def bus_of(self, index: int) -> str | None:
        """The bus that a track belongs to."""
        place: int | None = index
        while place is not None:
            if place in self.names:
                return self.names[place]
            place = self.parent[place]
        return None

    def only_track(self, index: int) -> int | None:
        """The one track of a bus whose chain can stand at the head of the bus's own: nothing is mixed between."""
        below = self.below(index)
        if len(below) != 1 or below[0] in self.names:
            return None
        track = self.track(below[0])
        return None if track.mute or track.pan or track.receives else below[0]

    def is_unheard(self, index: int) -> bool:
        """Whether a track feeds neither its folder nor what stands for it."""
        parent = self.parent[index]
        receives = () if parent is None else self.track(parent).receives
        return not self.track(index).main_send and all(receive.source != index for receive in receives)

    def takes_sends_only(self, index: int) -> bool:
        """A track that holds nothing and is fed by sends."""
        track = self.track(index)
        takes = any(receive.target_channel == 0 for receive in track.receives)
        return takes and not track.items and not self.children(index)


def desk_of(project: ReaperProject) -> Desk:
    """The desk with every role given."""
    desk = Desk(project, _parents(project))
    desk.mix = _mix_bus(desk)
    top = desk.children(desk.mix)
    desk.reference = _reference(desk)
    for index in top:
        if index == desk.reference:
            continue
        if desk.takes_sends_only(index):
            desk.returns.append(index)
        elif _holds_sends_only(desk, index):
            if desk.track(index).mute:
                continue  # headphones: named as what it is by the report
            desk.returns += desk.leaves(index)
        else:
            _add_bus(desk, index)
    for index in (*desk.buses, *desk.returns):
        desk.names[index] = free_bus_name(desk.track(index).name, desk.names.values())
    if desk.mix is not None:
        desk.names[desk.mix] = MIX_BUS
    return desk


def _add_bus(desk: Desk, index: int, depth: int = 1) -> None:
    """A bus, and behind it the folders inside it, which feed it."""
    desk.buses.append(index)
    for child in desk.children(index) if depth < MAX_NESTING else ():
        if desk.children(child) and not _holds_sends_only(desk, child):
            _add_bus(desk, child, depth + 1)


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
        if targets:  # a track that feeds nothing stays where it lies, silent
            parents[index] = _without_loop(parents, index, next(iter(whole or targets)))
    return parents


def _without_loop(parents: list[int | None], index: int, wanted: int | None) -> int | None:
    place, steps = wanted, 0
    while place is not None and steps <= len(parents):
        if place == index:
            return None
        place, steps = parents[place], steps + 1
    return wanted


def _mix_bus(desk: Desk) -> int | None:
    """The folder on top that everything runs through; None when the master is it."""
    tops = desk.children(None)
    nested = [index for index in tops if any(desk.children(child) for child in desk.children(index))]
    called = [index for index in nested if _MIX_NAME.fullmatch(desk.title(index).lower())]
    if called:
        return called[0]
    if len(nested) == 1 and all(index == nested[0] or _is_beside(desk, index) for index in tops):
        return nested[0]
    return None


def _is_beside(desk: Desk, index: int) -> bool:
    """Whether a track on top is no part of the mix: a reference, a click, or silent."""
    name = desk.title(index).lower()
    if desk.children(index):
        return False
    return bool(
        desk.track(index).mute
        or _is_empty(desk, index)
        or _REFERENCE_NAME.fullmatch(name)
        or _CLICK_NAME.fullmatch(name)
    )


def _is_empty(desk: Desk, index: int) -> bool:
    track = desk.track(index)
    return not (track.items or track.fx or track.receives or desk.children(index))


def _holds_sends_only(desk: Desk, index: int) -> bool:
    leaves = desk.leaves(index)
    return bool(leaves) and all(desk.takes_sends_only(leaf) for leaf in leaves) and not desk.track(index).items


def _reference(desk: Desk) -> int | None:
    """Beside the mix bus: what is called so, else what is muted."""
    if desk.mix is None:
        return None
    tops = [index for index in desk.children(None) if desk.track(index).items and not desk.children(index)]
    called = [index for index in tops if _REFERENCE_NAME.fullmatch(desk.title(index).lower())]
    muted = [index for index in tops if desk.track(index).mute]
    return next(iter(called or muted), None)


def stem_tracks(desk: Desk, bus: int) -> list[int]:
    """The tracks inside a bus, and in no other bus inside it, that hold what is played, or the bus itself when it does.
    Tracks that only take sends hold nothing of their own."""
    own = [index for index in desk.leaves(bus) if desk.bus_of(index) == desk.names[bus]]
    leaves = [index for index in own if not desk.takes_sends_only(index)]
    return leaves or ([bus] if not desk.children(bus) else [])
