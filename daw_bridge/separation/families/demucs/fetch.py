"""Demucs' weights from where they are published, each file held against its checksum.

The Hugging Face hub as demucs 4.1 itself uses it (safetensors, whose sha256 the hub states), else the legacy server,
whose file names carry 8 digits of the sha256 that the installed demucs package lists.
"""

from __future__ import annotations

import socket
import urllib.request
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from daw_bridge.files import link_or_copy, output_errors, sha256_of_file
from daw_bridge.progress import Progress
from daw_bridge.separation.families.demucs.bag import HUB_NAMESPACE, hub_name
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint, write_checkpoint
from daw_bridge.separation.families.download import TIMEOUT_S, Download, first_that_works
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo

HUB = "https://huggingface.co"
LEGACY = "https://dl.fbaipublicfiles.com/demucs"


def fetch_bag(info: ModelInfo, download: Download) -> None:
    """All networks of a model into `download.folder`. Raises OSError when neither place answers, WeightsCorrupt."""
    first_that_works(lambda: _from_hub(info, download), lambda: _from_legacy(info, download))


def _from_hub(info: ModelInfo, download: Download) -> None:
    """One safetensors file per network, from the cache that demucs uses too; the blob's name is its sha256."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    hub = download.address(HUB)
    _require_host(hub)
    disable_progress_bars()
    digests = {}
    for done, signature in enumerate(info.signatures):
        download.cancel.check()
        name = f"{signature}.safetensors"
        repository = f"{HUB_NAMESPACE}/{hub_name(info.name)}"
        try:
            found = hf_hub_download(repository, name, endpoint=hub, etag_timeout=TIMEOUT_S)
        except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as exc:
            raise OSError(f"{repository}: {str(exc.__cause__ or exc).splitlines()[0]}") from exc
        blob = Path(found).resolve()
        stated = blob.name if len(blob.name) == 64 else ""
        digests[name] = read_checkpoint(Path(found), sha256_prefix=stated).sha256
        with output_errors(download.folder):
            link_or_copy(blob, download.folder / name)
        download.on_progress(Progress(stage="load", done=done + 1, total=len(info.signatures)))
    record_sha256(download.folder, digests)


def _require_host(url: str) -> None:
    """OSError at once when a host cannot be reached: the hub's client would try for half a minute, aloud."""
    if urllib.request.getproxies():
        return
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=TIMEOUT_S).close()
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


def _from_legacy(info: ModelInfo, download: Download) -> None:
    """One `.th` per network, held against the digits in its name, read without its pickle, kept as safetensors."""
    paths = legacy_paths()
    digests = {}
    for signature, checksum in zip(info.signatures, info.checksums, strict=True):
        target = download.folder / f"{signature}.safetensors"
        with download.get(f"{LEGACY}/{paths[signature]}", f"{signature}-{checksum}.th") as part:
            write_checkpoint(read_checkpoint(part, sha256_prefix=checksum), target)
        digests[target.name] = sha256_of_file(target)
    record_sha256(download.folder, digests)
