"""Weights from where their makers publish them, into the user's cache folder, each file held against its checksum.

Demucs: the Hugging Face hub as demucs 4.1 itself uses it (safetensors, whose sha256 the hub states), else the legacy
server, whose file names carry 8 digits of the sha256 that the installed demucs package lists. BSRNN: the Zenodo
record, whose listing states an MD5. Every network error becomes `WeightsMissing` with the three ways out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from daw_bridge.errors import ModelError, WeightsCorrupt
from daw_bridge.files import PART_SUFFIX, link_or_copy, output_errors, sha256_of_file, write_atomic
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.families.demucs.bag import (
    HUB_NAMESPACE,
    hub_name,
    weights_present,
)
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint, write_checkpoint
from daw_bridge.separation.families.store import CHECKSUM_FILE, missing, weights_home
from daw_bridge.separation.model_info import ModelInfo
from daw_bridge.units import human_bytes

_TIMEOUT_S = 15.0
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where weights come from; a test or a mirror gives its own."""

    hub: str = "https://huggingface.co"
    legacy: str = "https://dl.fbaipublicfiles.com/demucs"
    zenodo: str = "https://zenodo.org/api/records/17516442"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Download:
    info: ModelInfo
    folder: Path
    origins: Origins
    on_progress: OnProgress
    cancel: CancelToken

    @contextmanager
    def get(self, url: str, name: str) -> Iterator[Path]:
        """A temporary file with what is at `url`. Raises OSError for the network, OutputError for the disk."""
        part = self.folder / f"{name}{PART_SUFFIX}"
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "daw-bridge"})  # noqa: S310  (https, or a test)
            with _naming_host(url), urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
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


@contextmanager
def _naming_host(url: str) -> Iterator[None]:
    """Network errors with the name of the host."""
    try:
        yield
    except urllib.error.URLError as exc:
        reason = getattr(exc.reason, "strerror", None) or exc.reason
        raise OSError(f"{urlsplit(url).hostname}: {reason}") from exc


def fetch(
    info: ModelInfo,
    *,
    home: Path | None = None,
    origins: Origins | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """The folder with the model's weights, downloaded if they are not on this machine yet.

    Raises WeightsMissing (not reachable), WeightsCorrupt (a checksum is wrong), OutputError, Cancelled.
    """
    folder = (home or weights_home()) / info.name
    if info.family == "preview" or weights_present(info, home=home):
        return folder
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise missing(info, "HF_HUB_OFFLINE forbids downloads")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    download = _Download(
        info=info,
        folder=folder,
        origins=origins or Origins(),
        on_progress=on_progress,
        cancel=cancel or CancelToken(),
    )
    on_progress(Progress(stage="load", done=0, total=1, note=f"fetching {info.name}, about {info.size_mb} MB"))
    if info.family == "bsrnn":
        _first_that_works(download, [_from_zenodo])
    else:
        _first_that_works(download, [_from_hub, _from_legacy])
    return folder


def _first_that_works(download: _Download, ways: list[Callable[[_Download], None]]) -> None:
    reasons = []
    for way in ways:
        try:
            way(download)
        except (OSError, ValueError) as exc:
            reasons.append(str(exc)[:100])
        else:
            return
    _remove_if_empty(download.folder)
    raise missing(download.info, "not reachable: " + "; ".join(dict.fromkeys(reasons)))


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _from_hub(download: _Download) -> None:
    """One safetensors file per network, from the cache that demucs uses too; the blob's name is its sha256."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    _require_host(download.origins.hub)
    disable_progress_bars()
    digests = {}
    for done, signature in enumerate(download.info.signatures):
        download.cancel.check()
        name = f"{signature}.safetensors"
        repository = f"{HUB_NAMESPACE}/{hub_name(download.info.name)}"
        try:
            found = hf_hub_download(repository, name, endpoint=download.origins.hub, etag_timeout=_TIMEOUT_S)
        except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as exc:
            raise OSError(f"{repository}: {str(exc.__cause__ or exc).splitlines()[0]}") from exc
        blob = Path(found).resolve()
        stated = blob.name if len(blob.name) == 64 else ""
        digests[name] = read_checkpoint(Path(found), sha256_prefix=stated).sha256
        with output_errors(download.folder):
            link_or_copy(blob, download.folder / name)
        download.on_progress(Progress(stage="load", done=done + 1, total=len(download.info.signatures)))
    _record(download.folder, digests)


def _require_host(url: str) -> None:
    """OSError at once when a host cannot be reached: the hub's client would try for half a minute, aloud."""
    if urllib.request.getproxies():
        return
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=_TIMEOUT_S).close()
    except OSError as exc:
        raise OSError(f"{parts.hostname}: {exc.strerror or exc}") from exc


