"""Audio files read a block at a time: libsndfile first, FFmpeg (PyAV) for what it does not know.

What a file is, its content decides. How long it is, the rule in `lengths.py` decides: each container's module finds
what the header claims and what lies behind it. Everything foreign that can go wrong becomes an InputError here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import soundfile

from daw_bridge.audio import container_pcm, container_wave
from daw_bridge.audio.audio_file import AudioInfo, AudioReader, library_path, not_audio
from daw_bridge.audio.container_flac import flac_starts, last_frame, read_streaminfo, total_patch
from daw_bridge.audio.container_mp4 import check_mp4, glance_mp4, is_mp4
from daw_bridge.audio.joined import JoinedReader
from daw_bridge.audio.layout import DataPiece, Layout, SampleFormat, lay_out
from daw_bridge.audio.lengths import LengthClaim, Verdict, cut_off
from daw_bridge.audio.mpeg_frames import after_tags
from daw_bridge.audio.reader_mpeg import glance_mpeg, open_mpeg
from daw_bridge.audio.reader_ogg import open_ogg
from daw_bridge.audio.reader_soundfile import UNKNOWN_LENGTH, SoundfileReader, with_notes
from daw_bridge.audio.sound_behind import is_sound
from daw_bridge.audio.spans import Span, SpanFile
from daw_bridge.errors import DamagedInput, InputError

_TEST_BLOCK_SAMPLES = 1 << 16
_DSD = (b"DSD ", b"FRM8")
"""How DSF and DSDIFF files begin."""
_LEAST_FLAC_BYTES = 1 << 14
"""A FLAC of no samples holds tags and the padding that encoders leave for them."""


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
        return _open_with_ffmpeg(path, reader.info.notes, accept_damaged=True)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


def probe(path: Path, *, accept_damaged: bool = False) -> AudioInfo:
    """What a file is, without decoding it. Raises InputError as `open_audio` does."""
    with open_audio(path, accept_damaged=accept_damaged) as reader:
        return reader.info


def glance(path: Path) -> AudioInfo:
    """About how long a file is, in a millisecond: by its header and first frames alone. Raises InputError.

    For estimates over whole libraries; what is true `probe` tells.
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
                return in_index or probe(path)
            if head[:4] in (b"fLaC", b"OggS"):
                with SoundfileReader(path, soundfile.SoundFile(library_path(path)), known=False) as reader:
                    return reader.info
            info = glance_mpeg(path, handle, base, size_bytes) if base or head[:1] == b"\xff" else None
    except (OSError, soundfile.LibsndfileError):
        info = None  # what is wrong with it is told below
    return info or probe(path)


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
    return reader or _open_plain(path, accept_damaged)


def _open_known(
    path: Path, handle: BinaryIO, head: bytes, base: int, size_bytes: int, accept_damaged: bool
) -> AudioReader | None:
    """The reader for a container whose header is read here; None for every other one."""
    if container_wave.is_wave(head):
        return _open_waves(path, handle, base, size_bytes, accept_damaged)
    if head[:4] == b"fLaC":
        return _open_flac(path, handle, base, size_bytes, accept_damaged)
    if base:
        return None
    for belongs, read in _PCM_CONTAINERS:
        if belongs(head):
            form, pieces = read(handle, size_bytes)
            return _open_pcm(path, 0, form, pieces, accept_damaged) if form is not None and pieces else None
    if is_mp4(head):
        return _open_plain(path, accept_damaged, check_mp4(path, handle, size_bytes))
    return open_ogg(path, accept_damaged=accept_damaged) if head[:4] == b"OggS" else None


_PCM_CONTAINERS = (
    (container_pcm.is_aiff, container_pcm.read_aiff),
    (container_pcm.is_au, container_pcm.read_au),
    (container_pcm.is_caf, container_pcm.read_caf),
)


def _open_plain(path: Path, accept_damaged: bool, notes: tuple[str, ...] = ()) -> AudioReader:
    """libsndfile, then FFmpeg, then a search for MPEG frames behind whatever stands in front of them.

    libsndfile does not hear the file's name: it would hand a text that is called .mp3 to mpg123, which prints.
    """
    handle = path.open("rb")
    try:
        sound = soundfile.SoundFile(SpanFile(handle, [(0, path.stat().st_size)]))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        handle.close()
        return _open_with_ffmpeg(path, notes, accept_damaged=accept_damaged)
    if sound.format == "MP3":
        reader = open_mpeg(path, accept_damaged=accept_damaged)
        if reader is not None:
            sound.close()
            handle.close()
            return with_notes(reader, notes)
        unknown = "no Xing/Info header: neither its length nor its encoder delay is known"
        return _closing(SoundfileReader(path, sound, (*notes, unknown), known=False, claim=LengthClaim()), handle)
    if sound.frames >= UNKNOWN_LENGTH:
        sound.close()
        handle.close()
        return _open_with_ffmpeg(path, notes, accept_damaged=accept_damaged)
    return _closing(SoundfileReader(path, sound, notes), handle)


