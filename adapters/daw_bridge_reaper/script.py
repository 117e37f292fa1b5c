"""A plan as the actions inside REAPER take it: tracks with their state, without audio and routing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.model import SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.session import STEREO_BALANCE, ReaperReceive, ReaperTrack
from daw_bridge_reaper.write import Guids, track_chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptTrack:
    """A track for an action that runs inside REAPER: its state as REAPER takes it, without audio and routing.

    `key` says which part of the plan it is, `values` are properties by the names of ReaScript, `receives`
    pairs the index of the source track with such values, `files` is the audio that belongs on it. Tracks with the same
    `group` (from 1; 0 is none) belong into one edit group, which the action chooses among the free ones.
    """

    key: str
    name: str
    label: str
    state: str
    values: Mapping[str, float]
    colour: tuple[int, int, int] | None
    receives: tuple[tuple[int, Mapping[str, float]], ...]
    files: tuple[Path, ...]
    group: int = 0


def script_tracks(plan: SessionPlan, *, seed: str) -> tuple[ScriptTrack, ...]:
    """The tracks of a plan; `seed` makes the ids of this run different from those of another one."""
    project, _limits = lay_out(plan, lambda path: str(path.absolute()))
    return tuple(_script_track(track, index, Guids(seed)) for index, track in enumerate(project.tracks))


def _script_track(track: ReaperTrack, index: int, guids: Guids) -> ScriptTrack:
    # Which edit group is free only the open project knows: the action chooses one for each number.
    bare = replace(track, items=(), receives=(), group_mask=0)
    colour = track.colour
    return ScriptTrack(
        key=track.key,
        name=track.key.partition(":")[2],
        label=track.name,
        state=rpp.plain_text(track_chunk(bare, index, guids)),
        values={
            "D_VOL": track.gain_linear,
            "I_PANMODE": float(STEREO_BALANCE),
            "D_PAN": track.pan,
            "B_MUTE": float(track.mute),
        },
        colour=(colour.red, colour.green, colour.blue) if colour else None,
        receives=tuple((receive.source, _send_values(receive)) for receive in track.receives),
        files=tuple(Path(item.path) for item in track.items),
        group=track.group_mask.bit_length(),
    )


def _send_values(receive: ReaperReceive) -> dict[str, float]:
    return {
        "D_VOL": receive.gain_linear,
        "D_PAN": receive.pan,
        "I_SENDMODE": float(receive.mode),
        "I_SRCCHAN": float(receive.source_channel),
        "I_DSTCHAN": float(receive.target_channel),
        "D_PANLAW": receive.pan_law,
    }
