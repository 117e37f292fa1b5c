"""BSRNN's weights from their Zenodo record, whose listing states an MD5; only the archive's checkpoints are kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from daw_bridge.errors import ModelError, WeightsCorrupt
from daw_bridge.files import PART_SUFFIX, output_errors, sha256_of_file
from daw_bridge.separation.families.download import Download
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo, WeightFile

ZENODO = "https://zenodo.org/api/records/17516442"
MOST_UNPACKED = 4
"""How many times the size of the weights a file is at most: it may hold the optimiser's state, and hardly shrinks."""
ZENODO_FOLDERS = {"bsrnn-simo": "simo-bsrnn-opt", "bsrnn-opt": "bsrnn-opt", "bsrnn-large": "bsrnn-large"}
"""Our names -> those of the published archives."""


def fetch_archive(info: ModelInfo, download: Download) -> None:
    """The model's archive, held against the record's MD5; only its checkpoints are taken out."""
    most_bytes = info.size_mb * MOST_UNPACKED * 1_000_000
    wanted = f"{ZENODO_FOLDERS[info.name]}.zip"
    try:
        entries = {str(entry["key"]): entry for entry in json.loads(download.read(ZENODO))["files"]}
        url = str(entries[wanted]["links"]["self"]) if wanted in entries else ""
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"the record's listing was not understood ({exc})") from exc
    if not url:
        names = ", ".join(entries)
        raise ModelError(f"the Zenodo record has no {wanted} (it has {names}); fetch it by hand and give `weights`")
    stated = str(entries[wanted].get("checksum", ""))
    if not re.fullmatch("md5:[0-9a-f]{32}", stated):
        raise WeightsCorrupt(f"{wanted}: the Zenodo record states no MD5 of it, so it is not taken")
    with download.get(WeightFile(name=wanted, urls=(url,), size_bytes=most_bytes, sha256="")) as archive:
        with archive.open("rb") as handle:
            found = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if stated != f"md5:{found}":
            raise WeightsCorrupt(f"{wanted}: came with MD5 {found}, the record states {stated[4:]}; try again")
        _extract_checkpoints(archive, download.folder, most_bytes=most_bytes)


def _extract_checkpoints(archive: Path, folder: Path, *, most_bytes: int) -> None:
    """The checkpoints of an archive as safetensors, by their last name only: no entry decides where it is written."""
    from daw_bridge.separation.families.bsrnn.checkpoint import convert_checkpoint

    digests = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if entry.filename.endswith(".ckpt")]
            if sum(entry.file_size for entry in entries) > most_bytes or any(map(_is_bomb, entries)):
                raise WeightsCorrupt(f"{archive.name}: would unpack to far more than weights can be")
            for entry in entries:
                name = Path(entry.filename.replace("\\", "/")).name
                target = folder / f"{Path(name).stem}.safetensors"
                with tempfile.TemporaryDirectory(dir=folder, suffix=PART_SUFFIX) as scratch:
                    whole = Path(scratch) / name  # with the optimiser's state, three times the size of the weights
                    with output_errors(target), opened.open(entry) as source, whole.open("wb") as handle:
                        shutil.copyfileobj(source, handle)
                    convert_checkpoint(whole, target)
                digests[target.name] = sha256_of_file(target)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as exc:
        raise WeightsCorrupt(f"{archive.name}: is not a whole zip archive ({exc}); try again") from exc
    if not digests:
        raise WeightsCorrupt(f"{archive.name}: holds no .ckpt file")
    record_sha256(folder, digests)


def _is_bomb(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry unpacks to more than weights ever shrink by."""
    return entry.file_size > (entry.compress_size + 1_000_000) * MOST_UNPACKED
