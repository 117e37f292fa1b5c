"""Hypothesis strategies for plans and templates: any value that the model allows, within the templates' ranges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hypothesis import strategies as st

from daw_bridge.model import (
    BandKind,
    Bus,
    Clip,
    Colour,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    Marker,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
    Track,
)
from daw_bridge.templates.bus_template import BusTemplate, TemplateBus, TemplateMarker, TemplateReference
from daw_bridge.tempo_map import TempoEvent

names = st.text(st.characters(blacklist_categories=["C", "Z"], blacklist_characters="\ufeff"), min_size=1, max_size=12)
file_names = st.from_regex(r"[\w #;'&é-]{1,20}\.wav", fullmatch=True).filter(lambda text: text.strip() == text)
levels = st.floats(-60, 12)
unit = st.floats(0, 1)
flags = st.booleans()
colours = st.none() | st.builds(Colour, red=st.integers(0, 255), green=st.integers(0, 255), blue=st.integers(0, 255))

GAINED = (BandKind.BELL, BandKind.LOWSHELF, BandKind.HIGHSHELF)
bands = st.builds(
    EqBand, kind=st.sampled_from(GAINED), frequency_hz=st.floats(20, 20e3), gain_db=st.floats(-24, 24),
    q=st.floats(0.1, 30), enabled=flags,
) | st.builds(
    EqBand, kind=st.sampled_from([kind for kind in BandKind if kind not in GAINED]), frequency_hz=st.floats(20, 20e3),
    q=st.floats(0.1, 30), enabled=flags,
)  # fmt: skip
insert_effects = st.one_of(
    st.builds(Equalizer, bands=st.lists(bands, min_size=1, max_size=3).map(tuple), enabled=flags),
    st.builds(
        Compressor, threshold_db=st.floats(-60, 0), ratio=st.floats(1, 100), attack_ms=st.floats(0.1, 200),
        release_ms=st.floats(1, 2000), knee_db=st.floats(0, 24), makeup_db=st.floats(-24, 24),
        sidechain_bus=st.none(), enabled=flags,
    ),
    st.builds(
        Gate, threshold_db=st.floats(-80, 0), attack_ms=st.floats(0.1, 200), hold_ms=st.floats(0, 1000),
        release_ms=st.floats(1, 2000), enabled=flags,
    ),
    st.builds(
        Limiter, ceiling_db=st.floats(-20, 0), threshold_db=st.floats(-20, 0), release_ms=st.floats(1, 2000),
        enabled=flags,
    ),
    st.builds(Gain, gain_db=st.floats(-60, 24), enabled=flags),
    st.builds(
        PluginRef, daw=st.sampled_from(["reaper", "ardour"]), name=names,
        parameters=st.dictionaries(names, st.floats(-1e6, 1e6), max_size=3).map(lambda found: tuple(found.items())),
        state=st.text("abcXYZ012+/=", max_size=20), enabled=flags,
    ),
)  # fmt: skip
return_effects = insert_effects | st.one_of(
    st.builds(Reverb, room_size=unit, damping=unit, width=unit, predelay_ms=st.floats(0, 200), enabled=flags),
    st.builds(Delay, time_ms=st.floats(1, 2000), feedback=st.floats(0, 0.9), enabled=flags),
)


def buses(name: str, effects: st.SearchStrategy[Effect], returns: list[str]) -> st.SearchStrategy[Bus]:
    """Any bus of that name that sends to some of `returns`."""
    to_some = st.lists(st.sampled_from(returns), unique=True).map(tuple) if returns else st.just(())
    sends = to_some.flatmap(
        lambda chosen: st.tuples(*(st.builds(Send, to=st.just(to), gain_db=levels, pre_fader=flags) for to in chosen))
    )
    return st.builds(
        Bus, name=st.just(name), label=names, colour=colours, gain_db=levels, pan=st.floats(-1, 1), mute=flags,
        solo=flags, effects=st.lists(effects, max_size=3).map(tuple), sends=sends, group=st.none() | names,
    )  # fmt: skip


def parents(bus_names: list[str], name: str) -> st.SearchStrategy[str | None]:
    """The mix bus, or one of the buses before this one."""
    earlier = bus_names[: bus_names.index(name)]
    return st.none() | st.sampled_from(earlier) if earlier else st.none()


@st.composite
def _tempo_events(draw: st.DrawFn) -> tuple[TempoEvent, ...]:
    bars = sorted(draw(st.sets(st.integers(1, 500), max_size=4)))
    metres = st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
    return tuple(
        TempoEvent(bar=bar, tempo_bpm=draw(st.floats(30, 400)), time_signature=draw(metres)) for bar in (0, *bars)
    )


tempo_events = st.just(()) | _tempo_events()


@st.composite
def plans(draw: st.DrawFn, base: Path) -> SessionPlan:
    """Any plan whose media lie below `base`."""
    bus_names = draw(st.lists(names, unique=True, min_size=1, max_size=3))
    return_names = draw(st.lists(names.filter(lambda name: name not in bus_names), unique=True, max_size=2))
    rate = draw(st.sampled_from([8000, 44100, 96000]))
    clips = st.builds(
        Clip, path=file_names.map(lambda name: base / "audio" / name), name=names, sample_rate_hz=st.just(rate),
        channels=st.integers(1, 2), length_samples=st.integers(0, 10**9), position_samples=st.integers(0, 1000),
    )  # fmt: skip

    def tracks(outputs: list[str]) -> st.SearchStrategy[Track]:
        return st.builds(
            Track, name=names, output=st.sampled_from(outputs), clips=st.lists(clips, max_size=2).map(tuple),
            colour=colours, gain_db=levels, pan=st.floats(-1, 1), mute=flags, solo=flags,
        )  # fmt: skip

    return SessionPlan(
        name=draw(names),
        sample_rate_hz=rate,
        length_samples=draw(st.integers(0, 10**9)),
        tracks=tuple(draw(st.lists(tracks([*bus_names, "mix"]), max_size=3))),
        buses=tuple(
            dataclasses.replace(draw(buses(name, insert_effects, return_names)), parent=draw(parents(bus_names, name)))
            for name in bus_names
        ),
        returns=tuple(draw(buses(name, return_effects, [])) for name in return_names),
        mix_bus=draw(buses("mix", insert_effects, [])),
        reference=draw(st.none() | tracks(["master"])),
        markers=tuple(
            draw(
                st.lists(
                    st.builds(
                        Marker,
                        name=names,
                        position_samples=st.integers(0, 10**9),
                        length_samples=st.integers(0, 10**9),
                        colour=colours,
                    ),
                    max_size=2,
                )
            )
        ),
        tempo_bpm=draw(st.floats(20, 400)),
        time_signature=draw(st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16]))),
        template=draw(names),
        notes=tuple(draw(st.lists(names, max_size=2))),
        tempo_events=draw(tempo_events),
    )


template_names = st.text(
    st.sampled_from("abzÅé808_- .:#'\"{}[]&*!|>%@,?/\\日\U0001f941"), min_size=1, max_size=8
).filter(lambda name: name == name.strip() and name.casefold() not in ("mix", "master", "reference"))


@st.composite
def templates(draw: st.DrawFn) -> BusTemplate:
    """Any template that keeps the rules between keys."""
    distinct = draw(st.lists(template_names, unique_by=str.casefold, min_size=1, max_size=5))
    split = draw(st.integers(0, len(distinct)))
    bus_names, return_names = distinct[:split], distinct[split:]
    stems = draw(st.lists(template_names, unique_by=str.casefold, max_size=4))
    stems = [stem for stem in stems if stem.casefold() not in {name.casefold() for name in bus_names}]

    def strip(name: str, effects: st.SearchStrategy[Effect], *, is_bus: bool) -> TemplateBus:
        bus = draw(buses(name, effects, return_names if is_bus else []))
        taken = tuple(stems) if is_bus and name == bus_names[0] else ()
        return TemplateBus(
            name=name, label=draw(st.none() | template_names), stems=taken, colour=bus.colour,
            group=draw(st.none() | template_names) if is_bus else None, gain_db=bus.gain_db, pan=bus.pan, mute=bus.mute,
            solo=bus.solo and is_bus, effects=tuple(_legal(effect, bus_names, name) for effect in bus.effects),
            sends=bus.sends, parent=draw(parents(bus_names[::-1], name)) if is_bus else None,
        )  # fmt: skip

    position = st.fixed_dictionaries({"position_s": st.floats(0, 600)}) | st.fixed_dictionaries(
        {"position_bar": st.floats(1, 600)}
    )
    length = st.sampled_from([{}, {"length_s": 1.5}, {"length_bars": 8.0}])
    markers = st.builds(
        lambda name, colour, start, extent: TemplateMarker(name=name, colour=colour, **start, **extent),
        template_names, colours, position, length,
    )  # fmt: skip
    return BusTemplate(
        name=draw(template_names),
        description=draw(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=30)),
        tempo_bpm=draw(st.floats(20, 400)),
        time_signature=draw(st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32]))),
        buses=tuple(strip(name, insert_effects, is_bus=True) for name in bus_names),
        returns=tuple(strip(name, return_effects, is_bus=False) for name in return_names),
        mix_bus=strip("mix", insert_effects, is_bus=False),
        reference=draw(st.builds(TemplateReference, include=flags, name=template_names, colour=colours)),
        markers=tuple(draw(st.lists(markers, max_size=2))),
        grid=draw(st.sampled_from(["auto", "constant", "follow", "off"])),
        sections=draw(st.booleans()),
        notes=tuple(draw(st.lists(template_names, max_size=2))),
    )


def _legal(effect: Effect, bus_names: list[str], name: str) -> Effect:
    """The limiter's threshold below its ceiling; a side-chain from an earlier bus, so that no circle can arise (a bus
    feeds later ones)."""
    if isinstance(effect, Limiter):
        return dataclasses.replace(effect, threshold_db=min(effect.threshold_db, effect.ceiling_db))
    earlier = bus_names[: bus_names.index(name)] if name in bus_names else bus_names
    if isinstance(effect, Compressor) and earlier and effect.enabled:
        return dataclasses.replace(effect, sidechain_bus=earlier[0])
    return effect
