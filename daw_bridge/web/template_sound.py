"""The sound of a mix, cell by cell, from the render adapter. Runs in the helper process, which keeps what it played.

A playback goes on where it stands when the next cell is asked for, so playing costs no more than one render. A cell
elsewhere, or another mix, begins a new playback with its pre-roll.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daw_bridge.adapter import PlanPlayer, Playback
from daw_bridge.errors import AdapterMissing
from daw_bridge.manifest import read_manifest
from daw_bridge.model import SessionPlan
from daw_bridge.registry import load_adapter
from daw_bridge.song import song_of
from daw_bridge.web.library import Song
from daw_bridge.web.mix import parse_mix, plan_of

MAX_PLAYBACKS = 4
KEPT_CELLS = 64
READ_ON_CELLS = 16
"""A cell that is no farther ahead than this is reached by playing on: cheaper than a new pre-roll."""


def cell_samples(sample_rate_hz: int) -> int:
    """How much of a song one request carries: a multiple of the render's block."""
    return 16_384 if sample_rate_hz <= 48_000 else 32_768


@dataclass(slots=True)
class _Playing:
    playback: Playback
    size_samples: int
    next: int
    done: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def cell(self, index: int) -> bytes:
        while self.next <= index:
            blocks, wanted = [], self.size_samples
            while wanted > 0 and (block := self.playback.read()).shape[1]:
                blocks.append(block)
                wanted -= block.shape[1]
            body = np.concatenate(blocks, axis=1) if blocks else np.zeros((2, 0), dtype=np.float32)
            self.done[self.next] = np.ascontiguousarray(body, dtype="<f4").tobytes()
            self.next += 1
            while len(self.done) > KEPT_CELLS:
                self.done.popitem(last=False)
        return self.done[index]

    def has(self, index: int) -> bool:
        return index in self.done or self.next <= index <= self.next + READ_ON_CELLS


_playing: OrderedDict[tuple[str, str, str], _Playing] = OrderedDict()


def song_at(folder: str) -> Song:
    """The song in a folder that the page's process has checked."""
    return Song(id=folder, made=song_of(Path(folder), read_manifest(Path(folder))))


def player() -> PlanPlayer:
    """The render adapter. Raises AdapterMissing."""
    adapter = load_adapter("render")
    if not isinstance(adapter, PlanPlayer):
        raise AdapterMissing("the adapter 'render' cannot play; is a package of that name in the way?")
    return adapter


def plan_at(folder: str, mix: str) -> SessionPlan:
    """The plan of a mix given as JSON. Raises what `plan_of` raises."""
    return plan_of(song_at(folder), parse_mix(mix))


def cell(folder: str, version: str, mix: str, index: int) -> bytes:
    """The cell of that number, planar float32: left, then right. `version` changes when the song is built anew."""
    key = (folder, version, mix)
    playing = _playing.pop(key, None)
    if playing is None or not playing.has(index):
        if playing is not None:
            playing.playback.close()
        plan = plan_at(folder, mix)
        size = cell_samples(plan.sample_rate_hz)
        begin = min(index * size, plan.length_samples)
        playing = _Playing(playback=player().play_from(plan, begin), size_samples=size, next=index)
    _playing[key] = playing
    while len(_playing) > MAX_PLAYBACKS:
        _playing.popitem(last=False)[1].playback.close()
    try:
        return playing.cell(index)
    except BaseException:
        _playing.pop(key).playback.close()
        raise
