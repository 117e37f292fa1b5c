"""File names as people spell them and as disks do: `ó` may be one character (NFC) or two (NFD), and both are meant."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def as_on_disk(path: Path) -> Path:
    """`path`, or the file on the disk whose name differs from it only in how accents are spelled."""
    if os.path.lexists(path) or path == path.parent:
        return path
    folder = as_on_disk(path.parent)
    if os.path.lexists(folder / path.name):
        return folder / path.name
    wanted = unicodedata.normalize("NFC", path.name)
    if wanted.isascii():
        return path
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (OSError, ValueError):  # no folder there; a null byte in the name
        return path
    same = [name for name in names if unicodedata.normalize("NFC", name) == wanted]
    return folder / same[0] if same else path
