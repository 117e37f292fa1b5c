"""What a family of networks is to the rest of the program: the rows of its models, and four functions.

A family is a folder below `families/` whose `family.py` has a class of this shape, and one row of the table in
`families/table.py`. `daw_bridge.testing.check_family` tries whether it keeps what is said here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import Separator
from daw_bridge.separation.model_info import ModelInfo
from daw_bridge.separation.options import SeparationOptions

if TYPE_CHECKING:
    from daw_bridge.separation.families.download import Download

Note = Callable[[str], None]
"""Hears what a person should know, a line at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A separator and the sha256 of its weights.

    `rung` is how it computes, where that can vary; `repeat` makes it compute as an earlier run did, so that a resumed
    run gives the identical samples. `complement` is what the mix less the stems is called, where it has a name of its
    own; `cpu_s_per_s` what a second of music takes of one core, where it was measured. `turn` is held while it
    computes, where several songs share it.
    """

    separator: Separator
    weights_sha256: str
    rung: Rung | None = None
    repeat: Callable[[Rung], None] | None = None
    segment_s: tuple[float, ...] = ()
    complement: str = ""
    cpu_s_per_s: float | None = None
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


class LoadModel(Protocol):
    """Gives a loaded model for options: `load` itself, a `ModelKeeper`, or one's own; `note` hears what to know."""

    def __call__(self, options: SeparationOptions, note: Note, /) -> Loaded: ...


class Family(Protocol):
    """One kind of network. The module that defines it imports nothing heavy at its top: the catalog imports it."""

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The rows of the catalog; their `family` is this family's name in the table."""
        ...

    @property
    def heavy_import(self) -> str:
        """The module that takes `load` longest to import: begun in a thread while a first song is being decoded."""
        ...

    def present(self, info: ModelInfo, home: Path | None = None) -> bool:
        """Whether the model could be loaded now, by the names of its files. `home` replaces the user's folder."""
        ...

    def fetch(self, info: ModelInfo, download: Download) -> None:
        """Put the weights into `download.folder`. Raises OSError or ValueError for the network, WeightsCorrupt."""
        ...

    def sha256(self, info: ModelInfo, options: SeparationOptions) -> str:
        """The sha256 that `load` would report, without building a network. Raises WeightsMissing, WeightsCorrupt."""
        ...

    def load(self, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
        """The model in memory, made ready for `options`; its weights are on this machine.

        Raises ModelError, WeightsMissing, WeightsCorrupt, DeviceError, UsageError.
        """
        ...


class LadderSeparator(Separator, Protocol):
    """A separator that computes on the rungs of a ladder (`engine.memory.OnRungs`)."""

    @property
    def rung(self) -> Rung: ...

    def repeat(self, rung: Rung) -> None: ...


def loaded_on_rungs(
    separator: LadderSeparator,
    sha256: str,
    options: SeparationOptions,
    *,
    segment_s: tuple[float, ...] = (),
    complement: str = "",
) -> Loaded:
    """What `load` gives for a separator on rungs; a batch that the user chose is not overruled by an earlier run's."""
    return Loaded(
        separator=separator,
        weights_sha256=sha256,
        rung=separator.rung,
        repeat=separator.repeat if options.batch_segments is None else None,
        segment_s=segment_s,
        complement=complement,
    )


def say_what_does_nothing(info: ModelInfo, options: SeparationOptions, note: Note, names: tuple[str, ...]) -> None:
    """An option of these that was given and changes nothing is said, never just swallowed."""
    usual = SeparationOptions()
    idle = [name for name in names if getattr(options, name) != getattr(usual, name)]
    if idle:
        given = ", ".join(f"`{name}`" for name in idle)
        note(f"{given}: changes nothing with {info.name}, which has its own fixed way of working")
