"""How an option says, once, what it means: to help(), the command line, the daemon, the docs, and every key.

An options class is a frozen dataclass whose fields are made with `option`. What stands there is all there is: a new
option of a separation is one field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from daw_bridge.errors import UsageError, did_you_mean

T = TypeVar("T")
C = TypeVar("C", bound=type)

_KEY = "option"


class Influence(Enum):
    """What changes when an option changes."""

    SAMPLES = "what the model computes: part of every key, and another model has to be loaded"
    FILES = "the files that are written: part of the cache's key"
    INPUT = "what is taken in, or whether it is taken at all: part of what makes two runs the same run"
    LOADING = "how a model is loaded or computed, and not the samples"
    NOTHING = "neither the audio nor the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`flags` take a value, which `parse` reads from text; `switches` are flags that stand for a value, each with its
    help.

    `same` maps values that mean the same to one of them, for the keys. An option that came `late` is left out of keys
    while it has its default, so that the keys of older song folders stay what they are.
    """

    name: str
    default: Any
    help: str
    influences: Influence
    flags: tuple[str, ...]
    switches: Mapping[str, tuple[Any, str]]
    metavar: str
    parse: Callable[[str], Any]
    same: Callable[[Any], Any]
    late: bool
    group: str

    @property
    def flag(self) -> str:
        """What a person on the command line calls it; its own name where it has no flag."""
        return (self.flags or tuple(self.switches) or (self.name,))[-1]

    @property
    def about(self) -> str:
        """The help with the default, where it is one that can be given."""
        shown = ",".join(self.default) if isinstance(self.default, tuple) else self.default
        return self.help if shown is None or isinstance(shown, bool) else f"{self.help} (default: {shown})"


def option(
    default: T,
    help: str,
    *,
    influences: Influence,
    flags: tuple[str, ...] = (),
    switches: Mapping[str, tuple[T, str]] | None = None,
    metavar: str = "",
    parse: Callable[[str], Any] = str,
    same: Callable[[Any], Any] = lambda value: value,
    late: bool = True,
    group: str = "separation",
) -> T:
    """A field of an options class with everything that is to be said of it; see `Option`."""
    about = {
        "help": help,
        "influences": influences,
        "flags": flags,
        "switches": dict(switches or {}),
        "metavar": metavar,
        "parse": parse,
        "same": same,
        "late": late,
        "group": group,
    }
    return field(default=default, metadata={_KEY: about})


def options_of(kind: Any) -> Iterator[Option]:
    """The options of a class (or of a value of it), in their order."""
    for each in dataclasses.fields(kind):
        yield Option(name=each.name, default=each.default, **each.metadata[_KEY])


def documented(kind: C) -> C:
    """Let `help()` explain every field of an options class."""
    lines = ["", "", "Options, with their defaults:", ""]
    lines += [f"{each.name} ({each.default!r}): {each.help}" for each in options_of(kind)]
    kind.__doc__ = (kind.__doc__ or "").rstrip() + "\n    ".join(lines)
    return kind


def values(options: Any, *influences: Influence) -> dict[str, Any]:
    """The options that influence one of these, as JSON data by name."""
    found = {}
    for each in options_of(options):
        value = getattr(options, each.name)
        if each.influences in influences and not (each.late and value == each.default):
            found[each.name] = _plain(each.same(value))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def one_of(name: str, value: object, known: Iterable[str]) -> None:
    """UsageError, with the nearest name, when `value` is none of `known`."""
    known = list(known)
    if value not in known:
        hint = did_you_mean(str(value), known)
        raise UsageError(f"unknown {name} {value!r}{hint}; use {', '.join(known[:-1])} or {known[-1]}")


def number_in(name: str, value: object, low: float, high: float, *, unit: str = "", whole: bool = False) -> None:
    """UsageError when `value` is no number from `low` to `high`."""
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not isfinite(value) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        raise UsageError(f"{name} {value!r} is out of range; use {what} from {low:g} to {high:g}{unit}")


def names_of(name: str, value: object) -> tuple[str, ...] | None:
    """`value` as a tuple of names; UsageError for a text (a sequence, too: of letters) and for what is none."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise UsageError(f"{name}={value!r}: give a tuple of names, as in {name}=({value!r},)")


def path_of(name: str, value: object) -> Path | None:
    """`value` as a path; UsageError for what is none."""
    if value is None or isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value)
    raise UsageError(f"{name}={value!r}: give a path")


def names_in(text: str) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
