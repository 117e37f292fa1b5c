"""StemSet + BusTemplate -> SessionPlan: pure, no I/O.

What the template doesn't mention gets a neutral bus at its place in the session, so nothing is ever lost; what it
mentions but the set doesn't have is left out, with all that depends on it, and said in the plan's notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.model import (
    MIX_BUS,
    RESERVED_NAMES,
    Bus,
    Clip,
    Colour,
    Compressor,
    Effect,
    Equalizer,
    Marker,
    Note,
    NoteTrack,
    SessionPlan,
    Stem,
    StemSet,
    Track,
)
from daw_bridge.music import SongMusic
from daw_bridge.templates.bus_template import BusTemplate, TemplateBus, TemplateMarker
from daw_bridge.tempo_map import TempoMap
from daw_bridge.units import s_to_samples

MIX_LABEL = "MIX BUS"
CLICK = "click"
MIX_COLOUR = Colour.from_hex("#e8e8e8")
RETURN_COLOUR = Colour.from_hex("#b48ead")
REFERENCE_COLOUR = Colour.from_hex("#5c5c5c")

NYQUIST_SHARE = 0.98
"""A filter's corner must lie below this share of half the rate; DAWs clamp or misplace what is higher."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of stems: its place in the session and its colour."""

    rank: int
    colour: Colour
    stems: tuple[str, ...]


FAMILIES = {
    "drums": Family(
        0,
        Colour.from_hex("#d6453d"),
        ("drums", "drum", "kick", "snare", "toms", "hh", "hihat", "cymbals", "ride", "crash", "drums-rest"),
    ),
    "percussion": Family(1, Colour.from_hex("#e2822f"), ("percussion",)),
    "bass": Family(2, Colour.from_hex("#8a5fc9"), ("bass",)),
    "guitars": Family(3, Colour.from_hex("#4caf50"), ("guitar", "guitars", "acoustic_guitar", "electric_guitar")),
    "keys": Family(4, Colour.from_hex("#d9b93b"), ("piano", "keys", "synth", "organ")),
    "vocals": Family(
        5, Colour.from_hex("#3f8fe0"), ("vocals", "vocal", "lead", "dry", "lead_vocals", "speech", "dialogue")
    ),
    "backing": Family(
        6, Colour.from_hex("#7db8f0"), ("backing", "backing_vocals", "choir", "reverb", "vocals-rest", "lead-rest")
    ),
    "other": Family(7, Colour.from_hex("#3fb6a8"), ("other", "instrumental", "music", "effects", "strings", "wind")),
    "residual": Family(9, Colour.from_hex("#8c8c8c"), ("residual",)),
}
"""Session order and colours of the field, by family; the templates that come with the program use the same."""

_FAMILY_OF = {stem: family for family in FAMILIES.values() for stem in family.stems}


def family_of(stem_name: str) -> Family:
    """The family of a stem by its name; what is unknown, and the `no_x` of a two-stem set, belongs to `other`."""
    return _FAMILY_OF.get(stem_name.casefold(), FAMILIES["other"])


def make_plan(
    stems: StemSet, template: BusTemplate, *, name: str, music: SongMusic | None = None, folder: Path | None = None
) -> SessionPlan:
    """The session called `name`: each stem on a track from its offset, each track on its bus as the template says.

    `music` brings tempo, regions and a click; its files are relative to `folder`.
    """
    notes: list[str] = []
    mixer = _Mixer(stems, template)
    notes += mixer.notes()
    reference = stems.reference
    if music is not None and music.tempo_events:
        template = replace(template, tempo_bpm=music.tempo_bpm, time_signature=music.time_signature)
    frame = _session_frame(template, [place.bus for place in mixer.places], reference.sample_rate_hz, notes)
    frame = replace(
        frame,
        name=name,
        length_samples=reference.length_samples,
        tracks=tuple(_track(stem, place.bus) for place in mixer.places for stem in place.stems),
        reference=_reference(stems, template),
        tempo_events=music.tempo_events if music is not None and len(music.tempo_events) > 1 else (),
    )
    markers = tuple(_markers(template, reference, frame.tempo_map, notes))
    frame = replace(frame, markers=markers, notes=tuple(notes))
    return _with_music(frame, reference, music, folder) if music is not None else frame


