"""Lists of songs as people have them: .txt, .m3u, .m3u8 of many programs and systems."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from daw_bridge.errors import InputError
from daw_bridge.files import read_regular
from daw_bridge.spelling import as_on_disk

LIST_SUFFIXES = frozenset((".txt", ".m3u", ".m3u8"))
_LARGEST_LIST_BYTES = 64 << 20


def read_playlist(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a list, in its order, and the lines that name no file (web addresses). Raises InputError.

    A line is a path as it stands, with `%20` and the like, with backslashes, in quotes, in other capitals, from a
    Windows disk, or a file:// address; relative ones are below the list's folder. A line that begins with `#` is a song
    when there is such a file. Where no spelling of a line is a file, the line as it stands is kept, so that it is heard
    of.
    """
    songs, others = [], []
    for line in read_text(path).splitlines():
        text = line.strip()
        if not text or text.startswith(("#EXT", "#PLAYLIST")):
            continue
        if urlsplit(text).scheme in ("http", "https", "rtsp", "mms", "ftp"):
            others.append(text)
            continue
        found = _existing(path.parent, text)
        if found is not None:
            songs.append(found)
        elif not text.startswith("#"):
            songs.append(path.parent / text)
    return songs, others


def read_text(path: Path) -> str:
    """A small text of any origin: UTF-8, UTF-16 with its mark, else what Windows wrote before. Raises InputError."""
    try:
        data = read_regular(path, most_bytes=_LARGEST_LIST_BYTES)
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: cannot be read ({getattr(exc, 'strerror', None) or exc})") from exc
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"{path}: is no text; give a list with a path on each line")


def _existing(folder: Path, text: str) -> Path | None:
    spellings = list(dict.fromkeys(_spellings(text)))
    for any_case in (False, True):
        for spelling in spellings:
            try:
                path = as_on_disk(folder / spelling, any_case=any_case)
                if path.is_file() or path.is_dir():
                    return path
            except (OSError, ValueError):  # too long, or a null byte
                continue
    return None


def _spellings(text: str) -> Iterator[str]:
    """What a line may mean, the plainest first."""
    if text[:7].lower() == "file://":
        text = unquote(urlsplit(text).path or text[7:])
        text = text[1:] if PureWindowsPath(text[1:]).drive else text
    yield text
    if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'":  # as Windows' "copy as path" gives it
        text = text[1:-1]
        yield text
    unquoted = unquote(text), unquote(text, "cp1252", "replace")
    yield from unquoted
    for plain in dict.fromkeys((text, *unquoted)):
        yield plain.replace("\\", "/")
        parts = PureWindowsPath(plain).parts
        if PureWindowsPath(plain).anchor:  # from another machine's disk: what lies below the list in the same folders
            parts = parts[1:]
            for first in range(len(parts)):
                yield "/".join(parts[first:])
