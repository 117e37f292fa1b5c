"""The reference as the model wants it: its rate, its channels, readable from any sample, never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.resample import BlockResampler, MakeResampler, Resampler
from daw_bridge.errors import InputError
from daw_bridge.files import output_errors
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.disk.raw_audio import RawAudio
from daw_bridge.separation.engine.separator import FloatArray, SampleSource

_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`source` is at the model's rate and channels; the rest describes the reference itself. `peak` is linear."""

    source: SampleSource
    sample_rate_hz: int
    channels: int
    length_samples: int
    peak: float


class _Channels:
    """A source with the model's channel count: a mono mix goes to every channel."""

    def __init__(self, inner: AudioReader | RawAudio, length_samples: int, channels: int) -> None:
        self._inner, self._length, self._channels = inner, length_samples, channels

    @property
    def length_samples(self) -> int:
        return self._length

    def seek(self, position_samples: int) -> None:
        self._inner.seek(position_samples)

    def read(self, count_samples: int) -> FloatArray:
        block = self._inner.read(count_samples)
        return block if block.shape[0] == self._channels else np.repeat(block[:1], self._channels, axis=0)


@contextmanager
def open_mix(
    reference: Path,
    *,
    rate_hz: int,
    channels: int,
    work: Path,
    on_progress: OnProgress,
    cancel: CancelToken,
    resampler: MakeResampler = Resampler,
) -> Iterator[Mix]:
    """The reference for a model of `rate_hz` and `channels`; resampled once into `work` where the rates differ.

    Raises InputError: more channels than the model takes, NaN or infinite samples, no length.
    """
    with open_audio(reference) as reader:
        length = reader.length_samples
        if length is None:
            raise InputError(f"{reference}: its length is not known; decode it to WAV first")
        if reader.channels not in (1, channels):
            raise InputError(
                f"{reference}: {reader.channels} channels, the model takes {channels}; mix it down or pick a pair first"
            )
        same_rate = reader.sample_rate_hz == rate_hz
        raw = None if same_rate else RawAudio(work / "mix.f32", reader.channels)
        try:
            made = None if raw is None else resampler(reader.sample_rate_hz, rate_hz, reader.channels)
            peak = _scan(reader, raw, made, on_progress, cancel)
            inner: AudioReader | RawAudio = raw or reader
            inner_length = length if raw is None else raw.length_samples
            yield Mix(
                source=_Channels(inner, inner_length, channels),
                sample_rate_hz=reader.sample_rate_hz,
                channels=reader.channels,
                length_samples=length,
                peak=peak,
            )
        finally:
            if raw is not None:
                raw.close()


def _scan(
    reader: AudioReader,
    raw: RawAudio | None,
    resampler: BlockResampler | None,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> float:
    """Read everything once: the peak, a check of every sample, and the copy at the model's rate."""
    peak, done, total = 0.0, 0, reader.length_samples or 0
    if raw is not None:
        raw.cut(0)
    with output_errors(raw.path if raw is not None else reader.info.path):
        for block in reader.blocks(_BLOCK_SAMPLES):
            cancel.check()
            if not np.isfinite(block).all():
                raise InputError(f"{reader.info.path}: has NaN or infinite samples; export the mix again")
            peak = max(peak, float(np.abs(block).max()))
            if raw is not None and resampler is not None:
                raw.append(resampler.process(block))
            done += block.shape[1]
            on_progress(Progress(stage="load", done=done, total=total))
        if raw is not None and resampler is not None:
            raw.append(resampler.finish())
    return peak
