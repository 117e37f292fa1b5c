"""The contract between the core and a DAW: what an adapter is, what it can express, what it reports back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self, assert_never, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from daw_bridge.errors import InputError, OutputError, UsageError, did_you_mean
from daw_bridge.model import (
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    SessionPlan,
)
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress
from daw_bridge.units import clock


class Feature(StrEnum):
    """The rows of the table in docs/adapters.md."""

    CLIPS = "clips"
    BUSES = "buses"
    NESTING = "nested buses"
    GAIN_PAN_MUTE_SOLO = "gain, pan, mute, solo"
    SENDS = "sends"
    RETURNS = "returns"
    MIX_BUS = "mix bus"
    REFERENCE = "muted reference track"
    EQUALIZER = "equalizer"
    COMPRESSOR = "compressor"
    SIDECHAIN = "side-chain"
    GATE = "gate"
    LIMITER = "limiter"
    GAIN = "gain insert"
    REVERB = "reverb"
    DELAY = "delay"
    PLUGIN = "plug-in pass-through"
    COLOURS = "colours"
    GROUPS = "groups"
    MARKERS = "markers"
    TEMPO = "tempo"
    NOTES = "notes (MIDI)"


class Support(StrEnum):
    EXACT = "exact"
    APPROXIMATED = "approximated"
    NOT_POSSIBLE = "not possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One thing that the session lost or bent on its way into a DAW. `where` names the bus or track."""

    feature: Feature
    support: Support
    where: str
    what: str


@dataclass(slots=True)
class Losses:
    """Collects what a session loses or bends on its way into a DAW, each thing once.

    `where` names the bus or track that is being written; `at` gives the same collector for another one.
    """

    where: str = "session"
    limits: list[Limit] = field(default_factory=list)

    def at(self, where: str) -> Losses:
        return Losses(where, self.limits)

    def bent(self, feature: Feature, what: str) -> None:
        self._add(feature, Support.APPROXIMATED, what)

    def lost(self, feature: Feature, what: str) -> None:
        self._add(feature, Support.NOT_POSSIBLE, what)

    def _add(self, feature: Feature, support: Support, what: str) -> None:
        limit = Limit(feature=feature, support=support, where=self.where, what=what)
        if limit not in self.limits:
            self.limits.append(limit)

    def clamp(self, feature: Feature, name: str, value: float, low: float, high: float) -> float:
        """`value` within a plug-in's range; said when it was not."""
        inside = min(max(value, low), high)
        if inside != value:
            self.bent(feature, f"{name} {value:g} is outside the plug-in's range and became {inside:g}")
        return inside


