"""Locks that the system drops when a process ends, however it ends: a file beside what it protects.

The file lies where the thing lies, so that two users, and two machines on one share, meet at the same lock. (`filelock`
locks the descriptor on every system; its own `FileLock` would leave the file in the song folder.)
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class LockHeld(Exception):
    """Another process, or another thread of this one, holds the lock."""


class NoLocks(Exception):
    """The disk knows no locks."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` until the block ends, then remove it. Raises LockHeld, NoLocks, OSError."""
    descriptor = _held(path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(descriptor)
            with suppress(OSError):
                path.unlink()
        else:
            with suppress(OSError):
                path.unlink()  # while it is still held: who waited for this file sees that it is gone
            os.close(descriptor)


def _held(path: Path) -> int:
    while True:
        descriptor = _opened(path)
        try:
            locked = lock_descriptor(descriptor, blocking=False)
        except OSError as exc:
            os.close(descriptor)
            if exc.errno == errno.EDEADLK:
                raise LockHeld from exc
            if exc.errno in _NO_LOCKS_HERE:
                raise NoLocks from exc
            raise
        if not locked:
            os.close(descriptor)
            raise LockHeld
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags | os.O_RDWR, 0o666)
    except PermissionError:  # another user's, left by a kill: reading it is enough for a lock
        return os.open(path, flags | os.O_RDONLY, 0o666)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one that lies at `path`: the holder before us may have removed it."""
    try:
        there = path.stat()
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
