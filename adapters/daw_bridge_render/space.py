"""Delay and reverb, both wet only.

The reverb is Freeverb (Jezar at Dreampoint, 2000, public domain), with the constants that JUCE and with it most hosts
use: eight damped combs into four all-passes per side, the right side 23 samples longer. A loop with a delay of D
samples is computed D samples at a time, as nothing in them depends on the others: no Python loop over samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daw_bridge.model import Delay, Reverb
from daw_bridge_render.blocks import Block, FloatArray

COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (556, 441, 341, 225)
TUNED_AT_HZ = 44_100
SPREAD_SAMPLES = 23
INPUT_GAIN, WET_GAIN = 0.015, 3.0
ALL_PASS_FEEDBACK = 0.5


class Lines:
    """Delay lines side by side, one row each, each with its own length; none is shorter than `piece`."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.piece = max(1, min(lengths))
        longest = max(1, *lengths)
        self._past = np.zeros((len(lengths), longest))
        starts = longest - np.maximum(1, np.array(lengths))[:, np.newaxis]
        self._rows = np.arange(len(lengths))[:, np.newaxis]
        self._columns = starts + np.arange(self.piece)

    def late(self, count: int) -> FloatArray:
        """What went in one line's length ago, shape (rows, count), count <= piece."""
        return np.asarray(self._past[self._rows, self._columns[:, :count]])

    def put(self, values: FloatArray) -> None:
        """Append values of shape (rows, count); the oldest go."""
        self._past = np.concatenate((self._past[:, values.shape[1] :], values), axis=1)

    def pieces(self, length: int) -> list[slice]:
        """A block of `length` samples cut so that no piece needs what it makes itself."""
        return [slice(begin, begin + self.piece) for begin in range(0, length, self.piece)]


class Echoes:
    """y[n] = x[n-D] + feedback * y[n-D] on both sides: the first echo at D, each further one quieter."""

    def __init__(self, length: int, feedback: float) -> None:
        self._lines, self._feedback = Lines((length, length)), feedback

    def process(self, signals: FloatArray) -> FloatArray:
        """Shape (2, n) to (2, n)."""
        result = np.empty_like(signals)
        for piece in self._lines.pieces(signals.shape[1]):
            fresh = signals[:, piece]
            result[:, piece] = late = self._lines.late(fresh.shape[1])
            self._lines.put(fresh + self._feedback * late)
        return result


class DampedCombs:
    """Freeverb's combs of both sides: echoes whose feedback goes through a one-pole low-pass, summed for each side."""

    def __init__(self, lengths: Sequence[Sequence[int]], feedback: float, damping: float) -> None:
        self._lines, self._feedback = Lines([length for side in lengths for length in side]), feedback
        self._b, self._a = [1.0 - damping], [1.0, -damping]
        self._state = np.zeros((2 * len(COMBS), 1))

    def process(self, mono: FloatArray) -> FloatArray:
        """Shape (n,) to (2, n)."""
        from scipy.signal import lfilter

        result = np.empty((2, len(mono)))
        for piece in self._lines.pieces(len(mono)):
            fresh = mono[piece]
            late = self._lines.late(len(fresh))
            result[:, piece] = late.reshape(2, len(COMBS), -1).sum(axis=1)
            damped, self._state = lfilter(self._b, self._a, late, zi=self._state)
            self._lines.put(fresh + self._feedback * damped)
        return result


class AllPasses:
    """Freeverb's (not quite) all-pass on both sides: b[n] = x[n] + b[n-D] / 2, y[n] = b[n-D] - x[n]."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lines = Lines(lengths)

    def process(self, signals: FloatArray) -> FloatArray:
        """Shape (2, n) to (2, n)."""
        result = np.empty_like(signals)
        for piece in self._lines.pieces(signals.shape[1]):
            fresh = signals[:, piece]
            late = self._lines.late(fresh.shape[1])
            result[:, piece] = late - fresh
            self._lines.put(fresh + ALL_PASS_FEEDBACK * late)
        return result


class DelayBlocks:
    """Echoes at multiples of the delay's time, rounded to a sample."""

    widens = False

    def __init__(self, effect: Delay, sample_rate_hz: int) -> None:
        self._echoes = Echoes(max(1, round(effect.time_ms * sample_rate_hz / 1000.0)), effect.feedback)

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The echoes only."""
        return self._echoes.process(block)


class ReverbBlocks:
    """Freeverb behind a pre-delay."""

    widens = True

    def __init__(self, effect: Reverb, sample_rate_hz: int) -> None:
        predelay = round(effect.predelay_ms * sample_rate_hz / 1000.0)
        self._predelay = Echoes(predelay, 0.0) if predelay else None

        def scaled(length: int) -> list[int]:
            return [(length + spread) * sample_rate_hz // TUNED_AT_HZ for spread in (0, SPREAD_SAMPLES)]

        per_comb = [scaled(length) for length in COMBS]
        by_side = [[lengths[side] for lengths in per_comb] for side in (0, 1)]
        self._combs = DampedCombs(by_side, effect.room_size * 0.28 + 0.7, effect.damping * 0.4)
        self._all_passes = [AllPasses(scaled(length)) for length in ALL_PASSES]
        self._same = WET_GAIN * 0.5 * (1.0 + effect.width)
        self._crossed = WET_GAIN * 0.5 * (1.0 - effect.width)

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The reverb only, shape (2, n)."""
        signals = block if self._predelay is None else self._predelay.process(block)
        signals = self._combs.process(signals.sum(axis=0) * INPUT_GAIN)
        for all_pass in self._all_passes:
            signals = all_pass.process(signals)
        return np.asarray(signals * self._same + signals[::-1] * self._crossed)
