"""How finished audio gets into a song folder: all of it or nothing, whenever a run is killed.

Everything is made in a hidden folder inside the song folder. When it is whole, a journal is written there: which files
go in, which of ours they replace, which go, and the manifest that is true afterwards. Before the journal the folder is
what it was; from then on every command that opens the folder finishes what the journal says (`settle`). Each of its
steps may have been done already, so a kill during `settle` is settled by the next one.

A file that we did not make, or made and somebody changed since, is never replaced and never deleted.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.errors import InputError, OutputError
from daw_bridge.files import confined, flush_folder, output_errors, remove_path, sha256_of_file, write_atomic
from daw_bridge.manifest import Manifest, manifest_from_json, read_manifest, write_manifest

STAGING = ".replacement"
JOURNAL = "takeover.json"
OWN_FOLDERS = ("original", "audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """One file on its way in. `replaces` is the sha256 of our own file that it may replace, empty where none is."""

    file: str
    sha256: str
    replaces: str


def own_hashes(root: Path, manifest: Manifest | None) -> dict[str, str]:
    """The sha256 of every file that `manifest` says we made in `root`, but of sessions."""
    if manifest is None:
        return {}
    parts = (manifest.original, manifest.reference, *manifest.stems)
    found = {part.file: part.sha256 for part in parts if part is not None}
    for file, digest in found.items():
        if Path(file).parent.as_posix() not in OWN_FOLDERS:
            raise InputError(f"{root}: its manifest names {file!r}, which is no audio of a song folder")
        if not digest and confined(root, file).is_file():  # a manifest of before references had one
            found[file] = sha256_of_file(confined(root, file))
    return found


def require_free(root: Path, files: set[str], previous: Manifest | None) -> None:
    """OutputError when one of `files` is there and is none of ours: a user's own file is never replaced."""
    ours = own_hashes(root, previous)
    for file in sorted(files - set(ours)):
        if os.path.lexists(confined(root, file)):
            raise OutputError(_in_the_way(root / file))


def _in_the_way(path: Path) -> str:
    return (
        f"{path}: is in the way and was not made by daw-bridge; move it away or rename it, "
        "then run the same command again"
    )


def take_over(root: Path, previous: Manifest | None, manifest: Manifest) -> list[str]:
    """Move the finished audio of the hidden folder into `root`; then the files it replaces go. Notes for a person."""
    ours, hashes = own_hashes(root, previous), own_hashes(root, manifest)
    staging = root / STAGING
    with output_errors(root):
        for file, digest in hashes.items():
            target = confined(root, file)
            if file not in ours and os.path.lexists(target) and not _is(target, digest):
                raise OutputError(_in_the_way(root / file))
        placed = [{"file": file, "sha256": digest, "replaces": ours.get(file, "")} for file, digest in hashes.items()]
        gone = [{"file": file, "sha256": digest} for file, digest in ours.items() if file not in hashes]
        journal = {"placed": placed, "gone": gone, "manifest": json.loads(manifest.to_json())}
        write_atomic(staging / JOURNAL, json.dumps(journal))
    return settle(root)


def settle(root: Path) -> list[str]:
    """Finish a take-over that has begun in `root`, if there is one. Notes for a person.

    Raises OutputError when a user's file has come in its way, InputError for a damaged journal.
    """
    staging = root / STAGING
    if staging.is_symlink():  # none of ours: what lies behind it is somebody else's
        remove_path(staging)
    try:
        text = (staging / JOURNAL).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{staging / JOURNAL}: cannot be read ({exc}); build the mix into another folder") from exc
    placed, gone, manifest = _parsed(staging / JOURNAL, text)
    notes: list[str] = []
    with output_errors(root):
        for entry in placed:
            note = _place(root, entry)
            notes += [note] if note else []
        for file, digest in gone:
            path = confined(root, file)
            if _is(path, digest):
                path.unlink()
            elif path.exists():
                notes.append(f"{path}: was changed since daw-bridge made it and stays")
        for name in OWN_FOLDERS:
            if (root / name).is_dir():
                flush_folder(root / name)
        write_manifest(root, manifest)
        (staging / JOURNAL).unlink()
    remove_path(staging)
    return notes


def settled_manifest(folder: Path) -> Manifest | None:
    """`read_manifest`, after what a killed run had begun to put in place is in place."""
    if (folder / STAGING / JOURNAL).exists():
        from daw_bridge.archive import folder_lock

        with folder_lock(folder):
            settle(folder)
    return read_manifest(folder)


def _parsed(path: Path, text: str) -> tuple[list[_Placed], list[tuple[str, str]], Manifest]:
    try:
        data: Any = json.loads(text)
        placed = [
            _Placed(**{key: str(entry[key]) for key in ("file", "sha256", "replaces")}) for entry in data["placed"]
        ]
        gone = [(str(entry["file"]), str(entry["sha256"])) for entry in data["gone"]]
        manifest = manifest_from_json(data["manifest"], path)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise InputError(f"{path}: is damaged ({exc}); build the mix into another folder") from exc
    for file in [entry.file for entry in placed] + [file for file, _ in gone]:
        if Path(file).parent.as_posix() not in OWN_FOLDERS:
            raise InputError(f"{path}: names {file!r}, which is no audio of a song folder")
    return placed, gone, manifest


def _place(root: Path, entry: _Placed) -> str:
    """Move one file in; a note when one that a user has changed had to make room."""
    source, target = confined(root / STAGING, entry.file), confined(root, entry.file)
    if not source.is_file():
        return ""  # it is in its place already
    target.parent.mkdir(exist_ok=True)
    if _moved_where_nothing_is(source, target):
        return ""
    if _is(target, entry.sha256):
        source.unlink()
        return ""
    if not entry.replaces:
        raise OutputError(_in_the_way(target))
    if _is(target, entry.replaces):
        source.replace(target)
        return ""
    kept = _moved_aside(target)
    source.replace(target)
    return f"{target}: was changed since daw-bridge made it; what was there is kept as {kept.name}"


def _moved_where_nothing_is(source: Path, target: Path) -> bool:
    """Rename `source`, unless there is something at `target`: no file of anybody is lost, also when two hurry."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL):
            raise
        if os.path.lexists(target):  # a disk without links: the best that can be done there
            return False
        source.rename(target)
        return True
    source.unlink()
    return True


def _moved_aside(path: Path) -> Path:
    number = 1
    while True:
        counted = "" if number == 1 else f" {number}"
        kept = path.with_name(f"{path.stem} (changed{counted}){path.suffix}")
        if not os.path.lexists(kept) and _moved_where_nothing_is(path, kept):
            return kept
        number += 1


def _is(path: Path, digest: str) -> bool:
    """Whether `path` is a file of these bytes."""
    return path.is_file() and not path.is_symlink() and sha256_of_file(path) == digest
