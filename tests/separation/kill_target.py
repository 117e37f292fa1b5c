"""Run by test_kill: separates one file with a slow, exact separator in a child for each line on stdin."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import separate_reference
from daw_bridge.separation.separator import Emit, SampleSource


class SlowSeparator:
    """A recurrence over the whole mix, so that a wrong resume would be heard; a pause after each block."""

    name = "slow"
    sources = ("echo", "dry")
    sample_rate_hz = 44_100
    channels = 2
    weights_sha256 = "b" * 64

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        position = start_samples
        while position < source.length_samples:
            cancel.check()
            source.seek(max(0, position - 100))
            block = source.read(2_000 + min(position, 100))
            delayed = np.zeros_like(block)
            delayed[:, 100:] = block[:, :-100]
            fresh = min(position, 100)
            emit(np.stack([delayed[:, fresh:] * np.float32(0.5), block[:, fresh:] * np.float32(0.25)]))
            position += block.shape[1] - fresh
            time.sleep(0.02)


def separate(mix: Path, folder: Path) -> None:
    separate_reference(mix, folder, SeparationOptions(), separator=SlowSeparator(), prefix="song_")


if __name__ == "__main__":
    for _line in sys.stdin:
        child = os.fork()
        if child == 0:
            separate(Path(sys.argv[1]), Path(sys.argv[2]))
            os._exit(0)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
