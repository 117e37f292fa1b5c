"""What every open audio file is, whichever library reads it."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from daw_bridge.errors import InputError

FloatArray = NDArray[np.float32]

KNOWN_FORMATS = "WAV, RF64, W64, AIFF, FLAC, OGG, MP3, M4A/AAC, ALAC and the sound of videos"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a file is. `length_samples` is None where only decoding tells; then `estimated_samples` may help a
    progress bar. `notes` are remarks for a person.
    """

    path: Path
    container: str
    codec: str
    subtype: str
    sample_rate_hz: int
    channels: int
    length_samples: int | None
    lossy: bool
    estimated_samples: int | None = None
    notes: tuple[str, ...] = ()


class AudioReader(ABC):
    """One open file; a context manager. Channels are in WAVE order (FL FR FC LFE BL BR SL SR)."""

    def __init__(self, info: AudioInfo) -> None:
        self.info = info

    @property
    def sample_rate_hz(self) -> int:
        return self.info.sample_rate_hz

    @property
    def channels(self) -> int:
        return self.info.channels

    @property
    def length_samples(self) -> int | None:
        return self.info.length_samples

    @abstractmethod
    def read(self, count_samples: int) -> FloatArray:
        """The next samples, shape (channels, n), n < count_samples only at the end. Raises InputError."""

    @abstractmethod
    def seek(self, position_samples: int) -> None:
        """Go on reading at a sample. Raises InputError where the format does not allow it."""

    @abstractmethod
    def close(self) -> None: ...

    def blocks(self, size_samples: int = 1 << 16) -> Iterator[FloatArray]:
        """The rest of the file in blocks of shape (channels, size_samples); the last one may be shorter."""
        while (block := self.read(size_samples)).shape[1]:
            yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def library_path(path: Path) -> str | bytes:
    """How C libraries are told of a file: on Linux and macOS by its bytes, which need not be text in any encoding."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def not_audio(path: Path) -> InputError:
    """The error for a file of another kind."""
    return InputError(f"{path}: not an audio file that can be read; known are {KNOWN_FORMATS}")
