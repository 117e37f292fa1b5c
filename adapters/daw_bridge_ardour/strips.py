"""A plan as Ardour sees it: a flat list of strips with legal names, numbered ids and resolved connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import InputError
from daw_bridge.files import safe_name
from daw_bridge.model import Bus, Clip, Colour, NoteTrack, SessionPlan, Track
from daw_bridge_ardour.effects import Insert, chain_of
from daw_bridge_ardour.names import Names, printable

MASTER = "Master"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripSend:
    """`to` is the strip that takes it; a `key` send drives the detector of insert number `insert` there."""

    to: str
    gain_db: float
    pre_fader: bool = False
    key: bool = False
    insert: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One mixer strip. `channels` is 1 only for a mono track; `output` is the strip that it feeds (None: hardware)."""

    name: str
    kind: Literal["track", "bus", "master"]
    channels: int = 2
    output: str | None = MASTER
    colour: Colour | None = None
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    soloed_upstream: int = 0
    soloed_downstream: int = 0
    inserts: tuple[Insert, ...] = ()
    sends: tuple[StripSend, ...] = ()
    group: str | None = None
    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteStrip:
    """A MIDI track under the strip `under`; `file` holds its notes, `colour` is Ardour's number."""

    name: str
    under: str
    file: str
    mute: bool
    colour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """All strips in the order of the mixer, the master first, and what could not be expressed.

    `drafts` are the plan's tracks of notes, in their order.
    """

    strips: tuple[Strip, ...]
    drafts: tuple[NoteStrip, ...]
    limits: tuple[Limit, ...]


def mixer_of(plan: SessionPlan) -> Mixer:
    """The plan's tracks, buses, returns, mix bus and reference as strips.

    Raises InputError for a clip of more than two channels or of another rate, and for a bus that does not exist.
    """
    names = Names()
    losses = Losses()
    buses = (*plan.buses, *plan.returns, plan.mix_bus)
    called = {bus.name: names.take(bus.label or bus.name, fallback="Bus") for bus in buses}
    returns = {bus.name for bus in plan.returns}
    strips = [Strip(name=MASTER, kind="master", output=None)]
    for track in plan.tracks:
        strips.append(_track(track, names, plan, _lookup(called, track.output, track.name)))
    for bus in buses:
        output = MASTER if bus.name == plan.mix_bus.name else called[bus.parent or plan.mix_bus.name]
        strips.append(_bus(bus, called, returns, output, plan.sample_rate_hz, losses))
    if plan.reference is not None:
        strips.append(_track(plan.reference, names, plan, MASTER))
    for wanted, name in [*((bus.label or bus.name, called[bus.name]) for bus in buses), *_track_names(plan, strips)]:
        if name != wanted:
            what = f'is called {name!r}: Ardour takes no / \\ : | " < > * ? in names, and each name only once'
            losses.at(wanted).bent(Feature.BUSES, what)
    under = {track.name: strip.name for track, strip in zip(plan.tracks, strips[1:], strict=False)}
    drafts = tuple(_draft(track, under[track.stem], names, at) for at, track in enumerate(plan.note_tracks, 1))
    made = tuple(_with_solo(_with_key_sends(strips, called)))
    return Mixer(strips=made, drafts=drafts, limits=tuple(losses.limits))


def _draft(track: NoteTrack, under: str, names: Names, number: int) -> NoteStrip:
    name = names.take(track.name, fallback="Notes", suffix="notes")
    colour = 0 if track.colour is None else int(track.colour.hex()[1:], 16) << 8 | 0xFF
    file = f"{safe_name(name, fallback='notes')} {number}.mid"
    return NoteStrip(name=name, under=under, file=file, mute=track.mute, colour=colour)


def _track_names(plan: SessionPlan, strips: Iterable[Strip]) -> list[tuple[str, str]]:
    tracks = [*plan.tracks, *([plan.reference] if plan.reference else [])]
    made = [strip for strip in strips if strip.kind == "track"]
    return [(track.name, strip.name) for track, strip in zip(tracks, made, strict=True)]


def _lookup(called: dict[str, str], bus: str, where: str) -> str:
    if bus not in called:
        raise InputError(f"{where}: feeds the bus {bus!r}, which the session does not have; known: {', '.join(called)}")
    return called[bus]


def _track(track: Track, names: Names, plan: SessionPlan, output: str) -> Strip:
    for clip in track.clips:
        if clip.sample_rate_hz != plan.sample_rate_hz:
            raise InputError(f"{clip.path}: {clip.sample_rate_hz} Hz in a session of {plan.sample_rate_hz} Hz")
        if clip.channels not in (1, 2):
            raise InputError(f"{clip.path}: {clip.channels} channels; sessions take mono and stereo files")
    # A mono strip that is panned becomes a stereo one with the file on both sides: Ardour's mono panner lowers the
    # centre by 3 dB, its stereo balance leaves it alone.
    mono = all(clip.channels == 1 for clip in track.clips) and bool(track.clips) and track.pan == 0.0
    return Strip(
        name=names.take(track.name, fallback="Audio", suffix="stem"),
        kind="track",
        channels=1 if mono else 2,
        output=output,
        colour=track.colour,
        gain_db=track.gain_db,
        pan=track.pan,
        mute=track.mute,
        solo=track.solo,
        clips=track.clips,
    )


def _bus(
    bus: Bus, called: dict[str, str], returns: set[str], output: str, sample_rate_hz: int, losses: Losses
) -> Strip:
    inserts = chain_of(bus.effects, losses.at(bus.label or bus.name), sample_rate_hz)
    for send in bus.sends:
        if send.to not in returns:
            raise InputError(f"{bus.name}: sends to {send.to!r}, which is no return of this session")
    return Strip(
        name=called[bus.name],
        kind="bus",
        output=output,
        colour=bus.colour,
        gain_db=bus.gain_db,
        pan=bus.pan,
        mute=bus.mute,
        solo=bus.solo,
        inserts=inserts,
        sends=tuple(StripSend(to=called[s.to], gain_db=s.gain_db, pre_fader=s.pre_fader) for s in bus.sends),
        group=printable(bus.group) if bus.group else None,
    )


def _with_key_sends(strips: list[Strip], called: dict[str, str]) -> list[Strip]:
    """Every side-chain as a send of the key bus: both channels at half level into the compressor's mono key input."""
    keys: dict[str, list[StripSend]] = {}
    for strip in strips:
        for number, insert in enumerate(strip.inserts):
            if insert.sidechain_bus is not None:
                key = _lookup(called, insert.sidechain_bus, f"side-chain of {strip.name}")
                keys.setdefault(key, []).append(StripSend(to=strip.name, gain_db=-6.0206, key=True, insert=number))
    return [replace(strip, sends=(*strip.sends, *keys.get(strip.name, ()))) for strip in strips]


def _with_solo(strips: list[Strip]) -> list[Strip]:
    """How many soloed strips lie before and behind each strip: Ardour stores both, so that a soloed bus is heard."""
    feeds = {s.name: [*([s.output] if s.output else []), *(t.to for t in s.sends if not t.key)] for s in strips}

    def behind(name: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(feeds[name])
        while ahead:
            reached = ahead.pop()
            if reached not in seen:
                seen.add(reached)
                ahead += feeds[reached]
        return seen

    downstream = {strip.name: behind(strip.name) for strip in strips}
    soloed = [strip.name for strip in strips if strip.solo]
    return [
        replace(
            strip,
            soloed_upstream=sum(strip.name in downstream[name] for name in soloed),
            soloed_downstream=sum(name in downstream[strip.name] for name in soloed),
        )
        for strip in strips
    ]
