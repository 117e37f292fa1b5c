"""A mix made in the page: a template, and the strips that were moved away from it.

It becomes a bus template of its own (and is checked as one), then a plan: what is heard, rendered, kept as YAML and
written into sessions is the same thing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from daw_bridge.errors import InputError, UsageError
from daw_bridge.model import MIX_BUS, Bus, SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.plan_json import plan_from_json, plan_to_json
from daw_bridge.templates.bus_template import BusTemplate, TemplateBus, parse_template, template_to_yaml
from daw_bridge.templates.store import load_template
from daw_bridge.web.library import Song

MAX_STRIPS = 64
MAX_EFFECTS = 16
MAX_BANDS = 24
LOWEST_DB, HIGHEST_DB = -150.0, 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What was moved on one strip; None is where the template has it. `effects` as in docs of the plan's JSON."""

    gain_db: float | None = None
    pan: float | None = None
    mute: bool | None = None
    solo: bool | None = None
    effects: tuple[Mapping[str, object], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`dry` leaves out all effects and sends: the stems with faders, nothing else."""

    template: str
    strips: Mapping[str, Moves] = field(default_factory=dict)
    dry: bool = False


def parse_mix(data: object) -> Mix:
    """The mix in a JSON text or value. Raises UsageError."""
    if isinstance(data, (str, bytes)):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as exc:
            raise UsageError(f"the mix is no JSON ({exc})") from exc
    if not isinstance(data, dict) or not isinstance(data.get("template"), str):
        raise UsageError("a mix is an object with the name of a template")
    strips = data.get("strips", {})
    if not isinstance(strips, dict) or len(strips) > MAX_STRIPS:
        raise UsageError(f"the mix's strips are an object of at most {MAX_STRIPS} names")
    return Mix(
        template=data["template"],
        strips={str(name): _moves(str(name)[:100], moves) for name, moves in strips.items()},
        dry=data.get("dry") is True,
    )


def _moves(name: str, data: object) -> Moves:
    if not isinstance(data, dict):
        raise UsageError(f"strip {name!r}: expected an object")
    effects = data.get("effects")
    if effects is not None and (
        not isinstance(effects, list)
        or len(effects) > MAX_EFFECTS
        or not all(isinstance(each, dict) and len(each.get("bands", ())) <= MAX_BANDS for each in effects)
    ):
        raise UsageError(f"strip {name!r}: effects are a list of at most {MAX_EFFECTS} objects")
    return Moves(
        gain_db=_number(name, data, "gain_db", LOWEST_DB, HIGHEST_DB),
        pan=_number(name, data, "pan", -1.0, 1.0),
        mute=_switch(name, data, "mute"),
        solo=_switch(name, data, "solo"),
        effects=None if effects is None else tuple(effects),
    )


def _number(name: str, data: Mapping[str, object], key: str, low: float, high: float) -> float | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"strip {name!r}: {key} is a number")
    if not low <= value <= high:
        raise UsageError(f"strip {name!r}: {key} {value:g} is out of range ({low:g} to {high:g})")
    return float(value)


def _switch(name: str, data: Mapping[str, object], key: str) -> bool | None:
    value = data.get(key)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"strip {name!r}: {key} is true or false")
    return value


def plan_of(song: Song, mix: Mix) -> SessionPlan:
    """The session that the mix makes of the song. Raises UsageError, InputError, TemplateError."""
    template = template_of(song, mix, name=mix.template)
    plan = make_plan(song.manifest.stem_set(song.folder), template, name=song.manifest.name, music=song.manifest.music)
    solo = {name for name, moves in mix.strips.items() if moves.solo}
    unsolo = {name for name, moves in mix.strips.items() if moves.solo is False}
    buses = tuple(replace(bus, solo=bus.name in solo or (bus.solo and bus.name not in unsolo)) for bus in plan.buses)
    plan = replace(plan, buses=buses)
    return _dry(plan) if mix.dry else plan


def template_of(song: Song, mix: Mix, *, name: str) -> BusTemplate:
    """The mix as a bus template called `name`, every value held against the format's ranges. Solo is not kept.

    Buses of the template for which this song has no stem stay; stems that it does not mention get a bus.
    """
    template = load_template(mix.template, allow_path=False)
    if not mix.strips and name == mix.template:
        return template
    plan = make_plan(song.manifest.stem_set(song.folder), template, name=song.manifest.name)
    moved = _moved(song, plan, mix.strips)
    changed = replace(
        template,
        name=name,
        buses=tuple(_buses(template, moved)),
        returns=tuple(_as_moved(each, moved) for each in template.returns),
        mix_bus=_as_moved(template.mix_bus, moved),
    )
    return parse_template(template_to_yaml(changed), name, name=name)


def _moved(song: Song, plan: SessionPlan, strips: Mapping[str, Moves]) -> SessionPlan:
    data: dict[str, Any] = plan_to_json(plan, song.folder)
    places = {strip["name"]: strip for strip in (*data["buses"], *data["returns"], data["mix_bus"])}
    for name, moves in strips.items():
        if name not in places:
            raise InputError(f"{name[:100]!r}: this session has no such strip; it has {', '.join(places)}")
        given = {"gain_db": moves.gain_db, "pan": moves.pan, "mute": moves.mute}
        places[name].update({key: value for key, value in given.items() if value is not None})
        if moves.effects is not None:
            places[name]["effects"] = [dict(effect) for effect in moves.effects]
    return plan_from_json(data, song.folder)


def _buses(template: BusTemplate, moved: SessionPlan) -> Iterator[TemplateBus]:
    """The template's buses as moved, in their order; each new one behind the bus that it follows in the session."""
    known = {each.name: each for each in template.buses}
    stems = {bus.name: tuple(t.name for t in moved.tracks if t.output == bus.name) for bus in moved.buses}
    taken = {stem for own in stems.values() for stem in own}
    behind: dict[str | None, list[TemplateBus]] = {}
    last: str | None = None
    for bus in moved.buses:
        if bus.name in known:
            last = bus.name
            continue
        own = stems[bus.name] or ((f"{bus.name} (none)",) if bus.name in taken else ())
        fresh = TemplateBus(name=bus.name, label=bus.label, colour=bus.colour, stems=own, parent=bus.parent)
        behind.setdefault(last, []).append(_with_values(fresh, bus))
    yield from behind.get(None, ())
    for each in template.buses:
        yield _as_moved(each, moved)
        yield from behind.get(each.name, ())


def _as_moved(each: TemplateBus, moved: SessionPlan) -> TemplateBus:
    try:
        return _with_values(each, moved.mix_bus if each.name == MIX_BUS else moved.bus(each.name))
    except KeyError:
        return each  # this song has no stem for it


def _with_values(each: TemplateBus, bus: Bus) -> TemplateBus:
    return replace(each, gain_db=bus.gain_db, pan=bus.pan, mute=bus.mute, effects=bus.effects)


def _dry(plan: SessionPlan) -> SessionPlan:
    return replace(
        plan,
        buses=tuple(replace(bus, effects=(), sends=()) for bus in plan.buses),
        returns=(),
        mix_bus=replace(plan.mix_bus, effects=(), sends=()),
    )
