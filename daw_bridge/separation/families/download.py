"""Files from the network, into a model's folder; every file is held against what the catalog knows of it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.files import PART_SUFFIX, output_errors, sha256_of_file
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo, WeightFile
from daw_bridge.units import human_bytes

TIMEOUT_S = 15.0
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How a family gets the files of one model into `folder`.

    `mirrors` gives another beginning for addresses that begin with a key of it: a test's server, a mirror at home.
    """

    info: ModelInfo
    folder: Path
    mirrors: Mapping[str, str] = field(default_factory=dict)
    on_progress: OnProgress = ignore_progress
    cancel: CancelToken = field(default_factory=CancelToken)

    def address(self, url: str) -> str:
        """Where to ask instead of `url`."""
        for beginning, mirror in self.mirrors.items():
            if url.startswith(beginning):
                return mirror + url.removeprefix(beginning)
        return url

    @contextmanager
    def get(self, url: str, name: str) -> Iterator[Path]:
        """A temporary file with what is at `url`. Raises OSError for the network, OutputError for the disk."""
        part = self.folder / f"{name}{PART_SUFFIX}"
        address = self.address(url)
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "daw-bridge"})  # noqa: S310  (https, or a test)
            with _naming_host(address), urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                self._store(answer, int(answer.headers.get("Content-Length") or 0), part)
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _store(self, answer: HTTPResponse, total: int, part: Path) -> None:
        done = 0
        with ExitStack() as scope:
            with output_errors(part):
                handle = scope.enter_context(part.open("wb"))
            while block := answer.read(_BLOCK_BYTES):
                self.cancel.check()
                with output_errors(part):
                    handle.write(block)
                done += len(block)
                self.on_progress(Progress(stage="load", done=done, total=max(total, done)))
        if total and done != total:
            raise OSError(f"cut off after {human_bytes(done)} of {human_bytes(total)}")


def fetch_files(info: ModelInfo, download: Download) -> None:
    """The files that the catalog lists for a model, each from the first address that has it with the right sha256.

    Raises OSError when no address answers, WeightsCorrupt when one sent something else.
    """
    for file in info.files:
        first_that_works(*(_way(file, url, download) for url in file.urls))
    record_sha256(download.folder, {file.name: file.sha256 for file in info.files})


def _way(file: WeightFile, url: str, download: Download) -> Callable[[], None]:
    def get() -> None:
        with download.get(url, file.name) as part:
            found = sha256_of_file(part)
            if found != file.sha256:
                raise WeightsCorrupt(f"{url}: sha256 is {found[:8]}..., it should be {file.sha256[:8]}...; try again")
            with output_errors(download.folder):
                part.replace(download.folder / file.name)

    return get


def first_that_works(*ways: Callable[[], None]) -> None:
    """Try one way after the other; OSError with all reasons when none works."""
    reasons = []
    for way in ways:
        try:
            way()
        except (OSError, ValueError) as exc:
            reasons.append(str(exc)[:100])
        else:
            return
    raise OSError("; ".join(dict.fromkeys(reasons)))


@contextmanager
def _naming_host(url: str) -> Iterator[None]:
    """Network errors with the name of the host."""
    try:
        yield
    except urllib.error.URLError as exc:
        reason = getattr(exc.reason, "strerror", None) or exc.reason
        raise OSError(f"{urlsplit(url).hostname}: {reason}") from exc
