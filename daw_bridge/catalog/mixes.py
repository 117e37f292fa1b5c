"""Which mixes a source holds, and what is left out: by name, so that nothing is passed over without a word.

A key with an empty part, `.`, `..` or a control character in it cannot be addressed by obstore, and a single one ends
its listing. Then another client lists the source (the system a folder, pyarrow S3), which sees every name; what can be
addressed is asked for singly, and the rest is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.catalog.store import Listed, Store
from daw_bridge.errors import KeyUnaddressable, StoreUnreachable

_FIRST = 20
_AT_ONCE = 16
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)}
_EMPTY = "has no bytes"
_ODD = "no store can address this name (an empty part, '.', '..', control character, no UTF-8); rename it"


@dataclass(slots=True)
class LeftOut:
    """What a plan does not take, although it looks like a mix: how much, and the first of it in words."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: str, why: str) -> None:
        self.count += 1
        if len(self.first) < _FIRST:
            self.first.append(f"{_printable(key)}: {why}")


def mixes_in(source: Store, out: Store, left_out: LeftOut) -> Iterator[Listed]:
    """The audio below `source`: no song folder, nothing hidden, and not the catalog itself where it lies inside.

    Raises InputError; KeyUnaddressable where `mixes_singly` can go on.
    """
    wanted = _wanted(source, out)
    for each in source.list():
        if wanted(each.key):
            if each.size_bytes:
                yield each
            else:
                left_out.add(each.key, _EMPTY)


def mixes_singly(source: Store, out: Store, left_out: LeftOut) -> Iterator[Listed]:
    """The same of a source in which some keys cannot be addressed. A request for each mix. Raises InputError."""
    wanted = _wanted(source, out)
    names = _names_in_folder(source.folder, left_out) if source.folder else _names_in_bucket(source.url, left_out)
    keys = (key for key in names if wanted(key))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(islice(keys, 1000)):
            for key, found in zip(some, pool.map(source.head, some), strict=True):
                if found is not None and found.size_bytes:
                    yield found
                elif found is not None:
                    left_out.add(key, _EMPTY)


def _wanted(source: Store, out: Store) -> Callable[[str], bool]:
    from daw_bridge.workflow.chain import SONG_FOLDER_SUFFIX  # brings the separation, which no driver needs

    inside = f"{out.url.removeprefix(source.url).strip('/')}/" if out.url.startswith(f"{source.url}/") else ""

    def wanted(key: str) -> bool:
        hidden = f"{SONG_FOLDER_SUFFIX}/" in key or "/." in f"/{key}"
        return _is_audio(key) and not hidden and not (inside and key.startswith(inside))

    return wanted


def _is_audio(key: str) -> bool:
    return f".{key.rsplit('/', 1)[-1].rpartition('.')[2].lower()}" in AUDIO_SUFFIXES


def _is_odd(part: str) -> bool:
    """Whether obstore cannot address a key with this part; lone surrogates are bytes that are no UTF-8."""
    return part in ("", ".", "..") or any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in part)


def _sorted_in(below: str, part: str, is_folder: bool, waiting: list[str], left_out: LeftOut) -> Iterator[str]:
    """One entry of a listing: a key, a folder that waits, or what is left out."""
    key = f"{below}{part}"
    if _is_odd(part):
        if is_folder or _is_audio(key):
            left_out.add(f"{key}/" if is_folder else key, _ODD)
    elif is_folder:
        waiting.append(f"{key}/")
    else:
        yield key


def _names_in_folder(root: Path, left_out: LeftOut) -> Iterator[str]:
    waiting, seen = [""], set[tuple[int, int]]()
    while waiting:
        below = waiting.pop()
        try:
            here = (root / below).stat()
            if (here.st_dev, here.st_ino) in seen:  # a link may lead in a circle
                continue
            seen.add((here.st_dev, here.st_ino))
            entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
            for entry in entries:
                yield from _sorted_in(below, entry.name, entry.is_dir(), waiting, left_out)
        except OSError as exc:
            raise StoreUnreachable(f"{root / below}: cannot be read: {exc.strerror}") from exc


def _names_in_bucket(url: str, left_out: LeftOut) -> Iterator[str]:
    """Raises KeyUnaddressable for buckets that are not S3's, and StoreUnreachable."""
    if not url.startswith("s3://"):
        raise KeyUnaddressable(f"{url}: {_ODD}")
    from pyarrow import fs

    place = url.removeprefix("s3://")
    waiting = [""]
    try:
        client = fs.S3FileSystem(**_endpoint(place.partition("/")[0]))
        while waiting:
            below = waiting.pop()
            base = f"{place}/{below}".rstrip("/")
            for each in client.get_file_info(fs.FileSelector(base)):
                part = each.path.removeprefix(base).strip("/")  # none: keys with `//` lie there
                yield from _sorted_in(below, part, each.type == fs.FileType.Directory, waiting, left_out)
    except OSError as exc:
        raise StoreUnreachable(f"{url}: cannot be listed: {' '.join(str(exc).split())[:200]}") from exc


def _endpoint(bucket: str) -> dict[str, str]:
    """Where S3 is, as the environment says to obstore."""
    from pyarrow import fs

    found = {}
    scheme, _, host = os.environ.get("AWS_ENDPOINT_URL", "").partition("://")
    if host:
        found = {"scheme": scheme, "endpoint_override": host.rstrip("/")}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {**found, "region": region or ("us-east-1" if host else fs.resolve_s3_region(bucket))}


def _printable(key: str) -> str:
    return os.fsencode(key).decode(errors="backslashreplace").translate(_ESCAPES)
