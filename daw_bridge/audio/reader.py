"""Audio files read a block at a time: libsndfile first, FFmpeg (PyAV) for what it does not know.

Everything foreign that can go wrong with a file becomes an InputError here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, FloatArray, library_path, not_audio
from daw_bridge.audio.integrity import check_whole, cut_off, read_xing
from daw_bridge.errors import InputError
from daw_bridge.units import clock

_UNKNOWN_LENGTH = 1 << 62  # libsndfile says 2^63 - 1 for a FLAC that was written to a pipe
_LOSSY_SUBTYPES = ("VORBIS", "OPUS", "MPEG", "ADPCM", "GSM", "G72", "NMS", "ULAW", "ALAW", "DWVW", "VOX", "DPCM")
# libsndfile leaves Vorbis and Opus in Vorbis order (FL FC FR ...); this is WAVE order (FL FR FC LFE ...).
_VORBIS_TO_WAVE = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}


def open_audio(path: Path) -> AudioReader:
    """A reader for an audio or video file; the caller closes it.

    Raises InputError: missing, a folder, empty, not audio, cut off, unreadable, no samples.
    """
    _check_file(path)
    try:
        notes = check_whole(path)
        sound = soundfile.SoundFile(library_path(path))
    except soundfile.LibsndfileError:
        return _open_with_ffmpeg(path, ())
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    except (TypeError, ValueError) as exc:  # soundfile asks for a rate when the name ends in .raw
        raise not_audio(path) from exc
    if sound.frames >= _UNKNOWN_LENGTH:
        sound.close()
        return _open_with_ffmpeg(path, notes)
    return SoundfileReader(path, sound, notes)


def probe(path: Path) -> AudioInfo:
    """What a file is, without decoding it. Raises InputError as `open_audio` does."""
    with open_audio(path) as reader:
        return reader.info


def _check_file(path: Path) -> None:
    try:
        if path.is_symlink() and not path.exists():
            raise InputError(
                f"{path}: is a link to {path.readlink()}, where nothing is; mend the link or give the file"
            )
        if not path.exists():
            raise InputError(f"{path}: there is no such file; check the name")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give an audio file")
        if not path.is_file():
            raise InputError(f"{path}: is not a regular file; give an audio file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or download it again")
    except (OSError, ValueError) as exc:  # ValueError: a null byte in the name
        raise InputError(f"{path}: cannot be read ({getattr(exc, 'strerror', None) or exc})") from exc


def _open_with_ffmpeg(path: Path, notes: tuple[str, ...]) -> AudioReader:
    from daw_bridge.audio.reader_av import open_with_ffmpeg

    reader = open_with_ffmpeg(path, notes)
    if reader is None:
        raise not_audio(path)
    return reader


class SoundfileReader(AudioReader):
    """WAV, RF64, W64, AIFF, FLAC, OGG, MP3 and libsndfile's other formats."""

    def __init__(self, path: Path, sound: soundfile.SoundFile, notes: tuple[str, ...]) -> None:
        length: int | None = sound.frames
        if sound.format == "MP3" and not _mp3_knows_its_length(path):
            length = None
            notes = (*notes, "no Xing/Info header: neither its length nor its encoder delay is known")
        if length == 0:
            sound.close()
            raise InputError(f"{path}: there are no samples in it; export the mix again")
        super().__init__(
            AudioInfo(
                path=path,
                container=sound.format,
                codec=_codec(sound.format, sound.subtype),
                subtype=sound.subtype,
                sample_rate_hz=sound.samplerate,
                channels=sound.channels,
                length_samples=length,
                lossy=sound.subtype.startswith(_LOSSY_SUBTYPES) or "ADPCM" in sound.subtype,
                notes=notes,
            )
        )
        self._sound = sound
        self._position_samples = 0
        self._order = list(_VORBIS_TO_WAVE.get(sound.channels, ())) if sound.format == "OGG" else []

    def read(self, count_samples: int) -> FloatArray:
        with _decoding(self):
            frames: FloatArray = self._sound.read(count_samples, dtype="float32", always_2d=True)
        self._position_samples += len(frames)
        length = self.length_samples
        if len(frames) < count_samples and length is not None and self._position_samples < length:
            raise cut_off(self.info.path, self._position_samples, length)
        planar = np.ascontiguousarray(frames.T)
        return planar[self._order] if self._order else planar

    def seek(self, position_samples: int) -> None:
        length = self.length_samples
        if length is None or not 0 <= position_samples <= length:
            raise InputError(f"{self.info.path}: cannot go to sample {position_samples} of {length or 'unknown'}")
        with _decoding(self):
            self._sound.seek(position_samples)
        self._position_samples = position_samples

    @property
    def position_samples(self) -> int:
        return self._position_samples

    def close(self) -> None:
        self._sound.close()


@contextmanager
def _decoding(reader: SoundfileReader) -> Iterator[None]:
    """Errors of libsndfile while decoding, as InputError with the place."""
    try:
        yield
    except (soundfile.SoundFileError, OSError) as exc:
        where = clock(reader.position_samples / reader.sample_rate_hz)
        raise InputError(
            f"{reader.info.path}: damaged or cut off, cannot be decoded after {where}; copy or download it again"
        ) from exc


def _mp3_knows_its_length(path: Path) -> bool:
    """Whether the MP3 states its count of frames; without it libsndfile's length is a guess from the bit rate."""
    with path.open("rb") as handle:
        tag = read_xing(handle, path.stat().st_size)
    return tag is not None and tag.frames is not None


def _codec(container: str, subtype: str) -> str:
    if container in ("FLAC", "MP3"):
        return container.lower()
    if subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        return "pcm"
    return subtype.lower()
