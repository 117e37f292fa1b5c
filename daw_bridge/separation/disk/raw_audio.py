"""Float32 frames in a plain file: the mix at the model's rate, and the stems while they grow.

A plain file because it can be cut back to any frame after a crash and appended to, which no audio format allows.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from daw_bridge.separation.engine.separator import FloatArray


class RawAudio:
    """Interleaved little-endian float32 of `channels` channels; open for reading and appending. Also a SampleSource."""

    def __init__(self, path: Path, channels: int) -> None:
        self.path, self.channels = path, channels
        self._frame_bytes = 4 * channels
        self._handle = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def length_samples(self) -> int:
        """Whole frames in the file."""
        return os.fstat(self._handle.fileno()).st_size // self._frame_bytes

    def seek(self, position_samples: int) -> None:
        self._position = position_samples

    def read(self, count_samples: int) -> FloatArray:
        """The next frames, shape (channels, n)."""
        self._handle.seek(self._position * self._frame_bytes)
        parts, missing = [], count_samples * self._frame_bytes
        while missing > 0:
            part = self._handle.read(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        frames = np.frombuffer(data[: len(data) // self._frame_bytes * self._frame_bytes], dtype="<f4")
        self._position += len(frames) // self.channels
        return np.ascontiguousarray(frames.reshape(-1, self.channels).T, dtype=np.float32)

    def append(self, block: FloatArray) -> None:
        """Write frames, shape (channels, n), behind the last one."""
        data = np.ascontiguousarray(block.T, dtype="<f4").data.cast("B") if block.size else b""
        self._handle.seek(0, os.SEEK_END)
        view = memoryview(data)
        while view:
            view = view[self._handle.write(view) :]

    def cut(self, length_samples: int) -> None:
        """Forget everything behind that many frames."""
        self._handle.truncate(length_samples * self._frame_bytes)

    def flush_to_disk(self) -> None:
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        self._handle.close()
