"""A room that nobody outside reaches, with a network, processes and mounts of its own: what runs in it ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Namespace:
    """Needs root. `inside` is the room's first process, as it is seen from here."""

    inside: int = 0
    _room: subprocess.Popen[str] | None = None

    def open(self) -> None:
        first = "ip link set lo up; ip addr add 10.0.0.1/32 dev lo; echo up; while :; do sleep 1000 & wait $!; done"
        self._room = subprocess.Popen(
            ["unshare", "-n", "-p", "-m", "--mount-proc", "--fork", "--kill-child", "bash", "-c", first],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._room.stdout is not None
        assert self._room.stdout.readline() == "up\n"
        (self.inside,) = children(self._room.pid)

    def command(self, *words: str) -> list[str]:
        return ["nsenter", "--all", f"--target={self.inside}", "--", *words]

    def close(self) -> None:
        """Everything in it dies at once."""
        if self._room is not None:
            os.kill(self.inside, signal.SIGKILL)
            self._room.communicate()
            self._room = None


def command_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


def children(pid: int) -> list[int]:
    found = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in each.read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """All below a process."""
    found = children(pid)
    for child in list(found):
        found += tree(child)
    return found
