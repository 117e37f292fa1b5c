"""Where mixes are read and results are published: a folder or a bucket, with one atomic operation.

`put_new` is all that the commit protocol needs of a store: it makes an object whole or not at all, and of two racing
writers one wins (S3: PutObject with If-None-Match; a folder: a hard link of a finished temporary file). The extra
`catalog` brings obstore, which speaks to S3, GCS, Azure and folders; nothing else of the program imports it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from daw_bridge.catalog.store_faults import reason
from daw_bridge.errors import AdapterMissing, InputError, KeyUnaddressable, OutputError, StoreUnreachable
from daw_bridge.files import output_errors

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError
    from obstore.store import LocalStore, from_url
except ImportError as exc:  # one line for a person; the extra is named
    raise AdapterMissing("a catalog needs the extra `catalog`; install it: pip install 'daw-bridge[catalog]'") from exc

_BLOCK_BYTES = 8 << 20
_PART_BYTES = 64 << 20
"""Of an upload: each part is a request that is paid for, and two of them are in memory."""
_PAGE_KEYS = 1000
_RETRY: Any = {
    "max_retries": 12,
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=15), "base": 2.0},
    "retry_timeout": timedelta(seconds=180),
}
"""For a store that throttles (503) or is away for a moment."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing. `etag` changes with the content."""

    key: str
    size_bytes: int
    etag: str


class Store:
    """A folder, or a bucket as `s3://`, `gs://` or `az://` with the credentials of the environment."""

    def __init__(self, url: str | Path) -> None:
        """Nothing is asked of the store yet. Raises InputError for an address that is none."""
        self.url = str(url).rstrip("/") or "/"
        self.folder: Path | None = None
        scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):(?=/|$)", self.url)  # longer than the letter of a drive
        if scheme and scheme[1] != "file" and not re.match(r"://[^/]", self.url[scheme.end() - 1 :]):
            raise InputError(f"{url}: names no bucket; write {scheme[1]}://BUCKET/FOLDER, or give a folder")
        if not scheme or scheme[1] == "file":
            self.folder = Path(self.url.removeprefix("file:")).resolve()
            self.url = str(self.folder)
            self._store: Any = None
            return
        client: Any = {"timeout": timedelta(seconds=120)}
        if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            client["allow_http"] = True  # said by the user's own environment, as for a server on this machine
        try:
            self._store = from_url(self.url, client_options=client, retry_config=_RETRY)
        except (BaseError, ValueError) as exc:
            raise InputError(f"{self.url}: cannot be used as a store ({reason(exc)})") from exc

    def require_source(self) -> None:
        """InputError when nothing can be read here."""
        if self.folder is not None and not self.folder.is_dir():
            raise InputError(f"{self.url}: no such folder; give the folder or bucket of the mixes")
        with suppress(KeyUnaddressable), self._reading(self.url):  # there is something, with an odd name
            next(iter(obstore.list(self._opened(), chunk_size=1)), None)

    def require_target(self) -> None:
        """OutputError when nothing can be written here, or when the store cannot put an object if it is absent."""
        name = f"probe/{secrets.token_hex(8)}"
        first, second = self.put_new(name, b"1"), self.put_new(name, b"2")  # as two writers
        self.remove(name)
        if not first or second:
            raise OutputError(
                f"{self.url}: does not honour put-if-absent, so that songs could be done twice; use a store that does"
            )

    def put_file(self, key: str, source: Path) -> None:
        """Upload a file of any size in parts, in constant memory. Overwrites. Raises OutputError."""
        with self._writing(key):
            obstore.put(self._opened(), key, source, chunk_size=_PART_BYTES, max_concurrency=2)
        if self.folder is not None:  # a commit must not outlive the data that it names
            _sync(self.folder / key)

    def put_new(self, key: str, data: bytes) -> bool:
        """Make the object unless it is there; whether this call made it. Raises OutputError, StoreUnreachable.

        Give bytes that no other caller would: a request whose answer was lost is sent again and then finds its own
        object (S3 after an error 500 that came too late, NFS after a reply that did).
        """
        with self._writing(key):
            try:
                obstore.put(self._opened(), key, data, mode="create")
            except AlreadyExistsError:
                return self.get(key) == data
        return True

    def put(self, key: str, data: bytes) -> None:
        """Make or replace the object. Raises OutputError."""
        with self._writing(key):
            obstore.put(self._opened(), key, data)

    def get(self, key: str) -> bytes | None:
        """The object; None when there is none. Raises InputError."""
        with self._reading(key):
            try:
                return bytes(obstore.get(self._opened(), key).bytes())
            except FileNotFoundError:
                return None

    def head(self, key: str) -> Listed | None:
        """What a listing says about one object; None when there is none. Raises InputError."""
        with self._reading(key):
            try:
                meta = obstore.head(self._opened(), key)
            except FileNotFoundError:
                return None
        return Listed(key, meta["size"], meta["e_tag"] or "")

    def fetch(self, wanted: Listed, target: Path) -> None:
        """Copy an object to a file, when it is still the one that was listed. Raises InputError."""
        with self._reading(wanted.key):
            try:
                found = obstore.get(self._opened(), wanted.key)
            except FileNotFoundError:
                raise InputError(
                    f"{wanted.key}: is gone since the plan was made; plan again into another folder"
                ) from None
            if found.meta["size"] != wanted.size_bytes or (found.meta["e_tag"] or "") != wanted.etag:
                raise InputError(f"{wanted.key}: has changed since the plan was made; plan again into another folder")
            with output_errors(target), target.open("wb") as out:
                for chunk in found.stream(min_chunk_size=_BLOCK_BYTES):
                    out.write(chunk)

    def blocks(self, key: str) -> Iterator[bytes]:
        """The content, a part at a time. Raises InputError, also where there is no such object."""
        with self._reading(key):
            try:
                for chunk in obstore.get(self._opened(), key).stream(min_chunk_size=_BLOCK_BYTES):
                    yield bytes(chunk)
            except FileNotFoundError:
                raise InputError(f"{self.url}/{key}: is not there") from None

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """What lies below a prefix, a page at a time. Raises InputError."""
        if self.folder is not None and not self.folder.is_dir():
            return
        with self._reading(prefix or self.url):
            for page in obstore.list(self._opened(), prefix=prefix or None, chunk_size=_PAGE_KEYS):
                for meta in page:
                    yield Listed(meta["path"], meta["size"], meta["e_tag"] or "")

    def names(self, prefix: str) -> set[str]:
        """The last names below a prefix."""
        return {each.key.rsplit("/", 1)[-1] for each in self.list(prefix)}

    def remove(self, *keys: str) -> None:
        """Remove objects by name. Raises OutputError."""
        if keys:
            with self._writing(keys[0]):
                obstore.delete(self._opened(), list(keys))

    def _opened(self) -> Any:
        """The store itself; a folder is made when it is first written or read."""
        if self._store is None and self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self.folder)
            except OSError as exc:
                raise OutputError(f"{self.url}: cannot be used as a folder ({exc.strerror or exc})") from exc
        return self._store

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except InvalidPathError as exc:
            raise KeyUnaddressable(f"{self._place(what)}: cannot be read: {reason(exc)}") from exc
        except (BaseError, OSError, ValueError) as exc:
            raise StoreUnreachable(f"{self._place(what)}: cannot be read: {reason(exc)}") from exc

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as exc:
            raise OutputError(f"{self._place(what)}: cannot be written: {reason(exc)}") from exc

    def _place(self, what: str) -> str:
        return self.url if what == self.url else f"{self.url}/{what}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
