"""The audio of a session folder: hard links to the stems where the disk can, copies elsewhere.

Only where Ardour does not play the stems' rate (`rates.py`) they are resampled.

A link costs no space, survives moving the song folder, and Ardour's clean-up removes the link only. Ardour never writes
into files that it did not record itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from daw_bridge.adapter import require_audio
from daw_bridge.files import link_or_copy, safe_name
from daw_bridge.model import Clip
from daw_bridge_ardour.rates import resample_file


def media_names(clips: Iterable[Clip], *, suffix: str = "") -> dict[Path, str]:
    """Each clip's file -> a file name that is free in the audio folder, whatever the disk's view of case.

    `suffix` takes the place of the files' own.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for clip in clips:
        if clip.path in names:
            continue
        stem, ending = safe_name(clip.path.stem, fallback="audio"), suffix or clip.path.suffix or ".wav"
        number, name = 1, f"{stem}{ending}"
        while name.casefold() in taken:
            number += 1
            name = f"{stem} {number}{ending}"
        taken.add(name.casefold())
        names[clip.path] = name
    return names


def place(names: dict[Path, str], folder: Path, *, resample_to_hz: int | None = None) -> list[Path]:
    """Link, copy or resample every file into `folder`; the new paths. InputError for a file that is not there."""
    made = []
    for source, name in names.items():
        target = folder / name
        real = source.resolve()
        require_audio(source)
        if resample_to_hz is None:
            link_or_copy(real, target)
        else:
            resample_file(real, target, resample_to_hz)
        made.append(target)
    return made