def legacy_paths() -> dict[str, str]:
    """Signature -> path below the legacy server, from the list that the installed demucs package carries."""
    root, paths = "", {}
    for line in (files("demucs") / "remote" / "files.txt").read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("root:"):
            root = text.removeprefix("root:").strip()
        elif text and not text.startswith("#"):
            paths[text.split("-", 1)[0]] = root + text
    return paths


def _from_legacy(download: _Download) -> None:
    """One `.th` per network, held against the digits in its name, read without its pickle, kept as safetensors."""
    paths = legacy_paths()
    digests = {}
    for signature, checksum in zip(download.info.signatures, download.info.checksums, strict=True):
        target = download.folder / f"{signature}.safetensors"
        with download.get(f"{download.origins.legacy}/{paths[signature]}", f"{signature}-{checksum}.th") as part:
            write_checkpoint(read_checkpoint(part, sha256_prefix=checksum), target)
        digests[target.name] = sha256_of_file(target)
    _record(download.folder, digests)


ZENODO_FOLDERS = {"bsrnn-simo": "simo-bsrnn-opt", "bsrnn-opt": "bsrnn-opt", "bsrnn-large": "bsrnn-large"}
"""Our names -> those of the published archives."""


def _from_zenodo(download: _Download) -> None:
    """The model's archive, held against the record's MD5; only its checkpoints are taken out."""
    wanted = f"{ZENODO_FOLDERS[download.info.name]}.zip"
    with download.get(download.origins.zenodo, "record.json") as listing:
        try:
            entries = {str(entry["key"]): entry for entry in json.loads(listing.read_text(encoding="utf-8"))["files"]}
        except (KeyError, TypeError) as exc:
            raise ValueError(f"the record's listing was not understood ({exc})") from exc
    if wanted not in entries:
        names = ", ".join(entries)
        raise ModelError(f"the Zenodo record has no {wanted} (it has {names}); fetch it by hand and give --weights")
    with download.get(str(entries[wanted]["links"]["self"]), wanted) as archive:
        stated = str(entries[wanted].get("checksum", "")).removeprefix("md5:")
        with archive.open("rb") as handle:
            found = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if stated and stated != found:
            raise WeightsCorrupt(f"{wanted}: came with MD5 {found}, the record states {stated}; try again")
        _extract_checkpoints(archive, download.folder)


def _extract_checkpoints(archive: Path, folder: Path) -> None:
    """The checkpoints of an archive as safetensors, by their last name only: no entry decides where it is written."""
    from daw_bridge.separation.families.bsrnn.checkpoint import convert_checkpoint

    digests = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                name = Path(entry.filename.replace("\\", "/")).name
                if entry.is_dir() or not name.endswith(".ckpt"):
                    continue
                target = folder / f"{Path(name).stem}.safetensors"
                with tempfile.TemporaryDirectory(dir=folder, suffix=PART_SUFFIX) as scratch:
                    whole = Path(scratch) / name  # with the optimiser's state, three times the size of the weights
                    with output_errors(target), opened.open(entry) as source, whole.open("wb") as handle:
                        shutil.copyfileobj(source, handle)
                    convert_checkpoint(whole, target)
                digests[target.name] = sha256_of_file(target)
    except zipfile.BadZipFile as exc:
        raise WeightsCorrupt(f"{archive.name}: is not a whole zip archive; try again") from exc
    if not digests:
        raise WeightsCorrupt(f"{archive.name}: holds no .ckpt file")
    _record(folder, digests)


def _record(folder: Path, digests: dict[str, str]) -> None:
    """Remember the sha256 of each file, so that later damage is seen."""
    write_atomic(folder / CHECKSUM_FILE, json.dumps(digests, indent=2) + "\n")
