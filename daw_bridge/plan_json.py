"""A SessionPlan as JSON and back, so that a song folder can be rebuilt and rendered without its template.

The layout follows the dataclasses of `daw_bridge.model` field by field; an effect carries its kind under `type`. Paths
are relative to the song folder, with `/`, and never leave it: a folder that was moved or sent still works, and a
manifest from a stranger cannot point at other files.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from daw_bridge import model
from daw_bridge.errors import InputError, OutputError, did_you_mean
from daw_bridge.model import MIX_BUS, Bus, Compressor, SessionPlan, Track
from daw_bridge.tempo_map import tempo_fault

PLAN_VERSION = 1
EFFECT_TYPES: Mapping[str, type] = {kind.__name__.lower(): kind for kind in get_args(model.Effect)}
"""What stands under `type` in an effect: `equalizer`, `compressor`, ... `pluginref`."""

_EFFECT_NAMES = {kind: name for name, kind in EFFECT_TYPES.items()}


def plan_to_json(plan: SessionPlan, base: Path) -> dict[str, object]:
    """The plan as JSON values, its paths relative to the folder `base`.

    Raises OutputError when a clip lies outside `base`.
    """
    return {"version": PLAN_VERSION, **_dump_fields(plan, base.absolute())}


def plan_from_json(data: object, base: Path) -> SessionPlan:
    """The plan that `plan_to_json` wrote, its paths below `base`.

    Raises InputError when a value is missing, unknown, of the wrong type or not finite, when a path would leave
    `base`, or when a name is used that no bus has. The message names the place, as in `buses[2].gain_db`.
    """
    reader = RecordReader(base)
    if not isinstance(data, dict):
        raise reader.error("", f"expected an object, found {_kind(data)}")
    fields = dict(data)
    version = fields.pop("version", None)
    if version != PLAN_VERSION or isinstance(version, bool):
        raise reader.error("version", f"expected {PLAN_VERSION}, found {version!r}; was it made by a newer daw-bridge?")
    try:
        plan = cast("SessionPlan", reader.record(fields, SessionPlan, ""))
    except ValueError as exc:  # buses that feed each other in a circle, or one that is not there
        raise reader.error("buses", str(exc)) from exc
    if plan.tempo_events and (fault := tempo_fault(plan.tempo_events)):
        raise reader.error("tempo_events", fault)
    for where, problem in _dangling_names(plan):
        raise reader.error(where, problem)
    return plan


def _dump_fields(value: Any, base: Path) -> dict[str, object]:
    return {item.name: _dump(getattr(value, item.name), base) for item in dataclasses.fields(value)}


def _dump(value: Any, base: Path) -> object:
    if isinstance(value, Path):
        return _relative(value, base)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_dump(item, base) for item in value]
    if dataclasses.is_dataclass(value):
        kind = _EFFECT_NAMES.get(type(value))
        return ({"type": kind} if kind else {}) | _dump_fields(value, base)
    return cast("object", value)


def _relative(path: Path, base: Path) -> str:
    absolute = path if path.is_absolute() else base / path
    if not absolute.is_relative_to(base) or ".." in absolute.relative_to(base).parts:
        raise OutputError(f"{path}: not inside the song folder {base}; copy it there first")
    return absolute.relative_to(base).as_posix()


class RecordReader:
    """Reads JSON values by the type hints of the dataclasses; `where` is the place in the plan, for messages."""

    def __init__(self, base: Path) -> None:
        self.base = base

    keeps_unknown_out = False
    """Whether a key that no field has is passed over, as a newer version may write it."""

    def error(self, where: str, problem: str) -> InputError:
        """What is raised for a value that is wrong at `where`."""
        return InputError(f"{self.base}: the plan in the manifest is damaged at {where or 'its root'}: {problem}")

    def record(self, value: object, kind: type, where: str) -> object:
        if not isinstance(value, dict):
            raise self.error(where, f"expected an object, found {_kind(value)}")
        hints = _hints(kind)
        for key in value:
            if key not in hints and not self.keeps_unknown_out:
                raise self.error(_join(where, str(key)), f"unknown key{did_you_mean(str(key), hints)}")
        made = {key: self.value(value[key], hints[key], _join(where, key)) for key in hints if key in value}
        for item in dataclasses.fields(kind):
            required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            if required and item.name not in made:
                raise self.error(_join(where, item.name), "is missing")
        return kind(**made)

    def value(self, value: object, hint: Any, where: str) -> object:
        if hint == model.Effect:
            return self.effect(value, where)
        origin = get_origin(hint)
        if origin is not None:
            return self.generic(value, hint, origin, where)
        if hint is Any:
            return value
        kind = cast("type", hint)
        if dataclasses.is_dataclass(kind):
            return self.record(value, kind, where)
        return self.choice(value, kind, where) if issubclass(kind, StrEnum) else self.scalar(value, kind, where)

    def generic(self, value: object, hint: Any, origin: Any, where: str) -> object:
        if origin is Literal:
            return self.literal(value, get_args(hint), where)
        if origin is dict:
            return self.mapping(value, get_args(hint)[1], where)
        if origin is tuple:
            return self.sequence(value, get_args(hint), where)
        inner = [each for each in get_args(hint) if each is not type(None)]  # a union with None
        return None if value is None else self.value(value, inner[0], where)

    def effect(self, value: object, where: str) -> object:
        if not isinstance(value, dict):
            raise self.error(where, f"expected an object, found {_kind(value)}")
        fields = dict(value)
        name = str(fields.pop("type", ""))
        if name not in EFFECT_TYPES:
            raise self.error(_join(where, "type"), f"unknown effect {name!r}{did_you_mean(name, EFFECT_TYPES)}")
        return self.record(fields, EFFECT_TYPES[name], where)

    def sequence(self, value: object, hints: tuple[Any, ...], where: str) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise self.error(where, f"expected a list, found {_kind(value)}")
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * len(value)
        if len(hints) != len(value):
            raise self.error(where, f"expected {len(hints)} values, found {len(value)}")
        return tuple(
            self.value(item, hint, f"{where}[{index}]")
            for index, (item, hint) in enumerate(zip(value, hints, strict=True))
        )

    def literal(self, value: object, known: tuple[Any, ...], where: str) -> object:
        if value not in known:
            raise self.error(where, f"unknown value {value!r}{did_you_mean(str(value), map(str, known))}")
        return value

    def mapping(self, value: object, hint: Any, where: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.error(where, f"expected an object, found {_kind(value)}")
        return {str(key): self.value(item, hint, _join(where, str(key))) for key, item in value.items()}

    def path(self, value: object, where: str) -> Path:
        if not isinstance(value, str) or not value or "\0" in value or "\\" in value:
            raise self.error(where, f"expected a path with /, found {value!r}")
        pure = PurePosixPath(value)
        path = self.base / pure
        inside = not pure.is_absolute() and ".." not in pure.parts and ":" not in pure.parts[0][1:2]
        if not inside or not path.resolve().is_relative_to(self.base.resolve()):
            raise self.error(where, f"{value!r} leads out of the song folder")
        return path

    def choice(self, value: object, kind: type[StrEnum], where: str) -> StrEnum:
        known = [member.value for member in kind]
        if value not in known:
            raise self.error(where, f"unknown value {value!r}{did_you_mean(str(value), known)}")
        return kind(str(value))

    def scalar(self, value: object, kind: type, where: str) -> object:
        if kind is Path:
            return self.path(value, where)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if kind is float and number and math.isfinite(cast("float", value)):
            return float(cast("float", value))
        if kind is int and number and isinstance(value, int):
            return value
        if kind in (str, bool) and isinstance(value, kind):
            return value
        expected = {float: "a finite number", int: "a whole number", str: "a text", bool: "true or false"}[kind]
        raise self.error(where, f"expected {expected}, found {_kind(value)}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _kind(value: object) -> str:
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a text", type(None): "nothing"}
    return names.get(type(value), repr(value))


def _dangling_names(plan: SessionPlan) -> Iterator[tuple[str, str]]:
    """Where the plan uses a name that no bus or return has."""
    buses = {bus.name for bus in plan.buses}
    returns = {bus.name for bus in plan.returns}
    for index, track in enumerate(plan.tracks):
        yield from _dangling_output(track, f"tracks[{index}].output", buses | {MIX_BUS})
    names = {track.name for track in plan.tracks}
    for index, notes in enumerate(plan.note_tracks):
        if notes.stem not in names:
            yield f"note_tracks[{index}].stem", f"no track called {notes.stem!r}{did_you_mean(notes.stem, names)}"
    if plan.reference is not None:
        yield from _dangling_output(plan.reference, "reference.output", {"master"})
    for place, strips in (("buses", plan.buses), ("returns", plan.returns), ("mix_bus", (plan.mix_bus,))):
        for strip in strips:
            yield from _dangling_in_bus(strip, f"{place} {strip.name!r}", buses, returns)


def _dangling_output(track: Track, where: str, known: set[str]) -> Iterator[tuple[str, str]]:
    if track.output not in known:
        yield where, f"no bus called {track.output!r}{did_you_mean(track.output, known)}"


def _dangling_in_bus(bus: Bus, where: str, buses: set[str], returns: set[str]) -> Iterator[tuple[str, str]]:
    for send in bus.sends:
        if send.to not in returns:
            yield where, f"sends to {send.to!r}, which is no return{did_you_mean(send.to, returns)}"
    for effect in bus.effects:
        key = effect.sidechain_bus if isinstance(effect, Compressor) else None
        if key is not None and key not in buses:
            yield where, f"takes its side-chain from {key!r}, which is no bus{did_you_mean(key, buses)}"
