"""What a user can ask of a build, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daw_bridge.adapter import WriteReport
from daw_bridge.errors import UsageError
from daw_bridge.manifest import Manifest
from daw_bridge.separation.options import SeparationOptions

DEFAULT_TEMPLATE = "band"
DEFAULT_DAWS = ("reaper",)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions(SeparationOptions):
    """A separation and the sessions to make of it.

    `output` is the song folder (default: `<mix name>.session` beside the mix). `channels` says what to do with a mix
    of more than two channels: "downmix", or a pair such as (1, 2). `force` replaces files that daw-bridge made.
    """

    template: str = DEFAULT_TEMPLATE
    daws: tuple[str, ...] = DEFAULT_DAWS
    output: Path | None = None
    name: str | None = None
    channels: str | tuple[int, int] | None = None
    force: bool = False
    use_cache: bool = True

    def __post_init__(self) -> None:
        for option, value in (("daws", self.daws), ("stems", self.stems)):
            if isinstance(value, str):  # a text is a sequence, too: of letters
                raise UsageError(f"{option}={value!r}: give a tuple of names, as in {option}=({value!r},)")
        if isinstance(self.channels, tuple) and (len(set(self.channels)) != 2 or min(self.channels) < 1):
            given = ",".join(str(channel) for channel in self.channels)
            raise UsageError(f"--channels {given}: give two different channels counted from 1, as in --channels 1,2")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A finished song folder. `reports` has one entry for each DAW session that was written."""

    folder: Path
    manifest: Manifest
    reports: tuple[WriteReport, ...]
    elapsed_s: float
