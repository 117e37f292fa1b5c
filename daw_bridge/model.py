"""What a session is made of: frozen values in the field's terms and units, no I/O, no DAW.

`SessionPlan` is the hinge of the program. The separation and the bus template make one; every adapter takes one.
Signal flow: tracks -> buses -> mix bus -> master, where a bus may feed another bus on its way (its `parent`); sends go
from buses to returns, returns go to the mix bus; the reference track goes to the master around the mix bus and is
muted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.tempo_map import TempoEvent, TempoMap

StemRole = Literal["stem", "residual", "reference"]
MIX_BUS = "mix"
"""The `output` of a bus that feeds the mix bus."""
MASTER = "master"
RESERVED_NAMES = (MIX_BUS, MASTER, "reference")
"""Names that no bus may have: they are kept for the session itself."""
LONGEST_NAME = 60
MAX_NESTING = 8
"""So many buses of a template may lie around one, and in a plan as many of a chain of separations inside it."""


def free_bus_name(label: str, taken: Iterable[str]) -> str:
    """A name for what a person called `label`: small letters, digits, underscores, and not taken."""
    base = re.sub(r"[^\w]+", "_", label.strip().lower()).strip("_")[:LONGEST_NAME].strip("_") or "bus"
    used = {*RESERVED_NAMES, *taken}
    name, number = base, 2
    while name in used:
        name, number = f"{base}_{number}", number + 1
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """One audio file that is aligned to the source: same rate, same length, starting at `offset_samples`."""

    name: str
    path: Path
    sample_rate_hz: int
    channels: int
    length_samples: int
    offset_samples: int = 0
    role: StemRole = "stem"
    parents: tuple[str, ...] = ()
    """The stems that it was taken out of, the outermost first: those of a chain's tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StemSet:
    """All stems of one mix, in session order; `reference` is the decoded mix that they null against."""

    stems: tuple[Stem, ...]
    reference: Stem

    def __post_init__(self) -> None:
        for stem in self.stems:
            if stem.sample_rate_hz != self.reference.sample_rate_hz:
                raise ValueError(f"{stem.name}: {stem.sample_rate_hz} Hz, the mix has {self.reference.sample_rate_hz}")
            if stem.length_samples != self.reference.length_samples:
                raise ValueError(f"{stem.name}: {stem.length_samples} samples, mix {self.reference.length_samples}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """sRGB, 0..255 each."""

    red: int
    green: int
    blue: int

    @classmethod
    def from_hex(cls, text: str) -> Colour:
        """From `#rrggbb`; ValueError otherwise."""
        if len(text) != 7 or text[0] != "#":
            raise ValueError(f"{text!r} is not a colour; write it as #rrggbb")
        value = int(text[1:], 16)
        return cls(red=value >> 16, green=value >> 8 & 0xFF, blue=value & 0xFF)

    def hex(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


class BandKind(StrEnum):
    HIGHPASS = "highpass"
    LOWPASS = "lowpass"
    LOWSHELF = "lowshelf"
    HIGHSHELF = "highshelf"
    BELL = "bell"
    NOTCH = "notch"


@dataclass(frozen=True, slots=True, kw_only=True)
class EqBand:
    """One biquad, 12 dB/octave for the pass filters (RBJ Audio EQ Cookbook); `q` 0.707 is Butterworth."""

    kind: BandKind
    frequency_hz: float
    gain_db: float = 0.0
    q: float = 0.7071
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Equalizer:
    bands: tuple[EqBand, ...]
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """Feed-forward; `ratio` is R of R:1. `sidechain_bus` names the bus whose signal drives the detector."""

    threshold_db: float
    ratio: float
    attack_ms: float = 10.0
    release_ms: float = 120.0
    knee_db: float = 0.0
    makeup_db: float = 0.0
    sidechain_bus: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    threshold_db: float
    attack_ms: float = 1.0
    hold_ms: float = 50.0
    release_ms: float = 100.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """Brick wall: nothing leaves above `ceiling_db`; `threshold_db` is where gain reduction begins."""

    ceiling_db: float = -1.0
    threshold_db: float = -1.0
    release_ms: float = 100.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    gain_db: float
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverb:
    """Fully wet: it belongs on a return. `room_size`, `damping`, `width` run from 0 to 1."""

    room_size: float = 0.5
    damping: float = 0.5
    width: float = 1.0
    predelay_ms: float = 0.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Fully wet: it belongs on a return. `feedback` runs from 0 to below 1."""

    time_ms: float
    feedback: float = 0.25
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRef:
    """A named plug-in for one DAW, passed through with its state untouched; other DAWs report it as not possible."""

    daw: str
    name: str
    parameters: tuple[tuple[str, float], ...] = ()
    state: str = ""
    enabled: bool = True


Effect = Equalizer | Compressor | Gate | Limiter | Gain | Reverb | Delay | PluginRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A whole audio file on a track, without fades or stretch."""

    path: Path
    name: str
    sample_rate_hz: int
    channels: int
    length_samples: int
    position_samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Carries clips and feeds the bus named `output`."""

    name: str
    output: str
    clips: tuple[Clip, ...] = ()
    colour: Colour | None = None
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """`key` 0 to 127, 60 the middle C; `velocity` 1 to 127."""

    position_samples: int
    length_samples: int
    key: int
    velocity: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteTrack:
    """A draft of the notes that the track `stem` plays: it stands under that track, on its bus, silent."""

    name: str
    stem: str
    output: str
    notes: tuple[Note, ...] = ()
    colour: Colour | None = None
    mute: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """From a bus to the return named `to`; `pre_fader` taps behind the inserts and before the fader."""

    to: str
    gain_db: float = 0.0
    pre_fader: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """A submix: inserts in order, then fader, pan, mute. `pan` -1 left .. 1 right; `group` joins buses for editing.

    `parent` names the bus that it feeds; without one it feeds the mix bus.
    """

    name: str
    label: str
    colour: Colour | None = None
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    effects: tuple[Effect, ...] = ()
    sends: tuple[Send, ...] = ()
    group: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A point, or a region when `length_samples` is above 0."""

    name: str
    position_samples: int
    length_samples: int = 0
    colour: Colour | None = None


def nesting_fault(parents: Mapping[str, str | None], *, most: int = MAX_NESTING) -> tuple[str, str] | None:
    """The first bus that feeds another as it cannot, and what is wrong; `parents` is by name, None is the mix bus.

    A parent that is no bus, a circle, or more than `most` buses around one.
    """
    for name, parent in parents.items():
        if parent is not None and parent not in parents:
            return name, f"the bus {name!r} feeds {parent!r}, which is no bus{did_you_mean(parent, parents)}"
    for name in parents:
        way = [name]
        while (parent := parents[way[-1]]) is not None:
            if parent in way:
                return (
                    parent,
                    f"the buses feed each other in a circle: {' > '.join([*way[way.index(parent) :], parent])}",
                )
            if len(way) > most:
                return name, f"the bus {name!r} lies inside more than {most} others"
            way.append(parent)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """A whole session as plain data. `returns` are buses that take sends and feed the mix bus.

    `mix_bus` takes all buses and returns and feeds the master; its `name` is always `MIX_BUS`. `reference` is a muted
    track that feeds the master directly (its `output` is "master"). `tempo_bpm` and `time_signature` are those of the
    song; where they change, or where bars begin late, `tempo_events` says it bar by bar.
    """

    name: str
    sample_rate_hz: int
    length_samples: int
    tracks: tuple[Track, ...]
    buses: tuple[Bus, ...]
    mix_bus: Bus
    returns: tuple[Bus, ...] = ()
    reference: Track | None = None
    markers: tuple[Marker, ...] = ()
    tempo_bpm: float = 120.0
    time_signature: tuple[int, int] = (4, 4)
    template: str = ""
    notes: tuple[str, ...] = field(default=())
    tempo_events: tuple[TempoEvent, ...] = ()
    note_tracks: tuple[NoteTrack, ...] = ()

    def notes_of(self, track: Track) -> tuple[NoteTrack, ...]:
        """What stands under a track."""
        return tuple(each for each in self.note_tracks if (each.stem, each.output) == (track.name, track.output))

    def __post_init__(self) -> None:
        if fault := nesting_fault({bus.name: bus.parent for bus in self.buses}, most=2 * MAX_NESTING):
            raise ValueError(fault[1])

    def children(self, name: str) -> tuple[Bus, ...]:
        """The buses that feed the bus of that name, in order; those of the mix bus for `MIX_BUS`."""
        wanted = None if name == MIX_BUS else name
        return tuple(bus for bus in self.buses if bus.parent == wanted)

    def above(self, bus: Bus) -> tuple[Bus, ...]:
        """The buses that a bus runs through on its way to the mix bus, the next one first."""
        by_name = {each.name: each for each in self.buses}
        way: list[Bus] = []
        while bus.parent is not None:
            bus = by_name[bus.parent]
            way.append(bus)
        return tuple(way)

    @property
    def tempo_map(self) -> TempoMap:
        """The tempo all along; one event where nothing changes."""
        still = TempoEvent(bar=0, tempo_bpm=self.tempo_bpm, time_signature=self.time_signature)
        return TempoMap(self.tempo_events or (still,))

    def bus(self, name: str) -> Bus:
        """The bus, return or mix bus of that name; KeyError otherwise."""
        for bus in (*self.buses, *self.returns, self.mix_bus):
            if bus.name == name:
                return bus
        raise KeyError(name)


def find_bus(text: str, buses: Sequence[Bus]) -> Bus:
    """The bus that a person calls `text`: by its name, else by its label, both without regard to case.

    Raises UsageError when there is none, or when several have that label.
    """
    wanted = text.strip().casefold()
    names = ", ".join(bus.name for bus in buses) or "none"
    found = [bus for bus in buses if bus.name.casefold() == wanted]
    found = found or [bus for bus in buses if bus.label.casefold() == wanted]
    if len(found) > 1:
        raise UsageError(f"several buses are called {text!r}; give a name: {names}")
    if not found:
        hint = did_you_mean(text, [bus.name for bus in buses]) or did_you_mean(text, [bus.label for bus in buses])
        raise UsageError(f"no bus called {text!r}{hint}; there are: {names}")
    return found[0]
