"""A REAPER project as plain values: what the file writer writes, the live adapter sets, and both are read back into.

One layout for both paths, so that one comparison proves both. Numbers are rounded to the 14 decimals of a project
file; gains are linear, as REAPER stores them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daw_bridge.model import Colour

POST_FADER = 0
PRE_FADER = 3
"""AUXRECV modes: behind the fader; behind the inserts and before the fader (1 would be before the inserts)."""
PRE_FX = 1
STEREO_BALANCE = 3
"""REAPER's `I_PANMODE` (ReaScript API): 0 classic, 3 stereo balance, 5 stereo pan, 6 dual pan."""
UNITY_LAW = 1.0
PROJECT_LAW = -1.0
"""Pan laws (`D_PANLAW` in the ReaScript API): the gain of the centre, 1 is 0 dB; below 0 the project's own counts."""


def stored(value: float) -> float:
    """A number as it comes back from a project file."""
    return float(f"{value:.14f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperItem:
    """A media item with one take; `path` is as the project names it (relative with `/`, or absolute)."""

    path: str
    name: str
    position_s: float
    length_s: float
    offset_s: float = 0.0
    play_rate: float = 1.0
    gain_linear: float = 1.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    loop: bool = False
    mute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VstFx:
    """A stock plug-in by name (`ReaEQ`) with its state; `sidechain_channel` is the first of the pair (from 0)
    that its auxiliary input listens to."""

    plugin: str
    data: bytes
    sidechain_channel: int | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFx:
    """Any other plug-in, kept as it is: its chunk as text, or with what stands around it in the chain (mix with the dry
    signal, parallel, modulation, serialised state) its whole part of the chain from the line BYPASS on."""

    chunk: str
    enabled: bool = True


Fx = VstFx | RawFx


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperReceive:
    """Signal from the track with index `source`; channels count from 0 and mean a pair.

    A `source_channel` of -1 is no audio at all (MIDI only), one above 1023 a single channel or more than two.
    """

    source: int
    gain_linear: float = 1.0
    pan: float = 0.0
    mode: int = POST_FADER
    mute: bool = False
    mono: bool = False
    inverted: bool = False
    source_channel: int = 0
    target_channel: int = 0
    pan_law: float = UNITY_LAW


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperNote:
    """Ticks are 1/960 of a quarter note from the start of the session."""

    begin_ticks: int
    end_ticks: int
    key: int
    velocity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperNotes:
    """A MIDI item from the start of the session on; `length_ticks` is where its source ends."""

    name: str
    length_s: float
    length_ticks: int
    notes: tuple[ReaperNote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperTrack:
    """One track. `folder_depth` 1 opens a folder, -n closes n of them. `key` says which part of the plan it is.

    `group_mask` has bit n set when its volume leads and follows in edit group n + 1. `pan_law` and `pan_mode` stand on
    the track itself, so that no setting of the project that it comes into changes its sound (None: the project's mode).
    With `chain_on` off all of its plug-ins are bypassed at once.
    """

    name: str
    folder_depth: int = 0
    gain_linear: float = 1.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    channels: int = 2
    main_send: bool = True
    chain_on: bool = True
    colour: Colour | None = None
    group_mask: int = 0
    pan_law: float = UNITY_LAW
    pan_mode: int | None = STEREO_BALANCE
    items: tuple[ReaperItem, ...] = ()
    midi: ReaperNotes | None = field(default=None, repr=False)
    receives: tuple[ReaperReceive, ...] = ()
    fx: tuple[Fx, ...] = ()
    key: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperMarker:
    """A point, or a region when `end_s` is given."""

    name: str
    position_s: float
    end_s: float | None = None
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperTempo:
    """A point of the tempo envelope; without `time_signature` the metre goes on."""

    position_s: float
    tempo_bpm: float
    time_signature: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperProject:
    sample_rate_hz: int
    tempo_bpm: float
    time_signature: tuple[int, int]
    tracks: tuple[ReaperTrack, ...]
    markers: tuple[ReaperMarker, ...] = ()
    notes: tuple[str, ...] = ()
    tempos: tuple[ReaperTempo, ...] = ()

    def parents(self) -> list[int | None]:
        """For each track the index of the folder it lies in."""
        stack: list[int] = []
        found: list[int | None] = []
        for index, track in enumerate(self.tracks):
            found.append(stack[-1] if stack else None)
            if track.folder_depth > 0:
                stack.append(index)
            elif track.folder_depth < 0:
                del stack[track.folder_depth :]
        return found


def open_folders(depths: Iterable[int]) -> int:
    """How many folders are open behind tracks of these depths; closings without a folder close nothing."""
    level = 0
    for depth in depths:
        level = level + 1 if depth > 0 else max(level + depth, 0)
    return level