def _with_music(plan: SessionPlan, reference: Stem, music: SongMusic, folder: Path | None) -> SessionPlan:
    """The plan with regions, the key, remarks, and the click at its end."""
    rate, end = plan.sample_rate_hz, plan.length_samples
    markers = list(plan.markers)
    if music.key:
        markers.append(Marker(name=f"Key: {music.key}", position_samples=0))
    for region in music.sections:
        start = min(s_to_samples(region.start_s, rate), end)
        length = min(s_to_samples(region.end_s, rate), end) - start
        markers.append(Marker(name=region.name, position_samples=start, length_samples=length))
    tracks = list(plan.tracks)
    if music.click_file and folder is not None:
        click = replace(_clip(reference), path=folder / music.click_file, name=CLICK, channels=1)
        tracks.append(Track(name=CLICK, output=MIX_BUS, clips=(click,), colour=REFERENCE_COLOUR, mute=True))
    key = (f"Key: {music.key}",) if music.key else ()
    notes = (*plan.notes, *music.remarks, *key)
    drafts = tuple(_drafts(plan, music))
    return replace(plan, markers=tuple(markers), tracks=tuple(tracks), notes=notes, note_tracks=drafts)


def _drafts(plan: SessionPlan, music: SongMusic) -> Iterator[NoteTrack]:
    """A track of notes for each stem whose notes were heard; nothing of it lies behind the end."""
    rate, end = plan.sample_rate_hz, plan.length_samples
    tracks = {track.name: track for track in plan.tracks}
    for draft in music.notes:
        track = tracks.get(draft.stem)
        if track is None or not draft.notes:
            continue
        notes = []
        for each in draft.notes:
            start = s_to_samples(each.start_s, rate)
            length = min(s_to_samples(each.length_s, rate), end - start)
            if length > 0:
                notes.append(Note(position_samples=start, length_samples=length, key=each.key, velocity=each.velocity))
        yield NoteTrack(
            name=f"{track.name} notes", stem=track.name, output=track.output, notes=tuple(notes), colour=track.colour
        )


def empty_plan(template: BusTemplate, *, name: str, sample_rate_hz: int) -> SessionPlan:
    """A session with all of the template's buses and nothing on them yet, for scripts that import audio themselves.

    The template's markers are left out: a session without audio has no end that they could be held against.
    """
    notes: list[str] = []
    buses = [_to_bus(each, family_of((each.stems or (each.name,))[0]).colour) for each in template.buses]
    buses = [place.bus for place in _depth_first([_Place(bus, (), 0) for bus in buses])]
    frame = _session_frame(template, buses, sample_rate_hz, notes)
    return replace(frame, name=name, notes=tuple(notes))


def _session_frame(template: BusTemplate, buses: Sequence[Bus], sample_rate_hz: int, notes: list[str]) -> SessionPlan:
    """Buses, returns, mix bus and tempo, wired as far as these buses and this rate allow."""
    wiring = _Wiring(present={bus.name for bus in buses}, sample_rate_hz=sample_rate_hz, notes=notes)
    return SessionPlan(
        name="",
        sample_rate_hz=sample_rate_hz,
        length_samples=0,
        tracks=(),
        buses=tuple(wiring.bus(bus) for bus in buses),
        returns=tuple(wiring.bus(_to_bus(each, RETURN_COLOUR)) for each in template.returns),
        mix_bus=wiring.bus(_to_bus(template.mix_bus, MIX_COLOUR, MIX_LABEL)),
        tempo_bpm=template.tempo_bpm,
        time_signature=template.time_signature,
        template=template.name,
    )


def neutral_bus(name: str, *, label: str = "", colour: Colour | None = None, gain_db: float = 0.0) -> Bus:
    """A bus without effects, in the colour of the stem family that its name belongs to."""
    return Bus(name=name, label=label or _label(name), colour=colour or family_of(name).colour, gain_db=gain_db)


@dataclass(frozen=True, slots=True)
class _Place:
    """A bus in the making, with its stems."""

    bus: Bus
    stems: tuple[Stem, ...]
    rank: int


