"""Run by test_kill: separates one file with a small Demucs network in a child for each line on stdin.

A line is `EVENT N`: the child dies by SIGKILL just before the N-th event of that kind. `none 0` lets it finish.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from daw_bridge.separation.disk import work_folder
from daw_bridge.separation.disk.raw_audio import RawAudio
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import separate_reference
from tests.separation.tiny import tiny_bag, tiny_module, tiny_separator

EVENTS = ("segment", "frames", "journal", "rename")


class Trap:
    """Counts one kind of event, whichever thread it comes from, and dies before the chosen one."""

    def __init__(self, event: str, number: int) -> None:
        self._event, self._left, self._lock = event, number, threading.Lock()

    def pass_by(self, event: str) -> None:
        if event != self._event:
            return
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def set(self) -> None:
        """Lay the trap in this process: every block of frames is journalled at once, so that each kill tells."""
        work_folder._SECONDS_BETWEEN_FLUSHES = 0.0
        work_folder.WorkFolder.record = self._before("journal", work_folder.WorkFolder.record)  # type: ignore[method-assign]
        RawAudio.append = self._before("frames", RawAudio.append)  # type: ignore[method-assign]
        sys.addaudithook(lambda event, _: self.pass_by("rename") if event == "os.rename" else None)

    def _before(self, event: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def trapped(*arguments: Any) -> Any:
            self.pass_by(event)
            return function(*arguments)

        return trapped


class Trapped(nn.Module):
    """The network, with the trap before each segment."""

    def __init__(self, inner: nn.Module, trap: Trap) -> None:
        super().__init__()
        self.inner, self._trap = inner, trap

    def forward(self, mix: Tensor) -> Tensor:
        self._trap.pass_by("segment")
        output: Tensor = self.inner(mix)
        return output


def separate(mix: Path, folder: Path, trap: Trap | None = None) -> None:
    """The real engine on two workers. The same in every process: the network's weights come from a seed."""
    separator: Any = tiny_separator(tiny_bag([tiny_module("htdemucs", 3)]), rungs=(Rung(device="cpu", workers=2),))
    if trap is not None:
        separator._modules = [Trapped(module, trap) for module in separator._modules]
    separate_reference(mix, folder, SeparationOptions(), separator=separator, prefix="song_")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        event, number = line.split()
        child = os.fork()
        if child == 0:
            trap = Trap(event, int(number))
            trap.set()
            separate(Path(sys.argv[1]), Path(sys.argv[2]), trap)
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)
