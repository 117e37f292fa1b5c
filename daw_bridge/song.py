"""A finished song as a type of its own: whoever has a `Song` has a reference, stems, and how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daw_bridge.errors import InputError
from daw_bridge.manifest import (
    MANIFEST_NAME,
    Manifest,
    OriginalFile,
    ReferenceFile,
    SeparationRecord,
    SessionRecord,
    StemFile,
)
from daw_bridge.model import StemSet
from daw_bridge.takeover import settled_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """A finished song folder. `sessions` are in the order in which they were made.

    `original` is None where only a part of a mix was separated: the mix stays where it is.
    """

    folder: Path
    name: str
    original: OriginalFile | None
    reference: ReferenceFile
    stems: tuple[StemFile, ...]
    separation: SeparationRecord
    sessions: tuple[SessionRecord, ...]
    manifest: Manifest

    def stem_set(self) -> StemSet:
        """The stems and the reference as files; InputError when one is missing."""
        return self.manifest.stem_set(self.folder)


def open_song(folder: Path | str) -> Song:
    """The song in a folder that `build` or `separate` made.

    Raises InputError where there is none, where it was not finished, and where its manifest is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such song folder; make one with 'daw-bridge build MIX'")
    return song_of(folder, settled_manifest(folder))


def song_of(folder: Path, manifest: Manifest | None, *, called: str = "") -> Song:
    """The song whose manifest was read from `folder`, `called` so in messages. Raises as `open_song`."""
    called = called or str(folder)
    if manifest is None:
        raise InputError(
            f"{called}: is no song folder (it has no {MANIFEST_NAME}); make one with 'daw-bridge build MIX'"
        )
    if manifest.state != "complete":
        raise InputError(f"{called}: was not finished; run the 'build' that made it again to continue it")
    reference, separation = manifest.reference, manifest.separation
    if reference is None or separation is None or not manifest.stems:
        raise InputError(
            f"{called}: its {MANIFEST_NAME} is damaged (it lists no reference or no stems); build the mix again"
        )
    return Song(
        folder=folder,
        name=manifest.name,
        original=manifest.original,
        reference=reference,
        stems=manifest.stems,
        separation=separation,
        sessions=manifest.sessions,
        manifest=manifest,
    )