def feature_of(effect: Effect) -> Feature:  # noqa: PLR0911  # one line a type
    """The row of the table under which the limits of an effect are told."""
    match effect:
        case Equalizer():
            return Feature.EQUALIZER
        case Compressor():
            return Feature.COMPRESSOR
        case Gate():
            return Feature.GATE
        case Limiter():
            return Feature.LIMITER
        case Gain():
            return Feature.GAIN
        case Reverb():
            return Feature.REVERB
        case Delay():
            return Feature.DELAY
        case PluginRef():
            return Feature.PLUGIN
        case _:
            assert_never(effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """What an adapter made. `session_path` is what a person opens, `how_to_open` the sentence that says how."""

    adapter: str
    session_path: Path
    files: tuple[Path, ...]
    how_to_open: str
    limits: tuple[Limit, ...] = ()


@runtime_checkable
class SessionAdapter(Protocol):
    """Writes a plan as a session of one DAW. Stateless; found by name through `daw_bridge.registry`."""

    @property
    def name(self) -> str:
        """The name for `--daw`."""
        ...

    @property
    def title(self) -> str:
        """What a person calls it."""
        ...

    @property
    def features(self) -> Mapping[Feature, Support]:
        """How well each feature is expressed; a feature that is left out is not possible."""
        ...

    def session_path(self, folder: Path, name: str) -> Path:
        """Where `write` would put the session: a file or a folder. The caller picks a `name` that is free."""
        ...

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write the session into `folder` (media are referenced relative to it where they lie below it).

        Whole or not at all. Raises OutputError when `session_path(folder, name)` exists.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of `daw-bridge doctor`. `fix` says how to get what is missing; `optional` parts may be missing."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    optional: bool = True


@runtime_checkable
class Diagnosable(Protocol):
    """An adapter that can say whether its DAW is here and set up."""

    def doctor(self) -> list[Check]:
        """Each link of the chain, in the order in which a person would mend it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """A session read back: `plan` holds what a plan can say of it, `limits` what it could not."""

    plan: SessionPlan
    limits: tuple[Limit, ...] = ()


@runtime_checkable
class SessionReader(Protocol):
    """An adapter that can read a session of its DAW, for `templates extract`."""

    def read_plan(self, session: Path) -> ReadReport:
        """Buses, chains, sends, colours, markers of a session file. Raises InputError for what is no session."""
        ...


@runtime_checkable
class OpenSessionReader(Protocol):
    """An adapter that can read the session that is open in its DAW, for `templates extract --live`."""

    def read_open_plan(self) -> ReadReport:
        """As SessionReader.read_plan. Raises DawUnreachable when no DAW answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlace:
    """Where a plan goes in a session that is there: `at` is the name of a marker or region, or a time (s or m:ss);
    `bus_map` pairs stems with tracks of the session that take them instead of the plan's buses."""

    at: str | None = None
    bus_map: tuple[tuple[str, str], ...] = ()


AT_THE_START = MergePlace()


@runtime_checkable
class SessionMerger(Protocol):
    """An adapter that can put a plan into a copy of a session that somebody made, for `build --into`."""

    def check_merge(self, session: Path, target: Path, place: MergePlace = AT_THE_START) -> None:
        """Raise what `merge` would raise for this session, target and place, before the long work begins."""
        ...

    def merge(self, plan: SessionPlan, session: Path, target: Path, place: MergePlace = AT_THE_START) -> WriteReport:
        """Write `target`: everything that is in `session`, and the plan's tracks behind it.

        Raises InputError for a session that cannot be used, UsageError for a place that is not in it, OutputError when
        `target` exists.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderReport:
    """A session as sound. -inf LUFS means that it is silent or shorter than 0.4 s."""

    path: Path
    channels: int
    sample_rate_hz: int
    length_samples: int
    integrated_lufs: float
    true_peak_dbtp: float
    limits: tuple[Limit, ...] = ()


@runtime_checkable
class PlanRenderer(Protocol):
    """Plays a plan into a WAV file without a DAW; the adapter called `render` is one."""

    def render(
        self,
        plan: SessionPlan,
        target: Path,
        *,
        bus: str | None = None,
        reference: bool = False,
        gain_db: float = 0.0,
        overwrite: bool = False,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """The whole session, or one `bus` or return alone, or the `reference` track alone, with `gain_db` at the end.

        Raises UsageError for an unknown bus, InputError for media that don't fit, OutputError when `target` exists
        and `overwrite` is not given.
        """
        ...


class Playback(Protocol):
    """A session's sound as it goes on; a context manager."""

    @property
    def position_samples(self) -> int:
        """Where the next block begins."""
        ...

    def read(self) -> NDArray[np.float32]:
        """The next block, float32 (2, n); n is 0 at the end. Blocks end on one grid, wherever the playback began."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class PlanPlayer(Protocol):
    """Plays a plan from any place on, without a DAW and without a file; the adapter called `render` is one."""

    def play_from(self, plan: SessionPlan, begin_samples: int, *, bus: str | None = None) -> Playback:
        """What the session plays from that sample on; `bus` is one bus or return alone.

        Enough of what came before is played unheard that effects are as they would be. Raises UsageError, InputError.
        """
        ...

    def equalizer_sections(self, bands: tuple[EqBand, ...], sample_rate_hz: int) -> list[list[float]]:
        """The filters of the enabled bands as second-order sections `b0 b1 b2 a0 a1 a2`: what a curve is drawn from."""
        ...


class LiveSession(Protocol):
    """A session that is open in a DAW; each call is one undo step there. Close it, or use it as a context manager."""

    @property
    def buses(self) -> tuple[str, ...]:
        """The names of what audio can be put on, in the order of the mixer; their numbers count from 1."""
        ...

    def import_audio(
        self,
        path: Path | str,
        *,
        target_bus: str | int,
        align_to: str | float = "project_start",
        name: str | None = None,
    ) -> str:
        """Put a whole file on a new track that feeds `target_bus`; the name of the track.

        `target_bus` is the name or label of a bus that is there, whatever its case, or its number from 1.
        `align_to` is "project_start", the name of a marker, or a time in seconds. Raises UsageError for an unknown bus
        or marker, InputError for a file that cannot be used, DawError when the DAW refuses; nothing is left then.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> LiveSession: ...

    def __exit__(self, *exc: object) -> None: ...


def new_session(target: Path, name: str, *, what: str, marks: str = "/\\") -> Path:
    """`target`, where nothing is yet. UsageError for a `name` that is a path or has one of `marks`, OutputError when
    something is there."""
    if name in ("", ".", "..") or any(mark in name for mark in marks):
        raise UsageError(f"{name!r} cannot name {what}; leave out {' '.join(marks)}")
    if os.path.lexists(target):
        raise OutputError(f"{target}: exists already; sessions are never overwritten, give another name or folder")
    return target


def require_audio(path: Path) -> None:
    """InputError for a clip's file that is gone."""
    if not path.is_file():
        raise InputError(f"{path}: no such audio file; separate the mix again or restore the file")


PROJECT_START = "project_start"


def place_s(align_to: str | float, markers_s: Callable[[], Mapping[str, float]]) -> float:
    """Where `align_to` is, in seconds: the project's start, a marker by its name, or a time.

    `markers_s` is asked only where a marker is named. Raises UsageError for an unknown one, or a time before the start.
    """
    if align_to == PROJECT_START:
        return 0.0
    if isinstance(align_to, str):
        markers = markers_s()
        if align_to not in markers:
            raise UsageError(
                f"no marker called {align_to!r}{did_you_mean(align_to, markers)}; "
                f"align to {PROJECT_START!r}, a marker, or a time in seconds"
            )
        return markers[align_to]
    if not 0.0 <= align_to < float("inf"):
        raise UsageError(f"cannot align to {align_to} s; the project starts at {clock(0)}")
    return float(align_to)


@runtime_checkable
class Connectable(Protocol):
    """An adapter that can drive the session that is open in its DAW, for `Session.connect`."""

    def open_session(self) -> LiveSession:
        """Raises DawUnreachable when no DAW answers."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """An adapter that needs its DAW to run."""

    def require_reachable(self) -> None:
        """Raise DawUnreachable now rather than after hours of separation."""
        ...
