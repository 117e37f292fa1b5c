"""Mixes from a browser onto the disk: a raw body, streamed, bounded, resumable, never over a file.

What has come so far lies in a `*.part` file beside its place, whose name hangs on what the browser says of the file
(name, size, time), so that an upload which was cut off goes on, and another file of that name begins anew.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.errors import Busy, DawBridgeError, InputError, UsageError
from daw_bridge.files import PART_SUFFIX, is_own_part, safe_name
from daw_bridge.units import human_bytes

MAX_BYTES = 2_000_000_000
SPARE_BYTES = 100_000_000
"""What an upload leaves free on the disk."""
OLD_PART_S = 7 * 86_400.0


class AlreadyThere(DawBridgeError):
    exit_code = 4


class TooLarge(DawBridgeError):
    exit_code = 3


class DiskFull(DawBridgeError):
    exit_code = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file that a page sends. `mark` is what tells this file from another one of that name."""

    name: str
    mark: str
    total_bytes: int

    def __post_init__(self) -> None:
        if Path(self.name).suffix.lower() not in AUDIO_SUFFIXES:
            known = ", ".join(sorted(AUDIO_SUFFIXES))
            raise InputError(f"{self.name!r}: this is no kind of audio file that can be read; known are {known}")
        if not 0 <= self.total_bytes <= MAX_BYTES:
            raise TooLarge(
                f"{self.name!r}: {human_bytes(self.total_bytes)}; at most {human_bytes(MAX_BYTES)} are taken"
            )


class Uploads:
    """The uploads into one music folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[Path] = set()
        self._remove_old()

    def received_bytes(self, upload: Upload) -> int:
        """How much of it is here: where an upload that was cut off goes on. Raises AlreadyThere when all of it is."""
        self._require_new(upload)
        part = self._part(upload)
        return part.stat().st_size if part.is_file() else 0

    async def take(self, upload: Upload, offset: int, body: AsyncIterator[bytes]) -> Path:
        """Append `body` at `offset`; the finished file once all bytes are here.

        Raises AlreadyThere, TooLarge, DiskFull, Busy (two pages send the same file), UsageError for a wrong offset or a
        body that ends too early; what came stays for the next try, except when the disk is full.
        """
        self._require_new(upload)
        part = self._part(upload)
        if part in self._running:
            raise Busy(f"{upload.name!r}: another page is sending this file just now")
        here = part.stat().st_size if part.is_file() else 0
        if offset != here:
            raise UsageError(f"{upload.name!r}: {here} bytes are here, not {offset}; ask where to go on")
        self._require_space(upload.total_bytes - here)
        self._running.add(part)
        try:
            await self._append(part, upload, here, body)
        finally:
            self._running.discard(part)
        return await asyncio.to_thread(self._finish, part, upload)

    async def _append(self, part: Path, upload: Upload, here: int, body: AsyncIterator[bytes]) -> None:
        with _disk_errors(part), part.open("ab" if here else "xb") as handle:
            async for chunk in body:
                here += len(chunk)
                if here > upload.total_bytes:
                    raise TooLarge(f"{upload.name!r}: more bytes than the {upload.total_bytes} that were announced")
                await asyncio.to_thread(handle.write, chunk)
            handle.flush()
            await asyncio.to_thread(os.fsync, handle.fileno())
        if here < upload.total_bytes:
            raise UsageError(f"{upload.name!r}: {here} of {upload.total_bytes} bytes came; send the rest")

    def _finish(self, part: Path, upload: Upload) -> Path:
        target = self._folder / upload.name
        try:
            os.link(part, target)  # unlike a rename never over a file that came meanwhile
        except FileExistsError as exc:
            raise AlreadyThere(f"{upload.name!r}: a file of that name is there already") from exc
        except OSError:
            self._require_new(upload)
            part.rename(target)
            return target
        part.unlink()
        return target

    def _require_new(self, upload: Upload) -> None:
        if (self._folder / upload.name).exists():
            raise AlreadyThere(f"{upload.name!r}: a file of that name is there already")

    def _part(self, upload: Upload) -> Path:
        mark = hashlib.sha256(f"{upload.name}\0{upload.mark}\0{upload.total_bytes}".encode()).hexdigest()[:8]
        return self._folder / f".{upload.name[:80]}.{mark}{PART_SUFFIX}"

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if needed + SPARE_BYTES > free:
            raise DiskFull(
                f"the disk of {self._folder.name!r} has {human_bytes(free)} free; "
                f"this file needs {human_bytes(needed)} and some room to work in"
            )

    def _remove_old(self) -> None:
        for path in self._folder.glob(f".*{PART_SUFFIX}"):
            try:
                if is_own_part(path) and time.time() - path.stat().st_mtime > OLD_PART_S:
                    path.unlink()
            except OSError:
                continue


def upload_of(name: str, mark: str, total: str) -> Upload:
    """An upload as a request names it. Raises InputError, UsageError, TooLarge."""
    if not total.isascii() or not total.isdigit() or len(total) > 15:
        raise UsageError("the size of the file is missing (header X-Upload-Size)")
    return Upload(name=safe_name(name, fallback="mix", limit=120), mark=mark[:200], total_bytes=int(total))


@contextmanager
def _disk_errors(part: Path) -> Iterator[None]:
    """A full disk keeps no part of a file that cannot be finished."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            part.unlink(missing_ok=True)
            raise DiskFull("the disk is full; free some space and send the file again") from exc
        raise InputError(f"the file cannot be written ({exc.strerror or exc})") from exc
