"""Whose program is at the other end of a connection from this machine: asked of the system, where it tells.

For protocols that have no place for a secret, such as raw MIDI, and OSC over UDP from a surface. Linux lists the owner
of each socket in /proc/net.
"""

from __future__ import annotations

import os
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daw_bridge.control.net.security import is_loopback

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_UDP_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
_ESTABLISHED = "01"
_OWNER_KNOWN_S = 1.0
_MOST_SENDERS = 256


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


class UdpOwners:
    """Whether the senders of datagrams from this machine are programs of this user, or of root."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], tuple[bool, float]] = OrderedDict()

    def may_be_ours(self, host: str, port: int) -> bool:
        """False where the system says that the port is another user's.

        True for other machines, on systems that do not tell, and for a program that has ended since it sent.
        """
        if not is_loopback(host) or not hasattr(os, "getuid"):
            return True
        now = self._clock()
        ours, until = self._known.pop((host, port), (True, 0.0))
        if now >= until:
            ours, until = _owners_of_udp(port) <= {os.getuid(), 0}, now + _OWNER_KNOWN_S
        self._known[(host, port)] = ours, until
        if len(self._known) > _MOST_SENDERS:
            self._known.popitem(last=False)
        return ours


def _owners_of_udp(port: int) -> set[int]:
    """The users that have a socket on a port."""
    owners: set[int] = set()
    for table in _UDP_TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for words in map(str.split, lines):
            if len(words) >= 8 and int(words[1].rpartition(":")[2], 16) == port:
                owners.add(int(words[7]))
    return owners
