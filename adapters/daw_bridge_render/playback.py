"""The session's sound from any place on, block by block: what the page plays, and what a balance is written from.

Effects remember what came before. The render therefore begins `PRE_ROLL_BLOCKS` early and drops them; held against a
render from the very beginning (tests/render/test_playback.py) nothing above -120 dBFS is left of the difference.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import numpy as np

from daw_bridge.adapter import Losses
from daw_bridge.audio.audio_file import FloatArray
from daw_bridge.errors import UsageError
from daw_bridge.model import SessionPlan
from daw_bridge_render.blocks import BLOCK_SAMPLES
from daw_bridge_render.render import Session

PRE_ROLL_BLOCKS = 11
"""4.1 s at 44.1 kHz."""


class PlanPlayback:
    """See `daw_bridge.adapter.Playback`. Blocks lie on a grid of `BLOCK_SAMPLES` from the song's beginning."""

    def __init__(self, plan: SessionPlan, begin_samples: int, *, bus: str | None = None) -> None:
        if not 0 <= begin_samples <= plan.length_samples:
            raise UsageError(f"{plan.name}: cannot play from sample {begin_samples} of {plan.length_samples}")
        self._length_samples = plan.length_samples
        self._stack = ExitStack()
        try:
            self._session = Session(plan, self._stack, Losses(), bus=bus, reference=False)
            first = max(0, begin_samples // BLOCK_SAMPLES - PRE_ROLL_BLOCKS)
            self._next_samples = first * BLOCK_SAMPLES
            self._session.seek(self._next_samples)
            while self._next_samples + BLOCK_SAMPLES <= begin_samples:
                self._render()
        except BaseException:
            self._stack.close()
            raise
        self._skip_samples = begin_samples - self._next_samples

    @property
    def position_samples(self) -> int:
        """Where the next block begins."""
        return self._next_samples + self._skip_samples

    def read(self) -> FloatArray:
        """The next block, float32 (2, n), n at most `BLOCK_SAMPLES`; n is 0 at the end."""
        block, self._skip_samples = self._render()[:, self._skip_samples :], 0
        return block

    def _render(self) -> FloatArray:
        length = min(BLOCK_SAMPLES, self._length_samples - self._next_samples)
        if length <= 0:
            return np.zeros((2, 0), dtype=np.float32)
        block = self._session.play(self._next_samples, length)
        self._next_samples += length
        return block.astype(np.float32)

    def close(self) -> None:
        """Let go of the files."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
