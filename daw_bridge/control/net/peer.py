"""Whose program is at the other end of a connection from this machine: asked of the system, where it tells.

For protocols that have no place for a secret, such as raw MIDI. Linux lists the owner of each socket in /proc/net/tcp.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from daw_bridge.control.net.security import is_loopback

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"


def may_be_ours(connection: socket.socket, peer: Any) -> bool:
    """False where the system says that another user of this machine is at the other end.

    True for other machines, which the port was opened to on purpose, and on systems that do not tell.
    """
    host, port = str(peer[0]), int(peer[1])
    if not is_loopback(host) or not hasattr(os, "getuid"):
        return True
    wanted = (port, int(connection.getsockname()[1]))
    owners: set[int] = set()
    told = False
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        told = True
        owners |= {int(words[7]) for words in map(str.split, lines) if _ends(words) == wanted}
    return not told or owners == {os.getuid()}


def _ends(words: list[str]) -> tuple[int, int] | None:
    """The ports of both ends of one line's connection, the owner's first; None for one that is not open."""
    if len(words) < 8 or words[3] != _ESTABLISHED:
        return None
    return int(words[1].rpartition(":")[2], 16), int(words[2].rpartition(":")[2], 16)
