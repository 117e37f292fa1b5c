"""What can be taken away: a stem, the mix as the page plays it, session and audio as one ZIP; all streamed."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np

from daw_bridge.errors import InputError, UsageError
from daw_bridge.files import confined, safe_name
from daw_bridge.manifest import MANIFEST_NAME
from daw_bridge.web.library import REFERENCE, Song
from daw_bridge.web.mix import Mix, plan_of

CHUNK_BYTES = 1 << 18
Kind = Literal["zip", "stem", "balance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What a ticket is for."""

    kind: Kind
    song: Song
    stem: str = ""
    mix: Mix | None = None
    mix_text: str = ""

    @property
    def file_name(self) -> str:
        """What the browser calls it."""
        name = self.song.manifest.name
        if self.kind == "zip":
            return safe_name(f"{name}.zip")
        if self.kind == "stem":
            return safe_name(f"{name}.{self.stem}{self.path.suffix}")
        template = self.mix.template if self.mix else ""
        return safe_name(f"{name}.{template}{'.stems' if self.mix and self.mix.dry else ''}.wav")

    @property
    def path(self) -> Path:
        """The file of a stem or the reference."""
        return self.song.audio_file(self.stem)

    @property
    def size_bytes(self) -> int | None:
        """Where it is known beforehand."""
        if self.kind == "stem":
            return self.path.stat().st_size
        return None if self.kind == "zip" else 58 + self.song.length_samples * 8

    def chunks(self) -> Iterator[bytes]:
        """The bytes of a ZIP or a stem. Raises InputError for a file that is gone."""
        return zip_of(self.song) if self.kind == "zip" else _file(self.path)


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            yield chunk


def wav_header(song: Song) -> bytes:
    """What stands before the samples of a float32 stereo WAV of the song's rate and length.

    RIFF with `fact`, as WAVs that are not PCM have it ("Multimedia Programming Interface", 1991). Raises InputError.
    """
    rate, data_bytes = song.sample_rate_hz, song.length_samples * 8
    if data_bytes > 0xFFFF_FFFF - 64:
        raise InputError("this song is too long for a WAV; use 'daw-bridge render'")
    form = struct.pack("<HHIIHHH", 3, 2, rate, rate * 8, 8, 32, 0)
    return b"".join(
        (
            b"RIFF" + struct.pack("<I", 50 + data_bytes) + b"WAVE",
            b"fmt " + struct.pack("<I", len(form)) + form,
            b"fact" + struct.pack("<II", 4, song.length_samples),
            b"data" + struct.pack("<I", data_bytes),
        )
    )


def interleaved(planar: bytes) -> bytes:
    """Left and right one after the other, as frames."""
    return np.ascontiguousarray(np.frombuffer(planar, dtype="<f4").reshape(2, -1).T).tobytes()


class _Outbox:
    """What `zipfile` writes to: it cannot seek, and what came is taken away again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_of(song: Song) -> Iterator[bytes]:
    """Session, audio, original and manifest, uncompressed (audio does not shrink), below one folder."""
    outbox = _Outbox()
    top = safe_name(song.folder.name)
    with zipfile.ZipFile(cast("IO[bytes]", outbox), "w", zipfile.ZIP_STORED) as archive:
        for path in session_files(song):
            info = zipfile.ZipInfo.from_file(
                path, f"{top}/{path.relative_to(song.folder).as_posix()}", strict_timestamps=False
            )
            info.compress_type = zipfile.ZIP_STORED
            with archive.open(info, "w", force_zip64=True) as entry:
                for chunk in _file(path):
                    entry.write(chunk)
                    yield outbox.taken()
        yield outbox.taken()
    yield outbox.taken()


def session_files(song: Song) -> list[Path]:
    """What daw-bridge made, and what the DAW added to its session folders; nothing else that lies about, no links."""
    manifest = song.manifest
    names = [MANIFEST_NAME, *manifest.own_files()]
    for record in manifest.sessions:
        names += [record.file, *record.files]
    found: dict[Path, None] = {}
    root = song.folder.resolve()
    for name in names:
        place = confined(root, name)
        for path in sorted(place.rglob("*")) if place.is_dir() and place != root else [place]:
            if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root):
                found[path] = None
    return list(found)


def download_of(song: Song, data: dict[str, object], mix: Mix | None) -> Download:
    """What a page asks a ticket for. Raises UsageError, InputError."""
    kind = data.get("what")
    if kind == "zip":
        return Download(kind="zip", song=song)
    if kind == "stem":
        stem = str(data.get("stem", ""))
        song.audio_file(stem)
        return Download(kind="stem", song=song, stem=stem)
    if kind == "balance" and mix is not None:
        plan_of(song, mix)
        wav_header(song)
        return Download(kind="balance", song=song, mix=mix, mix_text=json.dumps(data["mix"], sort_keys=True))
    raise UsageError(f"'what' is zip, stem or balance (with a mix); stems and {REFERENCE!r} by name")