def _open_with_ffmpeg(path: Path, notes: tuple[str, ...], *, accept_damaged: bool) -> AudioReader:
    from daw_bridge.audio.reader_av import open_with_ffmpeg

    reader = open_with_ffmpeg(path, notes, accept_damaged=accept_damaged) or open_mpeg(
        path, accept_damaged=accept_damaged
    )
    if reader is None:
        raise not_audio(path)
    return reader


def _open_waves(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    starts = container_wave.wave_starts(handle, base, size_bytes)
    parts = [
        (start, *container_wave.read_wave(handle, start, end))
        for start, end in zip(starts, [*starts[1:], size_bytes], strict=True)
    ]
    if len(parts) == 1:
        return _open_wave(path, *parts[0], accept_damaged)
    return JoinedReader(_all_or_none(partial(_open_wave, path, *part, accept_damaged) for part in parts))


def _all_or_none(openers: Iterable[Callable[[], AudioReader]]) -> list[AudioReader]:
    """The readers of the parts of a file; where one cannot be opened, none is left open."""
    readers: list[AudioReader] = []
    try:
        for opener in openers:
            readers.append(opener())
    except InputError:
        for reader in readers:
            reader.close()
        raise
    return readers


def _open_wave(
    path: Path, base: int, form: SampleFormat | None, pieces: list[DataPiece], accept_damaged: bool
) -> AudioReader:
    if form is None or not pieces:
        missing = "a data chunk" if form is not None else "a usable format chunk"
        raise InputError(f"{path}: a WAV file without {missing}, cut off or damaged in its header; export it again")
    if form.tag in container_wave.MPEG_TAGS and len(pieces) == 1:
        layout = lay_out(replace(form, unit_bytes=1), pieces, accept_damaged=accept_damaged)
        start, length = layout.spans[0]
        reader = open_mpeg(path, accept_damaged=accept_damaged, span=(start, start + length))
        if reader is not None:
            said = () if layout.verdict in (Verdict.AS_CLAIMED, Verdict.CUT) else layout.notes
            return with_notes(reader, ("MPEG audio inside a WAV file", *said))
    if form.tag in container_wave.BIT_STREAM_TAGS:
        inside = f"{container_wave.BIT_STREAM_TAGS[form.tag]} inside a WAV file"
        return _open_with_ffmpeg(path, (inside,), accept_damaged=accept_damaged)
    return _open_pcm(path, base, form, pieces, accept_damaged)


def _open_pcm(path: Path, base: int, form: SampleFormat, pieces: list[DataPiece], accept_damaged: bool) -> AudioReader:
    """Samples that lie in the file as they are: through libsndfile, with the length that the rule gives."""
    layout = lay_out(form, pieces, accept_damaged=accept_damaged)
    if layout.verdict is Verdict.CUT and not accept_damaged:
        raise _cut_off(path, layout)
    if layout.left_behind_bytes and _is_sound_behind(path, layout):
        layout = lay_out(form, pieces, accept_damaged=accept_damaged, sound_behind=True)
    if not layout.data_bytes:
        raise InputError(f"{path}: there are no samples in it; export the mix again")
    try:
        if not base:
            sound = soundfile.SoundFile(library_path(path))
            if form.subtype == "" and layout.verdict in (Verdict.AS_CLAIMED, Verdict.CUT, Verdict.OFF_BY_ONE):
                return SoundfileReader(path, sound, layout.notes, known=layout.verdict is Verdict.AS_CLAIMED)
            if form.subtype and sound.frames == layout.length_samples and len(layout.spans) == 1:
                return SoundfileReader(path, sound, layout.notes, claim=layout.claim)
            sound.close()
    except soundfile.LibsndfileError:
        pass
    return _open_mended(path, base, layout, accept_damaged)


def _is_sound_behind(path: Path, layout: Layout) -> bool:
    start, length = layout.spans[-1]
    with path.open("rb") as handle:
        return is_sound(handle, start + length, layout.left_behind_bytes, layout.form)


def _cut_off(path: Path, layout: Layout) -> DamagedInput:
    form, there = layout.form, layout.data_bytes
    at_s = layout.length_samples / form.sample_rate_hz if form.subtype else None
    claimed = layout.claim.claimed_samples or 0
    return cut_off(path, there // form.unit_bytes * form.block_samples, claimed, at_s=at_s)


def _open_mended(path: Path, base: int, layout: Layout, accept_damaged: bool) -> AudioReader:
    """What libsndfile does not read as it is: the samples without their container, or a copy of the header mended."""
    form = layout.form
    handle = path.open("rb")
    try:
        if form.subtype:
            sound = soundfile.SoundFile(
                SpanFile(handle, layout.spans),
                samplerate=form.sample_rate_hz,
                channels=form.channels,
                format="RAW",
                subtype=form.subtype,
                endian="BIG" if form.big_endian else "LITTLE",
            )
        else:
            sound = soundfile.SoundFile(SpanFile(handle, list(_mended_header(base, layout))))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        handle.close()
        return _open_with_ffmpeg(path, layout.notes, accept_damaged=accept_damaged)
    claim = layout.claim if form.subtype else None
    reader = SoundfileReader(path, sound, layout.notes, claim=claim, container=form.container)
    return _closing(reader, handle)


def _closing(reader: SoundfileReader, handle: BinaryIO) -> SoundfileReader:
    reader.closes = handle
    return reader


def _mended_header(base: int, layout: Layout) -> Iterator[Span]:
    """Everything up to the samples, with the size that was found in place of the one that is wrong (RIFF only)."""
    start, length = layout.spans[0]
    yield (base, layout.size_at - base)
    yield min(length, 0xFFFFFFFF).to_bytes(4, "little")
    yield (layout.size_at + 4, start - layout.size_at - 4)
    yield (start, length)


def _open_flac(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    starts = flac_starts(handle, base)
    if len(starts) == 1:
        return _open_flac_part(path, handle, base, size_bytes, accept_damaged)
    ends = [*starts[1:], size_bytes]
    readers = _all_or_none(
        partial(_open_flac_part, path, handle, start, end, accept_damaged)
        for start, end in zip(starts, ends, strict=True)
    )
    if all(reader.length_samples is not None for reader in readers):
        return JoinedReader(readers)
    for reader in readers:  # what is not in order is FFmpeg's, which looks for frames
        reader.close()
    return _open_with_ffmpeg(path, (), accept_damaged=accept_damaged)


def _open_flac_part(path: Path, handle: BinaryIO, base: int, size_bytes: int, accept_damaged: bool) -> AudioReader:
    info = read_streaminfo(handle, base)
    last = last_frame(handle, info, size_bytes) if info is not None else None
    if info is not None and last is None and not info.total_samples and size_bytes - info.at < _LEAST_FLAC_BYTES:
        raise InputError(f"{path}: there are no samples in it; export the mix again")
    if info is None or last is None:
        return _open_plain(path, accept_damaged)
    claimed = info.total_samples
    notes: tuple[str, ...] = ()
    real, end = (last.end_samples, size_bytes) if last.whole else (last.start_samples, last.start)
    rate_hz = info.sample_rate_hz
    if not last.whole and claimed in (last.end_samples, 0):
        real, end = last.end_samples, size_bytes  # something behind the last frame, or a cut in it: decoding tells
    cut = claimed > real and (last.full or not last.whole)
    if cut and not accept_damaged:
        raise cut_off(path, real, claimed, at_s=real / rate_hz)
    if claimed != real:
        says = f"announces {claimed / rate_hz:.3f} s" if claimed else "does not state the length"
        said = f"the FLAC header {says}; its frames end at {real / rate_hz:.3f} s, and that is read"
        notes = (f"cut off: {said}" if cut else said,)
    claim = LengthClaim(claimed_samples=claimed or None, behind_samples=real)
    own = path.open("rb")
    try:
        spans: list[Span] = [(base, 8), total_patch(handle, info, real), (info.at + 34, end - info.at - 34)]
        sound = soundfile.SoundFile(SpanFile(own, spans))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        own.close()
        return _open_plain(path, accept_damaged, notes)
    md5 = info.md5 if real == last.end_samples else b""
    return _closing(SoundfileReader(path, sound, notes, claim=claim, container="FLAC", md5=md5), own)
