"""What an open project consists of, with the defaults that REAPER gives to new things."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import soundfile

from daw_bridge_reaper.stock_state import (
    ReaComp,
    ReaDelay,
    ReaEq,
    ReaEqBand,
    ReaGate,
    ReaLimit,
    ReaVerbate,
    decode_parameters,
)

_ADDRESS = count(0x10000000, 0x100)

TRACK_VALUES = {
    "B_MUTE": 0.0,
    "I_SOLO": 0.0,
    "D_VOL": 1.0,
    "D_PAN": 0.0,
    "D_PANLAW": -1.0,
    "I_PANMODE": -1.0,
    "I_NCHAN": 2.0,
    "I_FOLDERDEPTH": 0.0,
    "I_CUSTOMCOLOR": 0.0,
    "B_MAINSEND": 1.0,
    "C_BEATATTACHMODE": -1.0,
    "I_SELECTED": 0.0,
    "I_FXEN": 1.0,
    "I_FREEMODE": 0.0,
    **{f"C_LANEPLAYS:{lane}": 0.0 for lane in range(16)},
}
ITEM_VALUES = {
    "D_POSITION": 0.0,
    "D_LENGTH": 0.0,
    "B_MUTE": 0.0,
    "B_LOOPSRC": 1.0,
    "D_FADEINLEN": 0.01,
    "D_FADEOUTLEN": 0.01,
    "D_FADEINLEN_AUTO": 0.0,
    "D_FADEOUTLEN_AUTO": 0.0,
    "D_VOL": 1.0,
    "C_BEATATTACHMODE": -1.0,
    "B_UISEL": 0.0,
    "I_FIXEDLANE": 0.0,
}
TAKE_VALUES = {
    "D_STARTOFFS": 0.0,
    "D_VOL": 1.0,
    "D_PAN": 0.0,
    "D_PANLAW": -1.0,
    "D_PLAYRATE": 1.0,
    "D_PITCH": 0.0,
    "B_PPITCH": 1.0,
    "I_CHANMODE": 0.0,
}
SEND_VALUES = {
    "D_VOL": 1.0,
    "D_PAN": 0.0,
    "B_MUTE": 0.0,
    "I_SENDMODE": 0.0,
    "I_SRCCHAN": 0.0,
    "I_DSTCHAN": 0.0,
    "D_PANLAW": -1.0,
    "I_MIDIFLAGS": 0.0,
}


@dataclass(eq=False)
class Thing:
    """Whatever a pointer can point to."""

    address: int = field(default_factory=lambda: next(_ADDRESS), init=False)
    kind = "void*"

    @property
    def pointer(self) -> str:
        return f"({self.kind})0x{self.address:016X}"


@dataclass(eq=False)
class Source(Thing):
    path: str
    parent: Source | None = None
    section: tuple[float, float, bool] | None = None  # offset_s, length_s, reversed
    kind = "PCM_source*"

    def __post_init__(self) -> None:
        self.length_s, self.rate_hz, self.channels, self.type = 0.0, 0, 0, "WAVE"
        if Path(self.path).suffix.lower() == ".mid":
            self.type = "MIDI"
        elif Path(self.path).is_file():
            info = soundfile.info(self.path)
            self.length_s, self.rate_hz, self.channels = info.frames / info.samplerate, info.samplerate, info.channels


@dataclass(eq=False)
class Take(Thing):
    item: Item
    source: Source | None = None
    values: dict[str, float] = field(default_factory=lambda: dict(TAKE_VALUES))
    texts: dict[str, str] = field(default_factory=lambda: {"P_NAME": ""})
    kind = "MediaItem_Take*"


@dataclass(eq=False)
class Item(Thing):
    track: Track
    takes: list[Take] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=lambda: dict(ITEM_VALUES))
    texts: dict[str, str] = field(default_factory=dict)
    kind = "MediaItem*"


EQ_DEFAULT = ReaEq(
    bands=(
        ReaEqBand(kind=0, frequency_hz=100.0, bandwidth_octaves=0.8),
        ReaEqBand(kind=8, frequency_hz=300.0),
        ReaEqBand(kind=8, frequency_hz=1000.0),
        ReaEqBand(kind=1, frequency_hz=5000.0, bandwidth_octaves=0.8),
        ReaEqBand(kind=4, frequency_hz=100.0, enabled=False),
    )
)
CHUNKS = {
    "ReaEQ": EQ_DEFAULT.encode(),
    "ReaLimit": ReaLimit().encode(),
    "ReaDelay": ReaDelay(wet_linear=0.5, dry_linear=1.0).encode(),
}
LISTS = {
    "ReaComp": ReaComp().encode(),
    "ReaGate": ReaGate().encode(),
    "ReaVerbate": ReaVerbate(wet_linear=0.5, dry_linear=1.0).encode(),
}
JSFX = ("JS: sstillwell/1175", "JS: loser/3BandEQ")


@dataclass
class Fx:
    title: str
    chunk: bytes = b""
    parameters: list[float] = field(default_factory=list)
    enabled: bool = True
    pins: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


def make_fx(wanted: str) -> Fx | None:
    """A fresh plug-in by the name that it was asked for; None when REAPER has none."""
    if wanted in JSFX:
        return Fx(wanted, parameters=[0.0] * 64 + [0.0, 1.0, 0.0])
    short = wanted.removeprefix("VST: ").removesuffix(" (Cockos)")
    if short in CHUNKS:
        return Fx(f"VST: {short} (Cockos)", chunk=CHUNKS[short], parameters=[0.0] * 10)
    if short in LISTS:
        return Fx(f"VST: {short} (Cockos)", parameters=[*decode_parameters(LISTS[short]), 0.0, 1.0, 0.0])
    return None


@dataclass(eq=False)
class Track(Thing):
    values: dict[str, float] = field(default_factory=lambda: dict(TRACK_VALUES))
    texts: dict[str, str] = field(default_factory=lambda: {"P_NAME": ""})
    groups: dict[str, int] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    fx: list[Fx] = field(default_factory=list)
    kind = "MediaTrack*"


@dataclass(eq=False)
class Send:
    source: Track
    target: Track
    values: dict[str, float] = field(default_factory=lambda: dict(SEND_VALUES))


@dataclass
class Content:
    """Everything that REAPER's undo covers."""

    tracks: list[Track] = field(default_factory=list)
    master: Track = field(default_factory=Track)
    sends: list[Send] = field(default_factory=list)
    markers: list[tuple[bool, float, float, str, int]] = field(default_factory=list)
    tempo_bpm: float = 120.0
    beats: float = 4.0
    rate_hz: float = 0.0

    def things(self) -> dict[int, Thing]:
        found: dict[int, Thing] = {}
        for track in (self.master, *self.tracks):
            found[track.address] = track
            for item in track.items:
                found[item.address] = item
                for take in item.takes:
                    found[take.address] = take
                    source = take.source
                    while source is not None:
                        found[source.address] = source
                        source = source.parent
        return found

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values, without addresses, for comparison."""
        index = {id(track): place for place, track in enumerate(self.tracks)}
        return {
            "tracks": [
                {
                    "values": dict(track.values),
                    "texts": dict(track.texts),
                    "groups": dict(track.groups),
                    "items": [_plain_item(item) for item in track.items],
                    "fx": [
                        [fx.title, fx.chunk.hex(), fx.parameters, fx.enabled, sorted(fx.pins.items())]
                        for fx in track.fx
                    ],
                }
                for track in self.tracks
            ],
            "sends": [[index[id(send.source)], index[id(send.target)], dict(send.values)] for send in self.sends],
            "markers": [list(marker) for marker in self.markers],
            "settings": [self.tempo_bpm, self.beats, self.rate_hz],
        }


def _plain_fx(fx: Fx) -> list[Any]:
    return [fx.title, fx.chunk.hex(), list(fx.parameters), fx.enabled, sorted(fx.pins.items())]


def _plain_item(item: Item) -> dict[str, Any]:
    return {
        "values": dict(item.values),
        "texts": dict(item.texts),
        "takes": [
            {
                "values": dict(take.values),
                "texts": dict(take.texts),
                "source": take.source.path if take.source else None,
            }
            for take in item.takes
        ],
    }


@dataclass(eq=False)
class Project(Thing):
    path: str = ""
    content: Content = field(default_factory=Content)
    ext: dict[tuple[str, str], str] = field(default_factory=dict)
    undo: list[tuple[str, Content]] = field(default_factory=list)
    kind = "ReaProject*"


@dataclass
class World:
    """REAPER itself: the project, what is being counted, and when to fail."""

    project: Project = field(default_factory=Project)
    others: list[Project] = field(default_factory=list)  # the other tabs
    time_selection: tuple[float, float] = (0.0, 0.0)
    loose: dict[int, Thing] = field(default_factory=dict)
    ext_state: dict[tuple[str, str], str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fail_at: int | None = None
    hang_s: float = 0.0
    block: Content | None = None
    refresh: int = 0
    alive: dict[int, Thing] | None = None
    chunks: list[str] = field(default_factory=list)  # what GetTrackStateChunk answers, by track
    master_chunk: str = "<TRACK\n>\n"

    @property
    def content(self) -> Content:
        return self.project.content

    @property
    def tabs(self) -> list[Project]:
        """All open projects, in the order of their tabs."""
        return sorted([self.project, *self.others], key=lambda project: project.address)

    def select(self, project: Project) -> None:
        """Bring a tab to the front."""
        tabs = self.tabs
        self.project = project
        self.others = [each for each in tabs if each is not project]

    def thing(self, address: int) -> Thing | None:
        for tab in self.tabs:
            if address == tab.address:
                return tab
        if self.alive is None:
            self.alive = {}
            for tab in self.tabs:
                self.alive |= tab.content.things()
        return self.alive.get(address) or self.loose.get(address)

    def begin_undo(self) -> None:
        if self.block is not None:
            raise AssertionError("an undo block is open already")
        self.block = copy.deepcopy(self.content)

    def end_undo(self, title: str) -> None:
        # REAPER takes an end without a beginning; it makes no undo point then.
        if self.block is not None and self.block.plain() != self.content.plain():
            self.project.undo.append((title, self.block))
        self.block = None

    def do_undo(self) -> bool:
        if not self.project.undo:
            return False
        self.project.content = self.project.undo.pop()[1]
        return True
