"""The audio of a session folder: hard links to the stems where the disk can, copies elsewhere; never resampled.

A link costs no space, survives moving the song folder, and Ardour's clean-up removes the link only. Ardour never writes
into files that it did not record itself.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from daw_bridge.errors import InputError
from daw_bridge.files import safe_name
from daw_bridge.model import Clip

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES, errno.ENOSYS)


def media_names(clips: Iterable[Clip]) -> dict[Path, str]:
    """Each clip's file -> a file name that is free in the audio folder, whatever the disk's view of case."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for clip in clips:
        if clip.path in names:
            continue
        stem, suffix = safe_name(clip.path.stem, fallback="audio"), clip.path.suffix or ".wav"
        number, name = 1, f"{stem}{suffix}"
        while name.casefold() in taken:
            number += 1
            name = f"{stem} {number}{suffix}"
        taken.add(name.casefold())
        names[clip.path] = name
    return names


def place(names: dict[Path, str], folder: Path) -> list[Path]:
    """Link or copy every file into `folder`; the new paths. Raises InputError for a file that is not there."""
    made = []
    for source, name in names.items():
        target = folder / name
        real = source.resolve()
        if not real.is_file():
            raise InputError(f"{source}: no such audio file; separate the mix again or restore the file")
        try:
            os.link(real, target)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            shutil.copyfile(real, target)
        made.append(target)
    return made
