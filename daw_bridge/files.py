"""How files come into being: whole or not at all.

A file is written beside its place under a temporary name, flushed to the disk, then renamed. A killed run leaves
at most a `*.part` file, which the next run of the same folder removes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from daw_bridge.errors import InputError, OutputError

PART_SUFFIX = ".part"
_OWN_PART = re.compile(r"\.[0-9a-f]{8}\.part")
_LONGEST_NAME_BYTES = 200
_GAP, _SHORTEST_WITH_GAP = "…", 24
_DEVICE = re.compile(r"(?i)^(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])( *(?:\..*)?)$", re.DOTALL)
"""Names that Windows keeps for devices, whatever stands behind a dot (learn.microsoft.com, "Naming Files")."""


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """OSErrors while writing `path`, as `OutputError` with what to do."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"{path}: the disk is full; free some space or give another folder with -o") from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise OutputError(f"{path}: not allowed to write here; give another folder with -o") from exc
        if exc.errno == errno.ENAMETOOLONG:
            raise OutputError(f"{path}: the name is too long for this disk; give a shorter one with -o") from exc
        raise OutputError(f"{path}: cannot write ({exc.strerror or exc}); give another folder with -o") from exc


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes `path` when the block ends well, and vanishes when it does not."""
    part = path.with_name(f"{path.name[:80]}.{secrets.token_hex(4)}{PART_SUFFIX}")
    with output_errors(path):
        try:
            yield part
            _flush_to_disk(part)
            if path.exists():
                part.chmod(path.stat().st_mode & 0o7777)
            part.replace(path)
            flush_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def is_own_part(path: Path) -> bool:
    """Whether `path` is named like a temporary file of `atomic_path`: a browser leaves `*.part` files, too."""
    return _OWN_PART.search(path.name) is not None and path.name.endswith(PART_SUFFIX)


def write_atomic(path: Path, data: bytes | str) -> None:
    r"""Write a small file whole or not at all; text as UTF-8 with its newlines as they are.

    A file name that is no text holds lone surrogates; they are written as `\udcff`, which JSON reads back.
    """
    with atomic_path(path) as part:
        part.write_bytes(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut, where the system lets a folder be flushed."""
    if os.name == "nt":
        return
    try:
        _flush_to_disk(folder)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM):
            raise


def open_regular(path: Path) -> BufferedReader:
    """A file for reading; OSError for what is none, as a pipe, which would keep everybody waiting, or a device."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """All of a file; OSError as `open_regular`, and for one that is larger than a file of its kind ever is."""
    with open_regular(path) as handle:
        data = handle.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than the {most_bytes >> 20} MB that are read", str(path))
    return data


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in blocks. Raises OSError."""
    with open_regular(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def safe_name(text: str, *, fallback: str = "song", limit: int = 80) -> str:
    """`text` as a file name that Linux, macOS and Windows take; every other character stays as it is.

    Separators, the marks that Windows refuses and control characters become blanks, blanks and dots at the ends go,
    and a name that Windows keeps for a device gets a `_`. At most `limit` characters and 200 bytes of UTF-8: what is
    longer loses its middle, for names of one album or work begin alike and differ at their end.
    """
    normal = unicodedata.normalize("NFC", text)
    printable = "".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in normal)
    cleaned = re.sub(r'[/\\:*?"<>|]+', " ", printable)
    cleaned = _shortened(re.sub(r"\s+", " ", cleaned).strip(" ."), limit).strip(" .")
    return _DEVICE.sub(r"\1_\2", cleaned)[:limit] or fallback


def _shortened(text: str, limit: int) -> str:
    """`text` without its middle where it is longer than `limit` characters or 200 bytes."""
    kept = limit
    short = text[:limit]
    if len(text) <= limit and len(text.encode("utf-8")) <= _LONGEST_NAME_BYTES:
        return text
    while kept > 0:
        end = kept * 2 // 5
        short = f"{text[: kept - end - 1]}{_GAP}{text[len(text) - end :]}" if kept > _SHORTEST_WITH_GAP else text[:kept]
        if len(short.encode("utf-8")) <= _LONGEST_NAME_BYTES:
            break
        kept -= 1
    return short


def remove_path(path: Path) -> None:
    """Delete a file, a link or a whole folder, as far as the system lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and last change in ns: whether anybody wrote to a file. One that is gone has what no file has."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def confined(folder: Path, relative: str) -> Path:
    """`folder / relative`, resolved; InputError when that lies outside `folder` (by `..`, an absolute path, a link)."""
    root = folder.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{relative!r} leads out of {folder}; only files inside that folder may be named here")
    return path


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same bytes as `source` without using disk twice where the disk allows it."""
    with output_errors(target):
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:
            with atomic_path(target) as part:
                shutil.copyfile(source, part)
