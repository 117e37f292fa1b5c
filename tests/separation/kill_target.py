"""Run by test_kill: separates one file with a slowed Demucs network in a child for each line on stdin."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import separate_reference
from tests.separation.tiny import tiny_bag, tiny_module, tiny_separator


class Slow(nn.Module):
    """The network with a pause before each segment: a run lasts long enough to be killed anywhere."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, mix: Tensor) -> Tensor:
        time.sleep(0.03)
        output: Tensor = self.inner(mix)
        return output


def separate(mix: Path, folder: Path) -> None:
    """The real engine on two workers. The same in every process: the network's weights come from a seed."""
    separator: Any = tiny_separator(tiny_bag([tiny_module("htdemucs", 3)]), rungs=(Rung(device="cpu", workers=2),))
    separator._modules = [Slow(module) for module in separator._modules]
    separate_reference(mix, folder, SeparationOptions(), separator=separator, prefix="song_")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            separate(Path(sys.argv[1]), Path(sys.argv[2]))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
