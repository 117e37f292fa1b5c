"""Audio files out: float32 WAV as it is, 24-bit WAV or FLAC on request. Whole or not at all, same bytes every time.

Our own WAV writer, because libsndfile puts the time of day into the PEAK chunk and gives no access to `bext`.
Sources: RIFF/WAVE (Microsoft 1991), BWF (EBU Tech 3285 v1), RF64 (EBU Tech 3306).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.encoding import Encoding
from daw_bridge.audio.provenance import FLAC_PREFIX, bext_chunk, one_line
from daw_bridge.audio.samples import interleaved
from daw_bridge.errors import OutputError
from daw_bridge.files import atomic_path

FloatArray = NDArray[np.float32]

SUFFIXES: dict[str, str] = {"float32": ".wav", "pcm24": ".wav", "flac": ".flac"}
_RIFF_LIMIT_BYTES = 0xFFFFFFFF
_FULL_SCALE_24 = float(1 << 23)


class _Encoder(Protocol):
    def write(self, block: FloatArray) -> int:
        """Append (channels, n); the count of samples that had to be clipped."""
        ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class AudioWriter:
    """A context manager that turns blocks (channels, n) into `path`; on an error nothing is left there.

    float32 is neither clamped nor scaled. The integer encodings cannot hold more than full scale: what is over it is
    clipped and counted in `clipped_samples`. There is no dither: 24-bit rounding lies at -144 dBFS, and the same
    input must give the same file. Raises OutputError.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate_hz: int,
        channels: int,
        encoding: Encoding = "float32",
        provenance: str = "",
        rf64_above_bytes: int = _RIFF_LIMIT_BYTES,
    ) -> None:
        if encoding not in SUFFIXES:
            raise OutputError(f"{path}: unknown encoding {encoding!r}; use one of {', '.join(SUFFIXES)}")
        self.path, self.sample_rate_hz, self.channels, self.encoding = path, sample_rate_hz, channels, encoding
        self.provenance = one_line(provenance)
        self.length_samples = 0
        self.clipped_samples = 0
        self._rf64_above_bytes = rf64_above_bytes
        self._atomic: AbstractContextManager[Path] | None = None
        self._handle: BinaryIO | None = None
        self._encoder: _Encoder | None = None

    def __enter__(self) -> Self:
        self._atomic = atomic_path(self.path)
        part = self._atomic.__enter__()
        try:
            self._handle = part.open("wb")
            self._encoder = self._new_encoder(self._handle)
        except BaseException as exc:
            self._leave(type(exc), exc, exc.__traceback__)
            raise
        return self

    def write(self, block: FloatArray) -> None:
        """Append float32 samples of shape (channels, n)."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected ({self.channels}, n), got {block.shape}")
        if self._encoder is None:
            raise ValueError("write inside the with statement")
        self.clipped_samples += self._encoder.write(block)
        self.length_samples += block.shape[1]

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if exc is None and self._encoder is not None and self._handle is not None:
            try:
                self._encoder.finish()
                self._handle.close()
            except BaseException as late:
                self._leave(type(late), late, late.__traceback__)
                raise
        self._leave(kind, exc, tb)

    def _leave(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close what is open, then let the temporary file become the real one, or vanish."""
        if exc is not None:
            if self._encoder is not None:
                self._encoder.abandon()
            if self._handle is not None:
                try:
                    self._handle.close()
                except OSError:  # a full disk refuses the last flush as well; the file is thrown away anyway
                    pass
        self._encoder = None
        if self._atomic is not None:
            self._atomic.__exit__(kind, exc, tb)

    def _new_encoder(self, handle: BinaryIO) -> _Encoder:
        if self.encoding == "flac":
            return _FlacEncoder(handle, self)
        return _WaveEncoder(handle, self, self._rf64_above_bytes)