class _Mixer:
    """Buses in session order: the template's that have any stems in them, and a neutral one for each other stem.

    What was taken out of a stem lies inside the bus of that stem: the template's, where it has one, else a neutral one.
    """

    def __init__(self, stems: StemSet, template: BusTemplate) -> None:
        self._template = template
        self._names = {name.casefold() for name in RESERVED_NAMES}
        self._names |= {each.name.casefold() for each in (*template.buses, *template.returns)}
        self._owners = {stem.casefold(): each.name for each in template.buses for stem in each.stems or (each.name,)}
        self._folders: dict[tuple[str, ...], str] = {}
        self.left = [stem for stem in stems.stems if stem.name.casefold() not in self._owners]
        self.places = self._listed([stem for stem in stems.stems if stem not in self.left])
        self.without_stem = [each.name for each in template.buses if all(p.bus.name != each.name for p in self.places)]
        for stem in sorted(self.left, key=lambda stem: _family(stem).rank):
            self._insert(stem.name, _family(stem), self._parent(stem), (stem,))
        self.places = _depth_first(self.places)

    def notes(self) -> list[str]:
        """What the template and this song do not have of each other."""
        found = []
        if self.without_stem:
            found.append(f"left out, as this song has no stem for them: {', '.join(self.without_stem)}")
        unknown = [stem.name for stem in self.left if stem.role != "residual"]
        if self._template.buses and unknown:
            found.append(f"on neutral buses, as the template doesn't mention them: {', '.join(unknown)}")
        return found

    def _listed(self, stems: Sequence[Stem]) -> list[_Place]:
        """The template's buses that take a stem, or something that was taken out of one, and those around them."""
        above = {each.name: each.parent for each in self._template.buses}
        needed: set[str] = set()
        for name in (*(self._owners[stem.name.casefold()] for stem in stems), *map(self._anchor, self.left)):
            place: str | None = name or None
            while place is not None:
                needed.add(place)
                place = above[place]
        places = []
        for each in self._template.buses:
            wanted = [stem.casefold() for stem in each.stems or (each.name,)]
            members = sorted(
                (stem for stem in stems if stem.name.casefold() in wanted),
                key=lambda stem, wanted=wanted: wanted.index(stem.name.casefold()),  # type: ignore[misc]
            )
            if each.name in needed:
                family = _family(members[0]) if members else family_of(wanted[0])
                places.append(_Place(_to_bus(each, family.colour), tuple(members), family.rank))
        return places

    def _anchor(self, stem: Stem) -> str:
        """The template's bus for the nearest stem that this one was taken out of; empty when it has none."""
        owners = (self._owners.get(name.casefold(), "") for name in reversed(stem.parents))
        return next((owner for owner in owners if owner), "")

    def _parent(self, stem: Stem) -> str | None:
        """The bus in which a stem that the template doesn't mention lies; neutral ones are made as needed."""
        bus = self._anchor(stem) or None
        known = [index for index, name in enumerate(stem.parents) if name.casefold() in self._owners]
        for depth in range(known[-1] + 2 if known else 1, len(stem.parents) + 1):
            path = stem.parents[:depth]
            inside = sum(each.parents[:depth] == path for each in self.left)
            if path not in self._folders and inside > 1:  # one alone needs no bus around it
                self._folders[path] = self._insert(path[-1], _family_in(path), bus, ())
            bus = self._folders.get(path, bus)
        return bus

    def _insert(self, wanted: str, family: Family, parent: str | None, stems: tuple[Stem, ...]) -> str:
        """Put a neutral bus behind the last one beside it that belongs before it; its name. The template's own order is
        not touched."""
        name = _free_name(wanted, self._names)
        self._names.add(name.casefold())
        label = _label(wanted)
        if any(place.bus.label == label for place in self.places):
            label = _label(name)
        bus = replace(neutral_bus(name, label=label, colour=family.colour), parent=parent)
        beside = [index for index, place in enumerate(self.places) if place.bus.parent == parent]
        before = [index for index in beside if self.places[index].rank <= family.rank]
        self.places.insert(before[-1] + 1 if before else 0, _Place(bus, stems, family.rank))
        return name


def _depth_first(places: Sequence[_Place]) -> list[_Place]:
    """Each bus followed by those inside it."""
    ordered: list[_Place] = []
    todo = [place for place in places if place.bus.parent is None]
    while todo:
        place = todo.pop(0)
        ordered.append(place)
        todo[:0] = [inner for inner in places if inner.bus.parent == place.bus.name]
    return ordered


def _family(stem: Stem) -> Family:
    return FAMILIES["residual"] if stem.role == "residual" else _family_in((*stem.parents, stem.name))


