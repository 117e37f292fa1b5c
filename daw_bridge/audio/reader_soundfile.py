"""Audio through libsndfile: WAV, RF64, W64, AIFF, CAF, FLAC, Ogg, MP3 of free bit rate, and its other formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, FloatArray
from daw_bridge.audio.lengths import LengthClaim, cut_off, damaged
from daw_bridge.errors import InputError

UNKNOWN_LENGTH = 1 << 62  # libsndfile says 2^63 - 1 for a FLAC that was written to a pipe
_LOSSY_SUBTYPES = ("VORBIS", "OPUS", "MPEG", "ADPCM", "GSM", "G72", "NMS", "ULAW", "ALAW", "DWVW", "VOX", "DPCM")
# libsndfile leaves Vorbis and Opus in Vorbis order (FL FC FR ...); this is WAVE order (FL FR FC LFE ...).
_VORBIS_TO_WAVE = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}


class SoundfileReader(AudioReader):
    """A file that libsndfile reads. `known` is false where its count of samples is a guess."""

    def __init__(
        self,
        path: Path,
        sound: soundfile.SoundFile,
        notes: tuple[str, ...] = (),
        *,
        claim: LengthClaim | None = None,
        container: str = "",
        known: bool = True,
        md5: bytes = b"",
    ) -> None:
        length: int | None = sound.frames if known else None
        if length == 0:
            sound.close()
            raise InputError(f"{path}: there are no samples in it; export the mix again")
        super().__init__(
            AudioInfo(
                path=path,
                container=container or sound.format,
                codec=_codec(sound.format, sound.subtype),
                subtype=sound.subtype,
                sample_rate_hz=sound.samplerate,
                channels=sound.channels,
                length_samples=length,
                estimated_samples=None if known or sound.frames >= UNKNOWN_LENGTH else sound.frames,
                lossy=sound.subtype.startswith(_LOSSY_SUBTYPES) or "ADPCM" in sound.subtype,
                notes=notes,
                claim=claim or LengthClaim(claimed_samples=length, behind_samples=length),
            )
        )
        self._sound = sound
        self.closes: BinaryIO | None = None
        """A file to close as well: libsndfile does not close what it reads through Python."""
        self._position_samples = 0
        self._order = list(_VORBIS_TO_WAVE.get(sound.channels, ())) if sound.format == "OGG" else []
        self._md5 = _Md5(md5, sound.subtype) if any(md5) else None

    def read(self, count_samples: int) -> FloatArray:
        with self._decoding():
            frames: FloatArray = self._sound.read(count_samples, dtype="float32", always_2d=True)
        self._position_samples += len(frames)
        length = self.length_samples
        if len(frames) < count_samples and length is not None and self._position_samples < length:
            at_s = self._position_samples / self.sample_rate_hz
            raise cut_off(self.info.path, self._position_samples, length, at_s=at_s)
        if self._md5 is not None and len(frames):
            self.late_notes += self._md5.update(frames, at_end=self._position_samples == length)
        planar = np.ascontiguousarray(frames.T)
        return planar[self._order] if self._order else planar

    def seek(self, position_samples: int) -> None:
        length = self.length_samples
        if length is None or not 0 <= position_samples <= length:
            raise InputError(f"{self.info.path}: cannot go to sample {position_samples} of {length or 'unknown'}")
        with self._decoding():
            self._sound.seek(position_samples)
        self._position_samples = position_samples
        if position_samples or self._md5 is None:
            self._md5 = None  # the checksum is over the whole
        else:
            self._md5.restart()

    def close(self) -> None:
        self._sound.close()
        if self.closes is not None:
            self.closes.close()

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Errors of libsndfile while decoding, as InputError with the place."""
        try:
            yield
        except (soundfile.SoundFileError, OSError) as exc:
            raise damaged(self.info.path, self._place_of_damage() / self.sample_rate_hz) from exc

    def _place_of_damage(self) -> int:
        """The first sample that cannot be read: FFmpeg's decoder goes frame by frame."""
        from daw_bridge.audio.reader_av import first_hole_samples

        found = first_hole_samples(self.info.path)
        return self._position_samples if found is None else found


class _Md5:
    """The checksum of a FLAC's samples (RFC 9639, 8.2): little-endian integers of its own width, interleaved."""

    def __init__(self, wanted: bytes, subtype: str) -> None:
        self._wanted, self._bits = wanted, {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(subtype, 0)
        self.restart()

    def restart(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)

    def update(self, frames: FloatArray, *, at_end: bool) -> list[str]:
        """Take (n, channels) samples; at the end what is to be said."""
        if not self._bits:
            return []
        integers = (frames * np.float32(1 << self._bits - 1)).astype("<i4")
        width = self._bits // 8
        self._digest.update(np.ascontiguousarray(integers.reshape(-1, 1).view(np.uint8)[:, :width]).data)
        if not at_end or self._digest.digest() == self._wanted:
            return []
        return ["the MD5 in the FLAC header does not match: the sound was changed or damaged after it was encoded"]


def with_notes(reader: AudioReader, notes: tuple[str, ...], claim: LengthClaim | None = None) -> AudioReader:
    """The reader with more remarks about its file, and another claim where one is given."""
    reader.info = replace(reader.info, notes=(*reader.info.notes, *notes), claim=claim or reader.info.claim)
    return reader


def _codec(container: str, subtype: str) -> str:
    if container in ("FLAC", "MP3"):
        return container.lower()
    if subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        return "pcm"
    return subtype.lower()
