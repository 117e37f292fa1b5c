"""Compressor, gate and limiter, without a Python loop over samples.

Compressor and gate work at a control rate of about 3 kHz: the level is a peak over both channels, held for 20 ms (so
that a tone down to 25 Hz is measured by its peak, not by its wave), the gain computer and the smoothing run on these
steps, and the gain is drawn as straight lines between them. Formulas: D. Giannoulis, M. Massberg, J. Reiss, "Digital
dynamic range compressor design: a tutorial and analysis", JAES 60(6), 2012: feed-forward, soft knee, smooth branching
detector in the log domain.
The limiter must let no sample through and therefore works on every sample, with a closed form for its release.

Neither of the usual libraries fits here: pedalboard's compressor has no knee, no make-up and no side-chain.
"""

from __future__ import annotations

import math

import numpy as np

from daw_bridge.model import Compressor, Gate, Limiter
from daw_bridge.units import db_to_linear
from daw_bridge_render.blocks import Block, FloatArray

DETECTOR_HOLD_S = 0.020
CONTROL_RATE_HZ = 3000.0
QUIET_LINEAR = 1e-9
"""Below this (-180 dB) a level counts as silence; logarithms need a floor."""


def control_step(sample_rate_hz: int) -> int:
    """Samples per control step: the power of two next to 3 kHz, so that it divides the block."""
    return 1 << max(0, round(math.log2(sample_rate_hz / CONTROL_RATE_HZ)))


def smoothing(time_ms: float, step_samples: int, sample_rate_hz: int) -> float:
    """Share of the old value that is left after one step of a one-pole filter with this time constant."""
    return math.exp(-step_samples * 1000.0 / (time_ms * sample_rate_hz)) if time_ms > 0.0 else 0.0


class Detector:
    """Level in dB at each control step: the peak of both channels over the last 20 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.step = control_step(sample_rate_hz)
        self._hold = max(1, round(DETECTOR_HOLD_S * sample_rate_hz / self.step))
        self._past = np.full(self._hold - 1, QUIET_LINEAR)

    def levels_db(self, block: Block) -> FloatArray:
        """Shape (ceil(n / step),)."""
        peaks = np.abs(block).max(axis=0)
        steps = -(-len(peaks) // self.step)
        padded = np.pad(peaks, (0, steps * self.step - len(peaks)))
        recent = np.concatenate((self._past, padded.reshape(steps, self.step).max(axis=1)))
        self._past = recent[len(recent) - self._hold + 1 :]
        held = np.lib.stride_tricks.sliding_window_view(recent, self._hold).max(axis=1)
        return np.asarray(20.0 * np.log10(np.maximum(held, QUIET_LINEAR)))


def _drawn(start: float, at_steps: FloatArray, step: int, length_samples: int) -> FloatArray:
    """Straight lines from `start` through the values at the ends of the steps, one value per sample."""
    marks = np.arange(len(at_steps) + 1) * step
    values = np.concatenate(([start], at_steps))
    return np.interp(np.arange(1, length_samples + 1), marks, values)


def static_gain_db(level_db: FloatArray, effect: Compressor) -> FloatArray:
    """Gain (0 or less) for a steady level, without make-up; a quadratic knee of `knee_db` around the threshold."""
    over = level_db - effect.threshold_db
    slope = 1.0 / effect.ratio - 1.0
    gain = np.where(over > 0.0, slope * over, 0.0)
    if effect.knee_db > 0.0:
        in_knee = np.abs(over) <= effect.knee_db / 2.0
        gain = np.where(in_knee, slope * (over + effect.knee_db / 2.0) ** 2 / (2.0 * effect.knee_db), gain)
    return np.asarray(gain)


class CompressorBlocks:
    """A compressor; both channels get the same gain."""

    widens = False

    def __init__(self, effect: Compressor, sample_rate_hz: int) -> None:
        self._effect = effect
        self._detector = Detector(sample_rate_hz)
        self._attack = smoothing(effect.attack_ms, self._detector.step, sample_rate_hz)
        self._release = smoothing(effect.release_ms, self._detector.step, sample_rate_hz)
        self._makeup_linear = db_to_linear(effect.makeup_db)
        self._gain_db = 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:
        """The block with its gain reduced as far as its own level, or that of `key`, asks for."""
        target = static_gain_db(self._detector.levels_db(block if key is None else key), self._effect)
        start = self._gain_db
        if start < -1e-9 or bool(np.any(target < 0.0)):
            gains_db = _drawn(start, self._smoothed(target), self._detector.step, block.shape[1])
            block = block * np.power(10.0, gains_db / 20.0)
        return block * self._makeup_linear if self._makeup_linear != 1.0 else block

    def _smoothed(self, target_db: FloatArray) -> FloatArray:
        gain, attack, release = self._gain_db, self._attack, self._release
        smoothed = []
        for target in target_db.tolist():
            gain = target + (attack if target < gain else release) * (gain - target)
            smoothed.append(gain)
        self._gain_db = gain
        return np.array(smoothed)


class GateBlocks:
    """A gate: shut below the threshold, open above it and for the hold time after."""

    widens = False

    def __init__(self, effect: Gate, sample_rate_hz: int) -> None:
        self._threshold_db = effect.threshold_db
        self._detector = Detector(sample_rate_hz)
        step = self._detector.step
        self._attack = smoothing(effect.attack_ms, step, sample_rate_hz)
        self._release = smoothing(effect.release_ms, step, sample_rate_hz)
        self._hold_steps = round(effect.hold_ms * sample_rate_hz / 1000.0 / step)
        self._held = 0
        self._gain = 0.0

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The block with what is below the threshold faded out."""
        is_open = self._detector.levels_db(block) >= self._threshold_db
        start, gain, held = self._gain, self._gain, self._held
        gains = []
        for above in is_open.tolist():
            if above:
                held = self._hold_steps
                gain = 1.0 + self._attack * (gain - 1.0)
            elif held > 0:
                held -= 1
            else:
                gain *= self._release
            gains.append(gain)
        self._gain, self._held = gain, held
        return block * _drawn(start, np.array(gains), self._detector.step, block.shape[1])


