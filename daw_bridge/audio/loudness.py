"""Integrated loudness and true peak, in one pass and constant memory.

Sources: ITU-R BS.1770-5 (K-weighting annex 1, gating annex 1, true peak annex 2), EBU Tech 3341 for the tests. The
K-weighting is designed from its analogue parameters for any rate (De Man, "Evaluation of Implementations of the EBU
R128 Loudness Measurement", AES 145, 2018), which gives the standard's coefficients at 48 kHz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.samples import checked_peak
from daw_bridge.units import linear_to_db

FloatArray = NDArray[np.float32]

_OFFSET_LUFS = -0.691
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_STEP_S = 0.1  # blocks of 400 ms that overlap by 75 %
_STEPS_PER_BLOCK = 4
_BLOCK_SAMPLES = 1 << 16
_RESPONSE_S = 0.12
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.9744509555319, 3.99984385397, 0.7071752369554193
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087613982, 0.5003270373253953

# BS.1770-5, annex 2, table: four phases of twelve coefficients; phases 2 and 3 are phases 1 and 0 reversed.
_PHASE_0 = (
    0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
    0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500,
)  # fmt: skip
_PHASE_1 = (
    -0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
    0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375,
)  # fmt: skip
_TAPS = 12
_PHASES = np.array((_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """-inf LUFS means that no block is above the absolute gate of -70 LUFS (or the sound is under 0.4 s)."""

    integrated_lufs: float
    true_peak_dbtp: float
    sample_peak_db: float


def measure(path: Path) -> Loudness:
    """Loudness of a mono or stereo file; every channel has weight 1. Raises InputError."""
    with open_audio(path) as reader:
        meter = LoudnessMeter(reader.sample_rate_hz, reader.channels)
        done = 0
        for block in reader.blocks(_BLOCK_SAMPLES):
            checked_peak(path, block, done, reader.sample_rate_hz)
            meter.add(block)
            done += block.shape[1]
    return meter.result()


class LoudnessMeter:
    """Takes blocks (channels, n) of any size, keeps one number per 100 ms."""

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._weighting = _KWeighting(sample_rate_hz, channels)
        self._step_samples = round(_STEP_S * sample_rate_hz)
        self._open_energy, self._open_samples = 0.0, 0
        self._step_energies: list[NDArray[np.float64]] = []
        self._peak = 0.0
        self._true_peak = TruePeak(sample_rate_hz, channels)

    def add(self, block: FloatArray) -> None:
        """Append float32 samples (channels, n)."""
        if not block.shape[1]:
            return
        self._peak = max(self._peak, float(block.max()), float(-block.min()))
        self._true_peak.add(block)
        self._add_energies(self._weighting.energies(block))

    def result(self) -> Loudness:
        peak = max(self._peak, self._true_peak.finish())
        steps = np.concatenate(self._step_energies) if self._step_energies else np.zeros(0)
        return Loudness(
            integrated_lufs=integrated_lufs(steps / self._step_samples),
            true_peak_dbtp=linear_to_db(peak),
            sample_peak_db=linear_to_db(self._peak),
        )

    def _add_energies(self, energy: NDArray[np.float64]) -> None:
        """Sum the energy per sample, shape (n,), over steps of 100 ms across block borders."""
        size = self._step_samples
        missing = size - self._open_samples
        if len(energy) < missing:
            self._open_energy += float(energy.sum())
            self._open_samples += len(energy)
            return
        whole = (len(energy) - missing) // size
        rest = energy[missing + whole * size :]
        sums = energy[missing : missing + whole * size].reshape(whole, size).sum(axis=1)
        first = self._open_energy + float(energy[:missing].sum())
        self._step_energies.append(np.concatenate(([first], sums)))
        self._open_energy, self._open_samples = float(rest.sum()), len(rest)


def integrated_lufs(step_powers: NDArray[np.float64]) -> float:
    """Gated loudness of mean squares per 100 ms, shape (n,), channels summed (BS.1770-5, annex 1, step 4)."""
    if len(step_powers) < _STEPS_PER_BLOCK:
        return -math.inf
    blocks = np.lib.stride_tricks.sliding_window_view(step_powers, _STEPS_PER_BLOCK).mean(axis=1)
    loud = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
    if not len(loud):
        return -math.inf
    relative_gate = float(loud.mean()) * math.pow(10.0, _RELATIVE_GATE_LU / 10.0)
    return _lufs(float(loud[loud > relative_gate].mean()))


def k_weighting(sample_rate_hz: int) -> NDArray[np.float64]:
    """Second-order sections of the K-weighting, shape (2, 6): a high shelf, then a high-pass."""
    k = math.tan(math.pi * _SHELF_HZ / sample_rate_hz)
    high = math.pow(10.0, _SHELF_DB / 20.0)
    band = math.pow(high, 0.4996667741545416)
    norm = 1.0 + k / _SHELF_Q + k * k
    shelf = [
        (high + band * k / _SHELF_Q + k * k) / norm,
        2.0 * (k * k - high) / norm,
        (high - band * k / _SHELF_Q + k * k) / norm,
        1.0,
        2.0 * (k * k - 1.0) / norm,
        (1.0 - k / _SHELF_Q + k * k) / norm,
    ]
    k = math.tan(math.pi * _HIGHPASS_HZ / sample_rate_hz)
    norm = 1.0 + k / _HIGHPASS_Q + k * k
    highpass = [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / _HIGHPASS_Q + k * k) / norm]
    return np.array([shelf, highpass])


class _KWeighting:
    """The K-weighting by overlap-save. Its impulse response has ended (-150 dB) after 0.12 s.

    scipy.signal has these filters too, but its import costs a second, which more than one song would take to win back.
    """

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        taps = round(_RESPONSE_S * sample_rate_hz)
        self._size = 1 << (4 * taps).bit_length()
        delay = np.exp(-2j * np.pi * np.arange(self._size // 2 + 1) / self._size)
        response = np.ones(len(delay), np.complex128)
        for b0, b1, b2, a0, a1, a2 in k_weighting(sample_rate_hz):
            response *= (b0 + b1 * delay + b2 * delay**2) / (a0 + a1 * delay + a2 * delay**2)
        self._spectrum = np.fft.rfft(np.fft.irfft(response, self._size)[:taps], self._size)
        self._before = np.zeros((channels, taps - 1))

    def energies(self, block: FloatArray) -> NDArray[np.float64]:
        """(channels, n) -> the weighted sound's power per sample, channels summed, shape (n,)."""
        history = self._before.shape[1]
        joined = np.concatenate([self._before, block], axis=1)
        self._before = joined[:, -history:]
        step = self._size - history
        made = []
        for begin in range(0, block.shape[1], step):
            piece = joined[:, begin : begin + self._size]
            weighted = np.fft.irfft(np.fft.rfft(piece, self._size) * self._spectrum, self._size)
            weighted = weighted[:, history : piece.shape[1]]
            made.append(np.einsum("cn,cn->n", weighted, weighted))
        return np.concatenate(made)


