"""The heart of the live host, free of any sound card: blocks in, blocks out, inference on a thread of its own.

The audio callback never waits. It writes the input to a ring, takes the stems of a fixed delay ago, and where they are
not ready it fades to the input of that very moment: an overload costs the separation for an instant,
never the music.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from daw_bridge.live.graph import OnnxGraph
from daw_bridge.live.mixer import Controls, GainRamp, Limiter, LowEnd
from daw_bridge.live.ring import Ring
from daw_bridge.separation.families.band_split.streaming import StreamingModel

FloatArray = NDArray[np.float32]
LatencyMode = Literal["low", "normal", "safe"]

MARGIN_SAMPLES: dict[LatencyMode, int] = {"low": 128, "normal": 256, "safe": 1024}
"""Time for the worker beyond the model's own latency: 2.9, 5.8 or 23.2 ms at 44.1 kHz."""

_RING_S = 4.0
_BACKLOG_S = 0.5
_NAP_S = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatistics:
    """A look at a running host."""

    callbacks: int
    underruns: int
    """Callbacks that played the dry signal, or faded to it, because the stems were late."""
    skipped_samples: int
    """Input that the worker left out to catch up after an overload."""
    repaired_samples: int
    limited_blocks: int
    worker_load: float
    """Seconds of computing per second of sound, lately."""


class LiveHost:
    """`process(block)` from the audio callback; `start()` and `stop()` around it.

    `latency_samples` is fixed for a block size: model + block + margin. With `split`, the output has a pair of channels
    per stem instead of one mix; with `vocals_only` there are two faders, vocals and rest; `low_end` keeps a soloed bass
    firm.
    """

    def __init__(
        self,
        model: StreamingModel | OnnxGraph,
        *,
        block_samples: int,
        mode: LatencyMode = "normal",
        split: bool = False,
        low_end: bool = False,
        vocals_only: bool = False,
    ) -> None:
        self._model: Any = model  # its state is its own
        rate_hz = model.config.sample_rate_hz
        self.sources = ("vocals", "rest") if vocals_only else model.sources
        self._vocals = model.sources.index("vocals") if vocals_only else None
        self.controls = Controls(self.sources)
        self.latency_samples = model.latency_samples + block_samples + MARGIN_SAMPLES[mode]
        self.output_channels = 2 * len(self.sources) if split else 2
        self._split = split
        ring_samples = int(_RING_S * rate_hz) + 4 * block_samples
        self._input = Ring(2, ring_samples)
        self._stems = Ring(2 * len(self.sources), ring_samples)
        self._ramp = GainRamp(len(self.sources), rate_hz)
        self._low_end = LowEnd(self.sources, rate_hz) if low_end else None
        self._limiter = Limiter(rate_hz)
        self._wet = 0.0
        self._fade_samples = MARGIN_SAMPLES[mode] // 2
        self._callbacks = self._underruns = self._skipped = self._repaired = 0
        self._load = 0.0
        self._running = threading.Event()
        self._worker: threading.Thread | None = None
        self.failure: BaseException | None = None
        """What ended the worker, if something did; the dry signal goes on."""

    def start(self) -> None:
        """Warm the engine up and start the worker."""
        hop = self._model.config.hop_samples
        _, _ = self._model.step(np.zeros((2, 4 * hop), np.float32), self._model.initial_state())
        self._running.set()
        self._worker = threading.Thread(target=self._work, name="daw-bridge-live", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the worker; returns when it has ended."""
        self._running.clear()
        if self._worker is not None:
            self._worker.join(timeout=5)

    def process(self, block: FloatArray) -> FloatArray:
        """Input (1 or 2, n) of the audio callback to output (output_channels, n), `latency_samples` later.

        Bad samples are silenced, mono goes to both sides. Never waits and never raises for what a sound card may give.
        """
        count = block.shape[1]
        clean = np.where(np.abs(block) <= 1e6, block, np.float32(0))  # False for NaN as well
        self._input.write(np.repeat(clean, 2, 0) if block.shape[0] == 1 else clean[:2])
        start = self._input.end - count - self.latency_samples
        dry = self._input.read(start, count)
        stems = self._stems.read(start, count)
        lasting = self._stems.end >= start + count + self._fade_samples or start + count <= 0
        self._callbacks += 1
        self._underruns += int(not lasting)
        out = self._blend(dry if dry is not None else np.zeros((2, count), np.float32), stems, lasting=lasting)
        return self._limiter.apply(out)

    @property
    def statistics(self) -> LiveStatistics:
        return LiveStatistics(
            callbacks=self._callbacks,
            underruns=self._underruns,
            skipped_samples=self._skipped,
            repaired_samples=self._repaired,
            limited_blocks=self._limiter.limited_blocks,
            worker_load=self._load,
        )

    def _blend(self, dry: FloatArray, stems: FloatArray | None, *, lasting: bool) -> FloatArray:
        """The faders' mix while stems last, the dry signal where they do not, a short fade from one to the other."""
        count = dry.shape[1]
        shaped = np.zeros((len(self.sources), 2, count), np.float32) if stems is None else stems.reshape(-1, 2, count)
        if self._low_end is not None:
            shaped = self._low_end.apply(shaped)
        shaped = self._ramp.apply(shaped, self.controls.gains_linear)
        before, step = (0.0 if stems is None else self._wet), count / self._fade_samples
        self._wet = min(1.0, before + step) if lasting and stems is not None else max(0.0, before - step)
        wet = np.linspace(before, self._wet, count, dtype=np.float32)
        if self._split:
            out = shaped.reshape(-1, count) * wet
            out[-2:] += dry * (1 - wet)  # the dry signal has no stem: it goes to the last pair
            return out
        return np.asarray(shaped.sum(0) * wet + dry * (1 - wet), np.float32)

    def _for_faders(self, stems: FloatArray) -> FloatArray:
        """One stereo pair per fader, (2 * faders, n)."""
        if self._vocals is not None:
            vocals = stems[self._vocals]
            stems = np.stack((vocals, stems.sum(0) - vocals))
        return stems.reshape(-1, stems.shape[2])

    def _work(self) -> None:
        """The worker: a hop of input as soon as it is there, its stems to the ring."""
        try:
            state, position = self._model.initial_state(), 0
            hop, rate_hz = self._model.config.hop_samples, self._model.config.sample_rate_hz
            backlog = int(_BACKLOG_S * rate_hz) // hop * hop
            while self._running.is_set():
                waiting = self._input.end - position
                if waiting < hop:
                    time.sleep(_NAP_S)
                    continue
                if waiting > backlog:
                    leave_out = (waiting - hop) // hop * hop
                    position += leave_out
                    self._skipped += leave_out
                began = time.perf_counter()
                block = self._input.read(position, hop)
                if block is None:
                    continue
                stems, state = self._model.step(block, state)
                position += hop
                if stems.shape[2]:
                    done = position - (self._model.latency_samples - hop) - stems.shape[2]
                    self._stems.write(self._for_faders(stems), at=done)
                self._repaired = state.repaired_samples
                self._load += 0.05 * ((time.perf_counter() - began) * rate_hz / hop - self._load)
        except BaseException as exc:  # noqa: BLE001  (whatever it is, the dry signal must go on)
            self.failure = exc
