"""Signals and files made in code, shared by the audio tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

RATES_HZ = (8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)


def noise(length_samples: int, *, channels: int = 2, seed: int = 0, level: float = 0.1) -> FloatArray:
    """White noise, shape (channels, length_samples)."""
    return (np.random.default_rng(seed).standard_normal((channels, length_samples)) * level).astype(np.float32)


def impulses(length_samples: int, positions: list[int], *, channels: int = 2) -> FloatArray:
    """Clicks of 0.9 at the positions."""
    audio = np.zeros((channels, length_samples), dtype=np.float32)
    audio[:, positions] = 0.9
    return audio


def write_wav(path: Path, audio: FloatArray, rate_hz: int, **options: Any) -> Path:
    """A file through libsndfile, in small writes (its Vorbis encoder overruns the stack on long ones)."""
    options = {"subtype": "FLOAT", "format": "WAV"} | options
    with soundfile.SoundFile(path, "w", rate_hz, audio.shape[0], **options) as sound:
        for start in range(0, audio.shape[1], 4096):
            sound.write(audio[:, start : start + 4096].T)
    return path


def encode(
    path: Path,
    audio: FloatArray,
    rate_hz: int,
    codec: str,
    *,
    bit_rate: int | None = None,
    container: str | None = None,
) -> Path:
    """A file through FFmpeg's encoders, as PyAV carries them."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[audio.shape[0]]
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        wanted = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=wanted, layout=layout, rate=rate_hz)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        size = stream.codec_context.frame_size or 1024
        while (chunk := fifo.read(size, partial=True)) is not None:
            output.mux(stream.encode(chunk))
        output.mux(stream.encode(None))
    return path


def peak_positions(audio: FloatArray, near: list[int], reach_samples: int = 1500) -> list[int]:
    """Where the largest magnitude is around each expected position, as offset from it."""
    magnitude = np.abs(audio).max(axis=0)
    found = []
    for position in near:
        start = max(0, position - reach_samples)
        found.append(int(magnitude[start : position + reach_samples].argmax()) + start - position)
    return found
