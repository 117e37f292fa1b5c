"""What every effect of the render is: a thing that takes one block after another and remembers what it must."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Block = NDArray[np.float64]
"""Samples of shape (2, n): left and right."""

BLOCK_SAMPLES = 1 << 14
"""Samples per block; a multiple of every control step."""


class Blocks(Protocol):
    """An effect with memory. No effect adds latency: what comes in at sample n comes out at sample n.

    `widens`: out of equal sides it makes different ones.
    """

    widens: bool

    def process(self, block: Block, key: Block | None = None) -> Block:
        """The processed block; `key` is the side-chain's signal at the same time. May be called with any length,
        but only the last block may be no multiple of the control step."""
        ...


class GainBlocks:
    """A plain gain."""

    widens = False

    def __init__(self, gain_linear: float) -> None:
        self._gain_linear = gain_linear

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The block times the gain."""
        return block * self._gain_linear
