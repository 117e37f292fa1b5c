"""Fetched weights in the user's cache: one folder a model, with a `sha256.json` written when its files were fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from daw_bridge.errors import WeightsCorrupt, WeightsMissing
from daw_bridge.files import sha256_of_file, write_atomic
from daw_bridge.paths import user_cache_dir
from daw_bridge.separation.model_info import ModelInfo

CHECKSUM_FILE = "sha256.json"


def weights_home() -> Path:
    """The folder of fetched weights, one folder per model in it."""
    return user_cache_dir() / "models"


def missing(info: ModelInfo, why: str = "") -> WeightsMissing:
    """The error that names the three ways out."""
    reason = f" ({why})" if why else ""
    return WeightsMissing(
        f"the weights of {info.name} are not on this machine{reason}; get them on a connected one with "
        f"'daw-bridge models fetch {info.name}', or give a file or folder (`weights` PATH), "
        "or use the bundled model (`model` preview)"
    )


def recorded_sha256(folder: Path) -> dict[str, str]:
    """File name -> sha256 as it was when the folder was fetched; empty where nothing is known."""
    try:
        table = json.loads((folder / CHECKSUM_FILE).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in table.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def combined_sha256(digests: Sequence[str]) -> str:
    """One file: its own sha256; several: the sha256 of theirs in order."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode("ascii")).hexdigest()


def checked_sha256(path: Path) -> str:
    """The sha256 of a weights file; WeightsCorrupt if its folder's list, written when it was fetched, says another."""
    digest, recorded = sha256_of_file(path), recorded_sha256(path.parent).get(path.name, "")
    if recorded and recorded != digest:
        raise WeightsCorrupt(
            f"{path}: sha256 is {digest[:8]}..., it was {recorded[:8]}... when it was fetched; "
            "delete the folder and fetch it again with: daw-bridge models fetch"
        )
    return digest


def weights_path(info: ModelInfo, given: Path | None = None, *, home: Path | None = None) -> Path:
    """The file or folder of a model's weights: the user's own, else our folder; WeightsMissing when there is none."""
    if given is not None:
        if not given.exists():
            raise WeightsMissing(f"{given}: no such file or folder; `weights` takes a checkpoint or the folder of one")
        return given
    folder = (home or weights_home()) / info.name
    if (folder / CHECKSUM_FILE).is_file():  # written last: a fetch that was killed half-way is none
        return folder
    raise missing(info)


def record_sha256(folder: Path, digests: Mapping[str, str]) -> None:
    """Remember the sha256 of each file, so that later damage is seen; the last act of a fetch."""
    write_atomic(folder / CHECKSUM_FILE, json.dumps(dict(digests), indent=2) + "\n")
