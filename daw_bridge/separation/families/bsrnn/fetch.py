"""BSRNN's weights from their Zenodo record, whose listing states an MD5; only the archive's checkpoints are kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

from daw_bridge.errors import ModelError, WeightsCorrupt
from daw_bridge.files import PART_SUFFIX, output_errors, sha256_of_file
from daw_bridge.separation.families.download import Download
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo

ZENODO = "https://zenodo.org/api/records/17516442"
ZENODO_FOLDERS = {"bsrnn-simo": "simo-bsrnn-opt", "bsrnn-opt": "bsrnn-opt", "bsrnn-large": "bsrnn-large"}
"""Our names -> those of the published archives."""


def fetch_archive(info: ModelInfo, download: Download) -> None:
    """The model's archive, held against the record's MD5; only its checkpoints are taken out."""
    wanted = f"{ZENODO_FOLDERS[info.name]}.zip"
    with download.get(ZENODO, "record.json") as listing:
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
    record_sha256(folder, digests)