class LimiterBlocks:
    """A limiter without look-ahead: the gain of a sample is found from that sample and the ones before it.

    The envelope e[n] = max(|x[n]|, d e[n-1]) is, in logarithms and with the decay added up, a running maximum:
    ln e[n] + n c = max over k <= n of (ln |x[k]| + k c), c = -ln d. So numpy makes it without a loop.
    """

    widens = False

    def __init__(self, effect: Limiter, sample_rate_hz: int) -> None:
        self._effect = effect
        self._decay = 1000.0 / (effect.release_ms * sample_rate_hz)
        self._envelope_ln = math.log(QUIET_LINEAR)

    def process(self, block: Block, key: Block | None = None) -> Block:  # noqa: ARG002
        """The block with no sample above the ceiling."""
        if not block.shape[1]:
            return block
        levels = np.log(np.maximum(np.abs(block).max(axis=0), QUIET_LINEAR))
        levels[0] = max(levels[0], self._envelope_ln - self._decay)
        grown = np.arange(len(levels)) * self._decay
        envelope = np.maximum.accumulate(levels + grown) - grown
        self._envelope_ln = float(envelope[-1])
        gain_db = limiter_gain_db(envelope * (20.0 / math.log(10.0)), self._effect)
        return np.asarray(block * np.power(10.0, gain_db / 20.0))


def limiter_gain_db(level_db: FloatArray, effect: Limiter) -> FloatArray:
    """Gain (0 or less) for a level: unity up to the threshold, then a curve that nears the ceiling and never passes it.

    With the threshold at the ceiling the curve is a brick wall.
    """
    room_db = max(effect.ceiling_db - effect.threshold_db, 0.0)
    over = np.maximum(level_db - (effect.ceiling_db - room_db), 0.0)
    let_through = room_db * -np.expm1(-over / room_db) if room_db > 1e-6 else np.zeros_like(over)
    return np.asarray(let_through - over)
