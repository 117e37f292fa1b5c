"""The `.dawproject` file: a zip of two XML files and the audio, stored, streamed, the same bytes every time."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from daw_bridge.adapter import require_audio
from daw_bridge.errors import InputError
from daw_bridge.files import atomic_path, open_regular, safe_name
from daw_bridge.model import Clip
from daw_bridge_dawproject.project_xml import AUDIO_FOLDER, ProjectText

PROJECT_FILE = "project.xml"
METADATA_FILE = "metadata.xml"
LARGEST_XML_BYTES = 64 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o644 << 16


def media_paths(clips: Iterable[Clip]) -> dict[Path, str]:
    """Each clip's file -> its path inside the container: forward slashes, names that every disk takes, none twice."""
    paths: dict[Path, str] = {}
    taken: set[str] = set()
    for clip in clips:
        if clip.path in paths:
            continue
        stem, suffix = safe_name(clip.path.stem, fallback="audio"), clip.path.suffix.lower() or ".wav"
        number, name = 1, f"{stem}{suffix}"
        while name.casefold() in taken:
            number += 1
            name = f"{stem} {number}{suffix}"
        taken.add(name.casefold())
        paths[clip.path] = f"{AUDIO_FOLDER}/{name}"
    return paths


def write_container(target: Path, text: ProjectText, media: Mapping[Path, str]) -> None:
    """Write the zip, whole or not at all; past 4 GB it becomes a zip64. InputError for a file that is not there."""
    for source in media:
        require_audio(source)
    with atomic_path(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as container:
        container.writestr(_entry(METADATA_FILE, zipfile.ZIP_DEFLATED), text.metadata)
        container.writestr(_entry(PROJECT_FILE, zipfile.ZIP_DEFLATED), text.project)
        for source, path in media.items():
            # The size decides whether the entry's header has room for more than 4 GB.
            entry = _entry(path, zipfile.ZIP_STORED)
            entry.file_size = source.stat().st_size
            with source.open("rb") as reader, container.open(entry, "w") as writer:
                shutil.copyfileobj(reader, writer, _BLOCK_BYTES)


def _entry(path: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _NO_DATE)
    entry.compress_type = method
    entry.create_system = 3
    entry.external_attr = _PLAIN_FILE
    return entry


def read_container(path: Path) -> tuple[bytes, bytes, dict[str, int]]:
    """`project.xml`, `metadata.xml` and every other file's size; InputError for a file that is no DAWproject."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as container:
            texts = [_text(container, path, name) for name in (PROJECT_FILE, METADATA_FILE)]
            others = {
                entry.filename: entry.file_size
                for entry in container.infolist()
                if entry.filename not in (PROJECT_FILE, METADATA_FILE) and not entry.is_dir()
            }
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, zlib.error) as exc:
        raise InputError(f"{path}: not a DAWproject file ({exc})") from exc
    return texts[0], texts[1], others


def _text(container: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        entry = container.getinfo(name)
    except KeyError as exc:
        raise InputError(f"{path}: not a DAWproject file (no {name} in it)") from exc
    if entry.file_size > LARGEST_XML_BYTES:
        raise InputError(
            f"{path}: its {name} claims {entry.file_size} bytes; more than {LARGEST_XML_BYTES} are not read"
        )
    return container.read(entry)


def is_safe(path: str) -> bool:
    """True for a path that stays inside the container."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and ":" not in parts[0]
