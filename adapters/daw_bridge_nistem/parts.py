"""Exactly four stems out of whatever a session has: the format knows no other number.

Every track goes to one of drums, bass, other, vocals; the residual and what has no place of its own join `other`, so
that the four still add up to the mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daw_bridge.adapter import Feature, Losses, require_audio
from daw_bridge.audio.reader import open_audio
from daw_bridge.model import Clip, Colour, SessionPlan, Track

FloatArray = NDArray[np.float32]
BLOCK = 4096 * 8
PARTS = ("drums", "bass", "other", "vocals")
_KNOWN = {
    "drums": (
        "drums",
        "drum",
        "kick",
        "snare",
        "toms",
        "cymbals",
        "hihat",
        "hh",
        "ride",
        "crash",
        "percussion",
        "drums-rest",
    ),
    "bass": ("bass",),
    "vocals": (
        "vocals",
        "vocal",
        "lead",
        "lead_vocals",
        "vocals-rest",
        "backing_vocals",
        "backing",
        "choir",
        "speech",
        "dialogue",
    ),
}
_COLOURS = {"drums": "#d6453d", "bass": "#8a5fc9", "other": "#3fb6a8", "vocals": "#3f8fe0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the four, with the tracks that are summed into it."""

    name: str
    colour: Colour
    tracks: tuple[Track, ...]

    @property
    def clips(self) -> tuple[Clip, ...]:
        return tuple(clip for track in self.tracks for clip in track.clips)


def four_parts(plan: SessionPlan, losses: Losses) -> tuple[Part, ...]:
    """The four in their order; muted tracks (a click) stay out and are named."""
    taken: dict[str, list[Track]] = {name: [] for name in PARTS}
    for track in plan.tracks:
        if track.mute:
            losses.at(track.name).lost(Feature.CLIPS, "a muted track is left out of the four stems")
            continue
        own = _part_of(track, plan)
        taken[own].append(track)
        if own != track.name.casefold():
            losses.at(track.name).bent(Feature.CLIPS, f"the format has four stems: it is part of {own!r}")
    return tuple(
        Part(name=_name(taken[name], name, plan), colour=_colour(taken[name], name), tracks=tuple(taken[name]))
        for name in PARTS
    )


def _part_of(track: Track, plan: SessionPlan) -> str:
    """By the name of the track, else by those of the buses around its own."""
    buses = [bus for bus in plan.buses if bus.name == track.output]
    names = [track.name, *(each.name for bus in buses for each in plan.above(bus))]
    return next((part for name in names for part, known in _KNOWN.items() if name.casefold() in known), "other")


def _name(tracks: Sequence[Track], name: str, plan: SessionPlan) -> str:
    """What the template calls the bus where one track fills the part."""
    if len(tracks) == 1:
        labels = {bus.name: bus.label for bus in plan.buses}
        return labels.get(tracks[0].output, tracks[0].name) or name
    return name.upper()


def _colour(tracks: Sequence[Track], name: str) -> Colour:
    own = [track.colour for track in tracks if track.name.casefold() == name and track.colour is not None]
    return own[0] if own else Colour.from_hex(_COLOURS[name])


def stereo_blocks(clips: Sequence[Clip], length_samples: int) -> Iterator[FloatArray]:
    """The sum of the clips as blocks of (2, samples), `length_samples` in all."""
    readers = [(clip, open_audio(clip.path)) for clip in clips if clip.length_samples > 0]
    try:
        for begin in range(0, length_samples, BLOCK):
            size = min(BLOCK, length_samples - begin)
            total = np.zeros((2, size), np.float32)
            for clip, reader in readers:
                first = max(begin, clip.position_samples)
                last = min(begin + size, clip.position_samples + clip.length_samples)
                if first < last:
                    block = reader.read(last - first)
                    total[:, first - begin : first - begin + block.shape[1]] += block if len(block) > 1 else block[:1]
            yield total
    finally:
        for _, reader in readers:
            reader.close()


def require_media(clips: Sequence[Clip]) -> None:
    """InputError for a file that is gone."""
    for path in {clip.path: None for clip in clips}:
        require_audio(path)
