"""The secret of our server inside REAPER: in a file that only REAPER's user can read.

The server's side is in actions/daw_bridge_server.py, which can import nothing of ours.
Other users of the machine, and pages in a browser, reach the loopback too; what they cannot do is read this file.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def known_secret(port: int) -> str:
    """The secret of the server on `port`; empty where there is none that can be believed."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"daw-bridge-{user}"
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "daw-bridge"
    try:
        found = folder.lstat()
        others = hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077)
        if others or not stat.S_ISDIR(found.st_mode):
            return ""
        return (folder / f"reaper-{port}.token").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
