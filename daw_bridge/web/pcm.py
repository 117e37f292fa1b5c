"""Stems as raw samples: all stems of a stretch in one body, planar, stem after stem, left before right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import InputError, UsageError
from daw_bridge.web.library import Song

Format = Literal["f32", "i16"]
MAX_SECONDS = 12
MAX_STEMS = 32


def stretch(song: Song, stems: Sequence[str], begin: int, count: int, form: Format) -> bytes:
    """The body of one cell. Mono stems are sent on both sides. Raises UsageError for bounds, InputError for files."""
    if not 0 < len(stems) <= MAX_STEMS:
        raise UsageError(f"{len(stems)} stems; 1 to {MAX_STEMS} can be had at once")
    block = np.stack([samples(song, name, begin, count) for name in stems])
    if form == "i16":
        block = np.clip(np.rint(block * 32767.0), -32768, 32767)
    body: bytes = block.astype("<i2" if form == "i16" else "<f4", copy=False).tobytes()
    return body


def samples(song: Song, name: str, begin: int, count: int) -> NDArray[np.float32]:
    """Shape (2, n), n less than `count` only at the song's end."""
    if not (0 <= begin < song.length_samples and 0 < count <= MAX_SECONDS * song.sample_rate_hz):
        raise UsageError(f"from {begin}, count {count}: outside the song, or more than {MAX_SECONDS} s at once")
    count = min(count, song.length_samples - begin)
    with open_audio(song.audio_file(name)) as reader:
        reader.seek(begin)
        block = reader.read(count)
    if block.shape[1] < count:
        raise InputError(f"{name}: its file is shorter than the song; build the mix again")
    return block[:2] if block.shape[0] >= 2 else np.repeat(block, 2, axis=0)
