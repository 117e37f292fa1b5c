"""File names as people spell them and as disks do: `ó` may be one character (NFC) or two (NFD), and both are meant."""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache
from pathlib import Path


def as_on_disk(path: Path, *, any_case: bool = False) -> Path:
    """`path`, or the file on the disk whose name differs from it only in how accents are spelled.

    With `any_case` also the one that differs in small and capital letters, which are one on Windows and most Macs.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    folder = as_on_disk(path.parent, any_case=any_case)
    if os.path.lexists(folder / path.name):
        return folder / path.name
    wanted = _plain(path.name, any_case)
    if wanted.isascii() and not any_case:
        return path
    try:
        # A list may name thousands of files that are gone: the folder is read once for all of them.
        names = _in_any_case(folder, folder.stat().st_mtime_ns) if any_case else _names(folder, any_case=False)
    except (OSError, ValueError):  # no folder there; a null byte in the name
        return path
    return folder / names[wanted] if wanted in names else path


def _names(folder: Path, *, any_case: bool) -> dict[str, str]:
    """The names in a folder by their plain spelling; the first in order of several."""
    return {_plain(entry.name, any_case): entry.name for entry in sorted(folder.iterdir(), reverse=True)}


@lru_cache(maxsize=64)
def _in_any_case(folder: Path, _changed_at_ns: int) -> dict[str, str]:
    return _names(folder, any_case=True)


def _plain(name: str, any_case: bool) -> str:
    normal = unicodedata.normalize("NFC", name)
    return normal.casefold() if any_case else normal
