"""The one exception tree. A message says what is wrong, where, and what to do, in one line.

DawBridgeError            1   anything that fits nowhere below
  UsageError              2   options that contradict each other or are out of range
  InputError              3   the audio (or a project) that was given cannot be used
    DamagedInput          3   it is cut off or has holes; with `accept_damaged` the rest can be used
    StoreUnreachable      3   the folder or bucket that holds it did not give it, this time
      KeyUnaddressable    3   an object has a name that no path can hold
  OutputError             4   the place to write to cannot be used (exists, read-only, full)
  TemplateError           5   a bus template, profile or mapping is wrong: file:line:column
  ModelError              6   unknown model
    WeightsMissing        6   weights are neither here nor reachable
    WeightsCorrupt        6   weights do not match their sha256 or their network
  GuardRefused            7   a rule of the field refused the run (already separated, overlap, precision)
  DeviceError             8   the GPU or its memory does not suffice
  DawError                9   a DAW or its project refused
    DawUnreachable        9   no DAW answers
    AdapterMissing        9   unknown adapter, or an extra is not installed
  Busy                   10   another run holds this folder or port
  SongsFailed            11   a batch is through, but not all of its songs
    CatalogStopped      11   a run over a catalog was ended, since going on would have been useless
  Cancelled             130   Ctrl-C or a cancel command
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class DawBridgeError(Exception):
    """Base of every error that daw-bridge raises on purpose."""

    exit_code = 1


class UsageError(DawBridgeError):
    """Options contradict each other or are out of range."""

    exit_code = 2


class InputError(DawBridgeError):
    """The audio, or a project, that was given cannot be used."""

    exit_code = 3


class DamagedInput(InputError):
    pass


class StoreUnreachable(InputError):
    """The folder or bucket that holds it did not give it, this time."""


class KeyUnaddressable(StoreUnreachable):
    """An object of the folder or bucket has a name that no path can hold."""


class OutputError(DawBridgeError):
    """The place to write to cannot be used: it exists, is read-only, or is full."""

    exit_code = 4


class TemplateError(DawBridgeError):
    """A YAML file of the user is wrong; `line` and `column` count from 1. `others` is what else is wrong in it."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        where = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{where}: {message}" if where else message)
        self.path, self.line, self.column = path, line, column
        self.others: tuple[TemplateError, ...] = ()


def all_of(steps: Iterable[Callable[[], T]]) -> list[T]:
    """What each step gives. Where some raise a TemplateError, the rest is done first: the first error has `others`."""
    errors: list[TemplateError] = []
    found = []
    for step in steps:
        try:
            found.append(step())
        except TemplateError as exc:
            errors += [exc, *exc.others]
    if errors:
        errors[0].others = tuple(errors[1:])
        raise errors[0]
    return found


class ModelError(DawBridgeError):
    """There is no such model, or it cannot do what is asked."""

    exit_code = 6


class WeightsMissing(ModelError):
    """The weights are neither here nor reachable."""


class WeightsCorrupt(ModelError):
    """The weights do not match their sha256 or their network."""


class GuardRefused(DawBridgeError):
    """A rule of the field refused the run: separated already, overlap, precision."""

    exit_code = 7


class LicenceNotAccepted(GuardRefused):
    """Weights whose licence is not clear, which nobody has accepted yet; `terms` says which and what it is."""

    def __init__(self, message: str, *, terms: str) -> None:
        super().__init__(message)
        self.terms = terms


class DeviceError(DawBridgeError):
    """The device or its memory does not suffice."""

    exit_code = 8


class DawError(DawBridgeError):
    """A DAW or its project refused."""

    exit_code = 9


class DawUnreachable(DawError):
    """No DAW answers."""


class AdapterMissing(DawError):
    """There is no such adapter, or an extra is not installed."""


class Busy(DawBridgeError):
    """Another run holds this folder or port."""

    exit_code = 10


class SongsFailed(DawBridgeError):
    """A batch is through, but not all of its songs."""

    exit_code = 11


class CatalogStopped(SongsFailed):
    """A run over a catalog was ended, since going on would have been useless."""


class Cancelled(DawBridgeError):
    """Ctrl-C, a cancel command, or a CancelToken."""

    exit_code = 130

    def __init__(self, message: str = "cancelled; run the same command again to continue") -> None:
        super().__init__(message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the nearest known name, whatever its case, or the empty string."""
    known = list(known)
    close = get_close_matches(name.casefold(), [each.casefold() for each in known], n=1)
    same = [each for each in known if close and each.casefold() == close[0]]
    return f" (did you mean {get_close_matches(name, same, n=1, cutoff=0.0)[0]}?)" if same else ""
