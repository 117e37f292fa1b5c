"""How a file says that daw-bridge made it: `bext` in WAV (EBU Tech 3285 v1), a comment in FLAC.

The guard against separating a stem again reads it, so it must survive being copied and renamed.
"""

from __future__ import annotations

import struct
from pathlib import Path
from urllib.parse import quote, unquote

from daw_bridge.audio.audio_file import library_path

ORIGINATOR = "daw-bridge"
FLAC_PREFIX = "daw-bridge: "
_DESCRIPTION_BYTES = 256
_BEXT = struct.Struct("<256s32s32s10s8sQH64s190s")
_HISTORY_KEY = "T="
_LONGEST_HISTORY_BYTES = 1 << 20


def one_line(text: str) -> str:
    """`text` with every run of white space and control characters as one space."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


def bext_chunk(provenance: str, sample_rate_hz: int, bits: int, channels: int) -> bytes:
    """The whole chunk: TimeReference 0, no date (the same input must give the same file).

    Description holds the line as far as it fits; CodingHistory holds all of it, commas written as %2C since they
    separate fields there.
    """
    mode = {1: "mono", 2: "stereo"}.get(channels, "multi")
    free_text = f",{_HISTORY_KEY}{quote(provenance, safe=' /:;=+()[]{}@!#$&*?<>|~^_-.')}" if provenance else ""
    history = f"A=PCM,F={sample_rate_hz},W={bits},M={mode}{free_text}\r\n".encode()
    body = _BEXT.pack(_cut_utf8(provenance, _DESCRIPTION_BYTES), ORIGINATOR.encode(), b"", b"", b"", 0, 1, b"", b"")
    body += history + b"\0" * (len(history) % 2)  # even, for libsndfile forgets the pad byte of an odd one in RF64
    return struct.pack("<4sI", b"bext", len(body)) + body


def read_provenance(path: Path) -> str | None:
    """The provenance line of a WAV or FLAC that daw-bridge wrote; None for every other file. Never raises."""
    try:
        with path.open("rb") as handle:
            head = handle.read(12)
        if head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
            return _from_bext(path)
        if head[:4] == b"fLaC":
            return _from_flac(path)
    except (OSError, ValueError):
        pass
    return None


def _from_bext(path: Path) -> str | None:
    with path.open("rb") as handle:
        handle.seek(12)
        while len(header := handle.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            if name == b"bext" and length >= _BEXT.size:
                return _from_bext_body(handle.read(min(length, _BEXT.size + _LONGEST_HISTORY_BYTES)))
            handle.seek(length + length % 2, 1)
    return None


def _from_bext_body(body: bytes) -> str | None:
    description, originator = body[:_DESCRIPTION_BYTES], body[_DESCRIPTION_BYTES : _DESCRIPTION_BYTES + 32]
    if originator.rstrip(b"\0").decode("utf-8", "replace") != ORIGINATOR:
        return None
    history = body[_BEXT.size :].split(b"\0")[0].decode("utf-8", "replace")
    for line in history.splitlines():
        for field in line.split(","):
            if field.startswith(_HISTORY_KEY):
                return unquote(field.removeprefix(_HISTORY_KEY))
    return description.rstrip(b"\0").decode("utf-8", "replace")


def _from_flac(path: Path) -> str | None:
    import soundfile

    try:
        with soundfile.SoundFile(library_path(path)) as sound:
            comment = str(sound.comment)
    except (soundfile.SoundFileError, OSError):
        return None
    return comment.removeprefix(FLAC_PREFIX) if comment.startswith(FLAC_PREFIX) else None


def _cut_utf8(text: str, limit_bytes: int) -> bytes:
    return text.encode()[:limit_bytes].decode("utf-8", "ignore").encode()
