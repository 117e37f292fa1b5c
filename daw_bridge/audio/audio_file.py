"""What every open audio file is, whichever library reads it."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.lengths import Hole, LengthClaim
from daw_bridge.errors import InputError

FloatArray = NDArray[np.float32]

KNOWN_FORMATS = "WAV, RF64, W64, AIFF, FLAC, OGG, MP3, M4A/AAC, ALAC and the sound of videos"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a file is. `length_samples` is None where only decoding tells; then `estimated_samples` may help a
    progress bar. `claim` is what the container says and what lies behind it. `notes` are remarks for a person.
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
    claim: LengthClaim = field(default_factory=LengthClaim)


class AudioReader(ABC):
    """One open file; a context manager. Channels are in WAVE order (FL FR FC LFE BL BR SL SR).

    `late_notes` and `holes` are what only decoding tells; they are complete when the last block was read.
    """

    def __init__(self, info: AudioInfo) -> None:
        self.info = info
        self.late_notes: list[str] = []
        self.holes: list[Hole] = []

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

    def add_hole(self, hole: Hole) -> None:
        """Note where silence stands for sound that is lost; neighbours become one."""
        last = self.holes[-1] if self.holes else None
        if last is not None and last.start_samples + last.length_samples >= hole.start_samples:
            end = max(last.start_samples + last.length_samples, hole.start_samples + hole.length_samples)
            self.holes[-1] = Hole(start_samples=last.start_samples, length_samples=end - last.start_samples)
        else:
            self.holes.append(hole)

    def blocks(self, size_samples: int = 1 << 16) -> Iterator[FloatArray]:
        """The rest of the file in blocks of shape (channels, size_samples); the last one may be shorter."""
        while (block := self.read(size_samples)).shape[1]:
            yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class BlockReader(AudioReader):
    """A file whose decoder gives blocks of its own sizes, one after the other; it cannot go back."""

    def __init__(self, info: AudioInfo, blocks: Iterator[FloatArray]) -> None:
        super().__init__(info)
        self._blocks = blocks
        self._rest = np.zeros((info.channels, 0), dtype=np.float32)

    def read(self, count_samples: int) -> FloatArray:
        parts, missing = [self._rest], count_samples - self._rest.shape[1]
        while missing > 0:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            missing -= block.shape[1]
        joined = np.concatenate(parts, axis=1)
        self._rest = joined[:, count_samples:]
        return np.ascontiguousarray(joined[:, :count_samples])

    def seek(self, position_samples: int) -> None:
        raise InputError(
            f"{self.info.path}: this format cannot be read from sample {position_samples}; decode it first"
        )


def library_path(path: Path) -> str | bytes:
    """How C libraries are told of a file: on Linux and macOS by its bytes, which need not be text in any encoding."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def not_audio(path: Path) -> InputError:
    """The error for a file of another kind."""
    return InputError(f"{path}: not an audio file that can be read; known are {KNOWN_FORMATS}")
