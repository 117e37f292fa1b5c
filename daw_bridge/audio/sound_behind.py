"""Is what lies behind the announced end of a file's samples sound as well?

A recorder that renews its header now and then and dies in between leaves a size that was right a while ago: all that
lies behind it is the song. A picture, a tag or rubbish behind the sound is none. The two differ in how much one sample
tells of the next: the mean square of their difference over their variance (von Neumann's ratio) is 2 where nothing is
told, as in compressed data and text, and far below 1 in music.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import soundfile

from daw_bridge.audio.layout import SampleFormat
from daw_bridge.audio.spans import SpanFile

LEAST_S = 0.05
_LOOK_SAMPLES = 1 << 14
_MOST_RATIO = 1.0
_LOUDEST = 4.0


def is_sound(handle: BinaryIO, start: int, length_bytes: int, form: SampleFormat) -> bool:
    """Whether samples of this format go on in these bytes: at their beginning, in their middle and at their end."""
    samples = length_bytes // form.unit_bytes
    handle.seek(start)
    if not form.subtype or samples < LEAST_S * form.sample_rate_hz or handle.read(4) in (b"RIFF", b"FORM", b"fLaC"):
        return False
    look = min(_LOOK_SAMPLES, samples)
    places = (0, (samples - look) // 2, samples - look)
    found = [_goes_on(_read(handle, start + place * form.unit_bytes, look, form)) for place in places]
    return False not in found and True in found


def _read(handle: BinaryIO, start: int, count: int, form: SampleFormat) -> np.ndarray:
    sound = soundfile.SoundFile(
        SpanFile(handle, [(start, count * form.unit_bytes)]),
        samplerate=form.sample_rate_hz,
        channels=form.channels,
        format="RAW",
        subtype=form.subtype,
        endian="BIG" if form.big_endian else "LITTLE",
    )
    with sound:
        return np.asarray(sound.read(count, dtype="float64", always_2d=True))


def _goes_on(frames: np.ndarray) -> bool | None:
    """None for silence, which may be either."""
    if not np.isfinite(frames).all() or np.abs(frames).max(initial=0.0) > _LOUDEST:
        return False
    variance = np.square(frames - frames.mean(axis=0)).sum(axis=0)
    heard = variance > 0
    if not heard.any():
        return None
    steps = np.square(np.diff(frames, axis=0)).sum(axis=0)
    return bool((steps[heard] < _MOST_RATIO * variance[heard]).all())
