"""Files without a reader of their own: libsndfile, then FFmpeg, then a search for MPEG frames."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import soundfile

from daw_bridge.audio.audio_file import AudioReader, not_audio
from daw_bridge.audio.lengths import LengthClaim
from daw_bridge.audio.reader_mpeg import open_mpeg
from daw_bridge.audio.reader_soundfile import UNKNOWN_LENGTH, SoundfileReader, with_notes
from daw_bridge.audio.spans import SpanFile


def open_plain(path: Path, accept_damaged: bool, notes: tuple[str, ...] = ()) -> AudioReader:
    """libsndfile, then FFmpeg, then a search for MPEG frames behind whatever stands in front of them.

    libsndfile does not hear the file's name: it would hand a text that is called .mp3 to mpg123, which prints.
    """
    handle = path.open("rb")
    try:
        sound = soundfile.SoundFile(SpanFile(handle, [(0, path.stat().st_size)]))
    except (soundfile.LibsndfileError, TypeError, ValueError):
        handle.close()
        return open_with_ffmpeg(path, notes, accept_damaged=accept_damaged)
    if sound.format == "MP3":
        reader = open_mpeg(path, accept_damaged=accept_damaged)
        if reader is not None:
            sound.close()
            handle.close()
            return with_notes(reader, notes)
        unknown = "no Xing/Info header: neither its length nor its encoder delay is known"
        return closing(SoundfileReader(path, sound, (*notes, unknown), known=False, claim=LengthClaim()), handle)
    if sound.frames >= UNKNOWN_LENGTH:
        sound.close()
        handle.close()
        return open_with_ffmpeg(path, notes, accept_damaged=accept_damaged)
    return closing(SoundfileReader(path, sound, notes), handle)


def open_with_ffmpeg(path: Path, notes: tuple[str, ...], *, accept_damaged: bool) -> AudioReader:
    from daw_bridge.audio.reader_av import open_av
    from daw_bridge.audio.reader_joined import read_on

    found = open_av(path, notes, accept_damaged=accept_damaged)
    if found is not None:
        return read_on(path, found, accept_damaged=accept_damaged)
    reader = open_mpeg(path, accept_damaged=accept_damaged)
    if reader is None:
        raise not_audio(path)
    return reader


def closing(reader: SoundfileReader, handle: BinaryIO) -> SoundfileReader:
    reader.closes = handle
    return reader
