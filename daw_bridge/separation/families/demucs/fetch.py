"""Demucs' weights from where they are published, each file held against its checksum.

The Hugging Face hub as demucs 4.1 itself uses it (safetensors, whose sha256 the hub states), else the legacy server,
whose files the catalog lists with their sha256.
"""

from __future__ import annotations

from daw_bridge.files import output_errors, sha256_of_file
from daw_bridge.separation.families.demucs.bag import HUB_NAMESPACE, hub_name
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint, write_checkpoint
from daw_bridge.separation.families.download import Download, first_that_works
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo

HUB = "https://huggingface.co"


def fetch_bag(info: ModelInfo, download: Download) -> None:
    """All networks of a model into `download.folder`. Raises OSError when neither place answers, WeightsCorrupt."""
    first_that_works(lambda: _from_hub(info, download), lambda: _from_legacy(info, download))


def _from_hub(info: ModelInfo, download: Download) -> None:
    """One safetensors file per network."""
    names = [f"{signature}.safetensors" for signature in info.signatures]
    digests = {}
    for file in download.on_hub(HUB, f"{HUB_NAMESPACE}/{hub_name(info.name)}", names):
        target = download.folder / file.name
        if not (target.is_file() and sha256_of_file(target) == file.sha256):
            with download.get(file) as part, output_errors(download.folder):
                part.replace(target)
        digests[file.name] = file.sha256
    record_sha256(download.folder, digests)


def _from_legacy(info: ModelInfo, download: Download) -> None:
    """One `.th` per network, read without its pickle and kept as safetensors."""
    digests = {}
    for signature, file in zip(info.signatures, info.files, strict=True):
        target = download.folder / f"{signature}.safetensors"
        with download.get(file) as part:
            whole = part.with_name(file.name)
            part.replace(whole)  # the reader goes by the suffix
            try:
                write_checkpoint(read_checkpoint(whole, sha256_prefix=file.sha256), target)
            finally:
                whole.unlink(missing_ok=True)
        digests[target.name] = sha256_of_file(target)
    record_sha256(download.folder, digests)
