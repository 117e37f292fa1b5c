"""Audio files read a block at a time: libsndfile first, FFmpeg (PyAV) for what it does not know.

What a file is, its content decides. How long it is, the rule in `lengths.py` decides: each container's module finds
what the header claims and what lies behind it. Everything foreign that can go wrong becomes an InputError here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import soundfile

from daw_bridge.audio import container_pcm, container_wave
from daw_bridge.audio.audio_file import AudioInfo, AudioReader, library_path
from daw_bridge.audio.container_mp4 import glance_mp4, is_mp4
from daw_bridge.audio.layout import lay_out
from daw_bridge.audio.lengths import Verdict
from daw_bridge.audio.mpeg_frames import after_tags
from daw_bridge.audio.reader_any import open_plain, open_with_ffmpeg
from daw_bridge.audio.reader_flac import open_flac
from daw_bridge.audio.reader_mpeg import glance_mpeg, open_mpeg
from daw_bridge.audio.reader_ogg import open_ogg
from daw_bridge.audio.reader_pcm import open_pcm, open_waves
from daw_bridge.audio.reader_soundfile import SoundfileReader
from daw_bridge.errors import DamagedInput, InputError

_TEST_BLOCK_SAMPLES = 1 << 16
_DSD = (b"DSD ", b"FRM8")
"""How DSF and DSDIFF files begin."""


def open_audio(path: Path, *, accept_damaged: bool = False) -> AudioReader:
    """A reader for an audio or video file; the caller closes it.

    With `accept_damaged` what decodes of a cut-off or damaged file is read, with silence where a hole is. Raises
    DamagedInput (cut off, damaged) and InputError: missing, a folder, empty, not audio, unreadable, no samples.
    """
    _check_file(path)
    try:
        reader = _open(path, accept_damaged)
        if not accept_damaged or _decodes(reader):
            return _open(path, accept_damaged) if accept_damaged else reader
        return open_with_ffmpeg(path, reader.info.notes, accept_damaged=True)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


def probe(path: Path, *, accept_damaged: bool = False) -> AudioInfo:
    """What a file is, without decoding it. Raises InputError as `open_audio` does."""
    with open_audio(path, accept_damaged=accept_damaged) as reader:
        return reader.info


def glance(path: Path, *, otherwise: Callable[[Path], AudioInfo] = probe) -> AudioInfo:
    """About how long a file is, in a millisecond: by its header and first frames alone. Raises InputError.

    For estimates over whole libraries; what is true `probe` tells, or `otherwise`, where the header is not enough.
    """
    _check_file(path)
    try:
        with path.open("rb") as handle:
            size_bytes = os.fstat(handle.fileno()).st_size
            base = after_tags(handle, 0, size_bytes)
            handle.seek(base)
            head = handle.read(16)
            plain = _glance_pcm(path, handle, head, base, size_bytes)
            if plain is not None:
                return plain
            if is_mp4(head) and not base:
                in_index = _glance_mp4(path, handle, size_bytes)
                return in_index or otherwise(path)
            if head[:4] in (b"fLaC", b"OggS"):
                with SoundfileReader(path, soundfile.SoundFile(library_path(path)), known=False) as reader:
                    return reader.info
            info = glance_mpeg(path, handle, base, size_bytes) if base or head[:1] == b"\xff" else None
    except (OSError, soundfile.LibsndfileError):
        info = None  # what is wrong with it is told below
    return info or otherwise(path)


def _glance_mp4(path: Path, handle: BinaryIO, size_bytes: int) -> AudioInfo | None:
    sound = glance_mp4(handle, size_bytes)
    if sound is None:
        return None
    return AudioInfo(
        path=path,
        container="MP4",
        codec=sound.codec,
        subtype="",
        sample_rate_hz=sound.sample_rate_hz,
        channels=sound.channels,
        length_samples=None,
        estimated_samples=round(sound.duration_s * sound.sample_rate_hz),
        lossy=sound.codec != "alac",
    )


def _glance_pcm(path: Path, handle: BinaryIO, head: bytes, base: int, size_bytes: int) -> AudioInfo | None:
    """A WAVE file of plain samples, by its header alone; None for what is another, or not in order."""
    if not container_wave.is_wave(head):
        return None
    form, pieces = container_wave.read_wave(handle, base, size_bytes)
    if form is None or not form.subtype or not pieces:
        return None
    layout = lay_out(form, pieces, accept_damaged=False)
    if layout.verdict is Verdict.CUT or layout.left_behind_bytes or not layout.data_bytes:
        return None
    return AudioInfo(
        path=path,
        container=form.container,
        codec="pcm",
        subtype=form.subtype,
        sample_rate_hz=form.sample_rate_hz,
        channels=form.channels,
        length_samples=layout.length_samples,
        lossy=False,
        claim=layout.claim,
    )


def _decodes(reader: AudioReader) -> bool:
    """Whether a file can be read to its end as it is; the reader is used up."""
    with reader:
        try:
            for _block in reader.blocks(_TEST_BLOCK_SAMPLES):
                pass
        except DamagedInput:
            return False
    return True


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size:
            return
    except (OSError, ValueError):  # told below, in our words
        pass
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


def _open(path: Path, accept_damaged: bool) -> AudioReader:
    """The reader for what the first bytes say."""
    size_bytes = path.stat().st_size
    with path.open("rb") as handle:
        base = after_tags(handle, 0, size_bytes)
        handle.seek(base)
        head = handle.read(16)
        if head[:4] in _DSD:
            raise InputError(
                f"{path}: is DSD, sound of one bit, which no DAW mixes; convert it first, as in: "
                "ffmpeg -i FILE -ar 88200 converted.wav"
            )
        reader = _open_known(path, handle, head, base, size_bytes, accept_damaged)
    if reader is None and (base or head[:1] == b"\xff"):
        reader = open_mpeg(path, accept_damaged=accept_damaged)
    return reader or open_plain(path, accept_damaged)


def _open_known(
    path: Path, handle: BinaryIO, head: bytes, base: int, size_bytes: int, accept_damaged: bool
) -> AudioReader | None:
    """The reader for a container whose header is read here; None for every other one."""
    if container_wave.is_wave(head):
        return open_waves(path, handle, base, size_bytes, accept_damaged)
    if head[:4] == b"fLaC":
        return open_flac(path, handle, base, size_bytes, accept_damaged)
    if base:
        return None
    for belongs, read in _PCM_CONTAINERS:
        if belongs(head):
            form, pieces = read(handle, size_bytes)
            return open_pcm(path, 0, form, pieces, accept_damaged) if form is not None and pieces else None
    if is_mp4(head):
        from daw_bridge.audio.reader_joined import open_mp4

        return open_mp4(path, handle, size_bytes, accept_damaged=accept_damaged)
    return open_ogg(path, accept_damaged=accept_damaged) if head[:4] == b"OggS" else None


_PCM_CONTAINERS = (
    (container_pcm.is_aiff, container_pcm.read_aiff),
    (container_pcm.is_au, container_pcm.read_au),
    (container_pcm.is_caf, container_pcm.read_caf),
)
