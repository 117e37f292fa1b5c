"""The secret of a running daemon: a file that only its user can read, found by the daemon's port.

Other users of the machine, and pages in a browser, reach the loopback too; what they cannot do is read this file. A
connection from this machine says the secret before its first command (`DaemonClient` does it by itself).
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daw_bridge.errors import OutputError
from daw_bridge.files import output_errors


def secret_folder() -> Path:
    """Where the running daemons of this user leave their secrets: the user's runtime folder, or one of our own."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "daw-bridge"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"daw-bridge-{user}"


@contextmanager
def published_secret(port: int) -> Iterator[str]:
    """A new secret for the daemon on `port`, in its file until the block ends. Raises OutputError."""
    folder = secret_folder()
    path = folder / f"{port}.token"
    made = secrets.token_urlsafe(32)
    with output_errors(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours_alone(folder):
            raise OutputError(f"{folder}: belongs to another user or is open to others; remove it")
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(made + "\n")
    try:
        yield made
    finally:
        path.unlink(missing_ok=True)


def known_secret(port: int) -> str:
    """The secret of this user's daemon on `port`; empty where there is none that can be believed."""
    folder = secret_folder()
    try:
        if not _is_ours_alone(folder):
            return ""
        return (folder / f"{port}.token").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_ours_alone(folder: Path) -> bool:
    """Whether the folder is a real one of this user that nobody else may enter; Windows keeps it in the user's own."""
    if not hasattr(os, "getuid"):
        return True
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