def _family_in(path: Sequence[str]) -> Family:
    """The family of the last stem of a path, or of the nearest one around it that is known."""
    known = (_FAMILY_OF[name.casefold()] for name in reversed(path) if name.casefold() in _FAMILY_OF)
    return next(known, FAMILIES["other"])


def _free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_2`, `name_3`, ... when it is taken."""
    taken = set(taken)
    free, count = name, 1
    while free.casefold() in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def _label(name: str) -> str:
    return name.replace("_", " ").upper()


def _to_bus(each: TemplateBus, colour: Colour, label: str | None = None) -> Bus:
    return Bus(
        name=each.name,
        label=each.label or label or _label(each.name),
        colour=each.colour or colour,
        gain_db=each.gain_db,
        pan=each.pan,
        mute=each.mute,
        solo=each.solo,
        effects=each.effects,
        sends=each.sends,
        group=each.group,
        parent=each.parent,
    )


def _track(stem: Stem, bus: Bus) -> Track:
    return Track(name=stem.name, output=bus.name, clips=(_clip(stem),), colour=bus.colour)


def _clip(stem: Stem) -> Clip:
    return Clip(
        path=stem.path,
        name=stem.name,
        sample_rate_hz=stem.sample_rate_hz,
        channels=stem.channels,
        length_samples=stem.length_samples,
        position_samples=stem.offset_samples,
    )


def _reference(stems: StemSet, template: BusTemplate) -> Track | None:
    if not template.reference.include:
        return None
    return Track(
        name=template.reference.name,
        output="master",
        clips=(_clip(stems.reference),),
        colour=template.reference.colour or REFERENCE_COLOUR,
        mute=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wiring:
    """Takes out of a bus what this set of stems or this rate cannot have, with a note for each."""

    present: set[str]
    sample_rate_hz: int
    notes: list[str]

    def bus(self, bus: Bus) -> Bus:
        return replace(bus, effects=tuple(self._effects(bus)))

    def _effects(self, bus: Bus) -> Iterator[Effect]:
        for effect in bus.effects:
            if isinstance(effect, Compressor) and effect.sidechain_bus not in (None, *self.present):
                # Listening to itself it would be another effect, and without its key it does nothing: so it goes.
                self.notes.append(
                    f"{bus.name!r}: its compressor with side-chain from {effect.sidechain_bus!r} is left out, "
                    "as that bus is not there"
                )
            elif isinstance(effect, Equalizer):
                yield from self._equalizer(bus, effect)
            else:
                yield effect

    def _equalizer(self, bus: Bus, effect: Equalizer) -> Iterator[Equalizer]:
        limit_hz = NYQUIST_SHARE * self.sample_rate_hz / 2.0
        fitting = tuple(band for band in effect.bands if band.frequency_hz < limit_hz)
        for band in effect.bands:
            if band not in fitting:
                self.notes.append(
                    f"{bus.name!r}: the {band.kind} band at {band.frequency_hz:g} Hz is left out, "
                    f"as it does not fit the rate of {self.sample_rate_hz} Hz"
                )
        if fitting:
            yield replace(effect, bands=fitting)


def _markers(template: BusTemplate, reference: Stem, tempo: TempoMap, notes: list[str]) -> Iterator[Marker]:
    rate, end = reference.sample_rate_hz, reference.length_samples
    for each in template.markers:
        start_s = _start_s(each, tempo)
        start = s_to_samples(start_s, rate)
        length_s = each.length_s if each.length_s is not None else _bars_s(each.length_bars or 0.0, start_s, tempo)
        length = s_to_samples(length_s, rate)
        if start > end:
            notes.append(f"marker {each.name!r} is left out: it lies behind the end of the song")
            continue
        if start + length > end:
            notes.append(f"region {each.name!r} is cut at the end of the song")
            length = end - start
        yield Marker(name=each.name, position_samples=start, length_samples=length, colour=each.colour)


def _start_s(marker: TemplateMarker, tempo: TempoMap) -> float:
    if marker.position_s is not None:
        return marker.position_s
    return tempo.bar_s((marker.position_bar or 1.0) - 1.0)


def _bars_s(length_bars: float, start_s: float, tempo: TempoMap) -> float:
    """How long so many bars are from a time on."""
    return tempo.bar_s(tempo.bar(start_s) + length_bars) - start_s