class TruePeak:
    """The largest value between the samples: four times oversampled, twice from 96 kHz, not at all from 192 kHz."""

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        phases = _PHASES if sample_rate_hz < 96_000 else _PHASES[::2] if sample_rate_hz < 192_000 else _PHASES[:0]
        self._taps = np.ascontiguousarray(phases[:, ::-1])
        self._gain_limit = float(np.abs(phases).sum(axis=1).max()) if len(phases) else 0.0
        self._history = np.zeros((channels, _TAPS - 1), dtype=np.float32)
        self._peak = 0.0

    def add(self, block: FloatArray) -> None:
        joined: Any = np.concatenate((self._history, block), axis=1)
        self._history = joined[:, -(_TAPS - 1) :].copy()
        loudest = float(max(joined.max(), -joined.min()))
        if loudest * self._gain_limit <= self._peak:
            return  # even the worst case of the filter stays below what was seen
        for channel in joined:
            windows = np.lib.stride_tricks.sliding_window_view(channel, _TAPS)
            between = self._taps @ windows.T
            self._peak = max(self._peak, float(between.max()), float(-between.min()))

    def finish(self) -> float:
        """The peak (linear) with the filter's tail run out."""
        self.add(np.zeros((len(self._history), _TAPS - 1), dtype=np.float32))
        return self._peak


def _lufs(power: float) -> float:
    return _OFFSET_LUFS + 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _power(level_lufs: float) -> float:
    return math.pow(10.0, (level_lufs - _OFFSET_LUFS) / 10.0)
