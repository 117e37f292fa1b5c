"""Stems by content: the same samples, model, weights and settings are never separated twice.

An entry is a folder `stems/<key>/` with the stem files and `entry.json`. It shares its files by hard link with the song
folder that they were made in, where the disk allows it; every other song folder gets copies, so that an editor that
writes into one song's stem never changes another song. An entry whose files were written to since is not used again:
size and time tell at once, the sha256 when a file is copied out.
The oldest entries go first when the cache grows past its limit. Its size is noted beside the entries, so that they are
all read only then, and room is made for more than one song at once.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.errors import OutputError
from daw_bridge.files import atomic_path, link_or_copy, output_errors, sha256_of_file, stamp, write_atomic
from daw_bridge.paths import user_cache_dir

_log = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES = 20_000_000_000
ENTRY_NAME = "entry.json"
_SIZE_NAME = "size"
_KEPT_SHARE = 0.9


class CacheDamaged(Exception):
    """A file of the cache is not what was stored; what it stood for has to be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One cached separation. `record` is what its owner stored with it; `size_bytes` counts the audio.

    `files` has the size in bytes, the time of the last change in ns and the sha256 of each file.
    """

    key: str
    folder: Path
    files: dict[str, tuple[int, int, str]]
    record: dict[str, Any]
    used_at_s: float

    @property
    def size_bytes(self) -> int:
        return sum(size for size, _, _ in self.files.values())


class StemCache:
    """The cache below `root` (default: the user's cache folder)."""

    def __init__(self, root: Path | None = None, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.root = (root or user_cache_dir()) / "stems"
        self.limit_bytes = limit_bytes

    def entries(self) -> list[CacheEntry]:
        """All whole entries, the most recently used first."""
        if not self.root.is_dir():
            return []
        found = [entry for path in self.root.iterdir() if (entry := self._read(path)) is not None]
        return sorted(found, key=lambda entry: -entry.used_at_s)

    def find(self, key: str) -> CacheEntry | None:
        """The entry of that key if every file of it is there as it was stored; a changed one is dropped."""
        folder = self.root / key
        entry = self._read(folder)
        if entry is None:
            return None
        if any(stamp(folder / name) != (size, at) for name, (size, at, _) in entry.files.items()):
            self.drop(entry)
            return None
        with suppress(OSError):  # a cache that can only be read is still read
            os.utime(folder / ENTRY_NAME)
        return entry

    def drop(self, entry: CacheEntry) -> None:
        """Forget an entry that is not what it was."""
        shutil.rmtree(entry.folder, ignore_errors=True)

    def fetch(self, entry: CacheEntry, name: str, target: Path) -> None:
        """Put a copy of one file of an entry at `target`. CacheDamaged when it is not the file that was stored."""
        with atomic_path(target) as part:
            try:
                shutil.copyfile(entry.folder / name, part)
            except FileNotFoundError as exc:
                raise CacheDamaged(f"{entry.folder / name}: is gone from the cache") from exc
            if sha256_of_file(part) != entry.files[name][2]:
                raise CacheDamaged(f"{entry.folder / name}: was changed since it was stored")
        target.chmod(0o444)

    def store(self, key: str, files: dict[str, Path], record: dict[str, Any]) -> None:
        """Keep `files` (name in the entry -> file) under `key`. An unwritable cache is no error: it only saves time."""
        folder = self.root / key
        try:
            with output_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            for name, source in files.items():
                source.chmod(0o444)
                link_or_copy(source, folder / name)
            stamps = {name: (*stamp(folder / name), sha256_of_file(folder / name)) for name in files}
            body = json.dumps({"files": stamps, "record": record}, indent=1)
            write_atomic(folder / ENTRY_NAME, body)
        except (OSError, OutputError) as exc:
            _log.warning("the stems are not kept in the cache: %s", exc)
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._keep_to_limit(sum(size for size, _, _ in stamps.values()))

    def remember(self, key: str, name: str, text: str) -> None:
        """Keep a text beside the files of an entry that is there; it goes with them."""
        folder = self.root / key
        try:
            if (folder / ENTRY_NAME).is_file():
                write_atomic(folder / name, text)
        except (OSError, OutputError) as exc:
            _log.warning("%s is not kept in the cache: %s", name, exc)

    def recall(self, key: str, name: str) -> str | None:
        """The text that was kept beside an entry."""
        try:
            return (self.root / key / name).read_text("utf-8")
        except (OSError, ValueError):
            return None

    def trim(self, limit_bytes: int) -> int:
        """Drop the least recently used entries until at most `limit_bytes` remain; how many bytes went."""
        total, dropped = 0, 0
        for entry in self.entries():
            total += entry.size_bytes
            if total > limit_bytes:
                shutil.rmtree(entry.folder, ignore_errors=True)
                dropped += entry.size_bytes
        self._note_size(total - dropped)
        return dropped

    def _keep_to_limit(self, added_bytes: int) -> None:
        known = self._noted_size()
        if known is not None and known + added_bytes <= self.limit_bytes:
            self._note_size(known + added_bytes)
            return
        entries = self.entries()
        total = sum(entry.size_bytes for entry in entries)
        if total <= self.limit_bytes:
            self._note_size(total)
            return
        newest = entries[0].size_bytes
        least = newest if newest <= self.limit_bytes else 0
        self.trim(max(least, int(self.limit_bytes * _KEPT_SHARE)))

    def _noted_size(self) -> int | None:
        """The noted size, which two processes at once may leave too small by a song: the next full count mends it."""
        try:
            return int((self.root / _SIZE_NAME).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def _note_size(self, size_bytes: int) -> None:
        with suppress(OSError, OutputError):
            if self.root.is_dir():
                write_atomic(self.root / _SIZE_NAME, str(size_bytes))

    def clear(self) -> int:
        """Drop everything, damaged entries too; how many bytes of whole entries went."""
        size = sum(entry.size_bytes for entry in self.entries())
        shutil.rmtree(self.root, ignore_errors=True)
        return size

    def _read(self, folder: Path) -> CacheEntry | None:
        path = folder / ENTRY_NAME
        try:
            data = json.loads(path.read_text("utf-8"))
            return CacheEntry(
                key=folder.name,
                folder=folder,
                files={
                    str(Path(name).name): (int(size), int(at), str(digest))
                    for name, (size, at, digest) in data["files"].items()
                },
                record=dict(data["record"]),
                used_at_s=path.stat().st_mtime,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