class _WaveEncoder:
    """RIFF/WAVE with room for `ds64`, so that the file becomes RF64 in place when it outgrows 4 GiB."""

    def __init__(self, handle: BinaryIO, audio: AudioWriter, rf64_above_bytes: int) -> None:
        self._handle, self._audio, self._rf64_above_bytes = handle, audio, rf64_above_bytes
        self._is_float = audio.encoding == "float32"
        self._sample_bytes = 4 if self._is_float else 3
        self._data_bytes = 0
        handle.write(self._header())

    def write(self, block: FloatArray) -> int:
        samples = interleaved(block)
        clipped = 0
        if self._is_float:
            data = samples.astype("<f4", copy=False).reshape(-1).view(np.uint8)
        else:
            integers, clipped = to_24_bit(samples)
            data = _three_bytes(integers)
        self._handle.write(data.data)
        self._data_bytes += data.size
        return clipped

    def finish(self) -> None:
        if self._data_bytes % 2:
            self._handle.write(b"\0")
        self._handle.seek(0)
        self._handle.write(self._header())

    def abandon(self) -> None:
        pass

    def _header(self) -> bytes:
        audio, data_bytes = self._audio, self._data_bytes
        frame_bytes = self._sample_bytes * audio.channels
        frames = data_bytes // frame_bytes
        chunks = bext_chunk(audio.provenance, audio.sample_rate_hz, self._sample_bytes * 8, audio.channels)
        tag = 3 if self._is_float else 1
        rate_hz = audio.sample_rate_hz
        form = struct.pack(
            "<HHIIHH", tag, audio.channels, rate_hz, rate_hz * frame_bytes, frame_bytes, self._sample_bytes * 8
        )
        chunks += _chunk(b"fmt ", form + (b"\0\0" if self._is_float else b""))
        if self._is_float:
            chunks += _chunk(b"fact", struct.pack("<I", min(frames, _RIFF_LIMIT_BYTES)))
        riff_bytes = 4 + 36 + len(chunks) + 8 + data_bytes + data_bytes % 2
        if riff_bytes <= self._rf64_above_bytes:
            room = _chunk(b"JUNK", bytes(28))
            return (
                struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
                + room
                + chunks
                + struct.pack("<4sI", b"data", data_bytes)
            )
        ds64 = _chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, frames, 0))
        unknown = struct.pack("<4sI", b"data", _RIFF_LIMIT_BYTES)
        return struct.pack("<4sI4s", b"RF64", _RIFF_LIMIT_BYTES, b"WAVE") + ds64 + chunks + unknown


class _FlacEncoder:
    """24-bit FLAC through libsndfile, which writes into our handle so that a full disk is seen."""

    def __init__(self, handle: BinaryIO, audio: AudioWriter) -> None:
        import soundfile

        self._file = _NotedErrors(handle)
        self._errors = (soundfile.SoundFileError, AssertionError)  # it asserts that all was written
        try:
            self._sound = soundfile.SoundFile(
                self._file, "w", audio.sample_rate_hz, audio.channels, format="FLAC", subtype="PCM_24"
            )
            if audio.provenance:
                self._sound.comment = FLAC_PREFIX + audio.provenance
        except self._errors as exc:
            self._file.raise_noted()
            raise OutputError(
                f"{audio.path}: FLAC cannot hold {audio.channels} channels at {audio.sample_rate_hz} Hz; use float32"
            ) from exc

    def write(self, block: FloatArray) -> int:
        integers, clipped = to_24_bit(interleaved(block))
        self._guarded(lambda: self._sound.write(integers << 8))
        return clipped

    def finish(self) -> None:
        self._guarded(self._sound.close)

    def abandon(self) -> None:
        """Let libsndfile go without writing any more."""
        self._file.discard = True
        try:
            self._sound.close()
        except self._errors:
            pass

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except self._errors as exc:
            self._file.raise_noted()
            raise OSError(str(exc)) from exc
        self._file.raise_noted()


class _NotedErrors:
    """A binary file for libsndfile's callbacks, through which no exception can travel: the first one is kept."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._noted: OSError | None = None
        self.discard = False

    def write(self, data: bytes) -> int:
        if self.discard:
            return len(data)
        try:
            return self._handle.write(data)
        except OSError as exc:
            self._noted = self._noted or exc
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if self.discard:
            return 0
        try:
            return self._handle.seek(offset, whence)
        except OSError as exc:  # seeking flushes
            self._noted = self._noted or exc
            return -1

    def tell(self) -> int:
        return 0 if self.discard else self._handle.tell()

    def read(self, _count_bytes: int = -1) -> bytes:
        return b""  # soundfile asks for the method, the encoder never calls it

    def raise_noted(self) -> None:
        if self._noted is not None:
            raise self._noted


def to_24_bit(samples: FloatArray) -> tuple[NDArray[np.int32], int]:
    """Integers in -2^23 .. 2^23 - 1, rounded to the nearest, and how many samples were over full scale."""
    scaled = np.rint(samples * np.float32(_FULL_SCALE_24))
    over = int(np.count_nonzero((scaled > _FULL_SCALE_24 - 1) | (scaled < -_FULL_SCALE_24)))
    return np.clip(scaled, -_FULL_SCALE_24, _FULL_SCALE_24 - 1).astype(np.int32), over


def _three_bytes(integers: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The three low bytes of each integer, little-endian; byte by byte, since a sliced copy is five times slower."""
    four = integers.astype("<i4", copy=False).reshape(-1).view(np.uint8).reshape(-1, 4)
    packed = np.empty((len(four), 3), dtype=np.uint8)
    for index in range(3):
        packed[:, index] = four[:, index]
    return packed.reshape(-1)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)
