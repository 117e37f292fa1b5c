"""Where a model's weights are: the path that the user gives, our folder, or what demucs itself once downloaded.

Nothing here executes what it reads (see `checkpoint`); every file whose sha256 is known is held against it. Our own
folder holds one folder per model with a `sha256.json` written when the files were fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.errors import ModelError, WeightsCorrupt, WeightsMissing
from daw_bridge.files import sha256_of_file
from daw_bridge.separation.families.demucs.checkpoint import (
    SUFFIXES,
    Checkpoint,
    StoredCheckpoint,
    open_checkpoint,
    read_stored,
)
from daw_bridge.separation.families.store import combined_sha256, missing, recorded_sha256, weights_home
from daw_bridge.separation.model_info import ModelInfo

if TYPE_CHECKING:
    from daw_bridge.separation.families.demucs.networks import Network

_SHA256_DIGITS = 64
HUB_NAMESPACE = "adefossez"
"""Whose repositories on the Hugging Face hub demucs 4.1 loads from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One checkpoint file of a model, and the beginning of its sha256 as far as it is known."""

    path: Path
    sha256_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files of a whole bag. `bag_weights` None: equal shares; `segment_s` overrides the networks' own."""

    members: tuple[Member, ...]
    bag_weights: tuple[tuple[float, ...], ...] | None = None
    segment_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """A model in memory: its networks and the share (row per network) each has in each of the sources."""

    networks: tuple[Network, ...]
    sources: tuple[str, ...]
    bag_weights: tuple[tuple[float, ...], ...]
    segment_s: float | None
    sha256: str


def find_weights(info: ModelInfo, given: Path | None = None, *, home: Path | None = None) -> Found:
    """Where the files of a Demucs model are; WeightsMissing with the three ways out when they are nowhere."""
    if given is not None:
        return _given(info, given)
    for folder in (home or weights_home()) / info.name, *_demucs_caches(info):
        found = _in_folder(info, folder)
        if found is not None:
            return found
    raise missing(info)


def _given(info: ModelInfo, path: Path) -> Found:
    if path.is_dir():
        found = _in_folder(info, path)
        if found is not None:
            return found
        alone = [entry for entry in sorted(path.iterdir()) if entry.suffix in SUFFIXES]
        if len(alone) == 1 and len(info.signatures) == 1:
            return Found(members=(_member(alone[0]),), segment_s=info.bag_segment_s)
        wanted = f"{info.name}.yaml or {', '.join(f'{name}*.safetensors' for name in info.signatures)} (or .th)"
        raise WeightsMissing(f"{path}: no weights of {info.name} in this folder; it should hold {wanted}")
    if not path.exists():
        raise WeightsMissing(f"{path}: there is no such file or folder; `weights` takes a checkpoint or its folder")
    if path.suffix == ".yaml":
        return _bag_file(path)
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{path}: weights are {' or '.join(SUFFIXES)} files, a bag's .yaml, or a folder of them")
    if len(info.signatures) > 1:
        raise ModelError(
            f"{path}: {info.name} is a bag of {len(info.signatures)} networks; give the folder that holds them all"
        )
    return Found(members=(_member(path),), segment_s=info.bag_segment_s)


def _in_folder(info: ModelInfo, folder: Path) -> Found | None:
    """All files of the model in one folder, by demucs' names, or None."""
    bag = folder / f"{info.name}.yaml"
    if bag.is_file():
        return _bag_file(bag)
    members = [_signature_file(folder, name) for name in info.signatures]
    if not members or any(member is None for member in members):
        return None
    return Found(
        members=tuple(member for member in members if member is not None),
        bag_weights=info.bag_weights,
        segment_s=info.bag_segment_s,
    )


def _signature_file(folder: Path, signature: str) -> Member | None:
    """`SIG.safetensors`, `SIG.th` or `SIG-CHECKSUM.th`; a bag's file never leads out of its folder."""
    if not re.fullmatch(r"[\w.-]+", signature) or not folder.is_dir():
        return None
    for entry in sorted(folder.iterdir(), key=lambda path: (path.suffix, path.name)):
        if entry.suffix in SUFFIXES and entry.stem.split("-", 1)[0] == signature.split("-", 1)[0]:
            return _member(entry)
    return None


def _bag_file(path: Path) -> Found:
    """A bag as demucs writes it: `models`, and perhaps `weights` and `segment`."""
    import yaml

    try:
        bag = yaml.safe_load(path.read_text(encoding="utf-8"))
        signatures = [str(name) for name in bag["models"]]
        weights = bag.get("weights")
        shares = None if weights is None else tuple(tuple(float(share) for share in row) for row in weights)
        segment = None if bag.get("segment") is None else float(bag["segment"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise WeightsCorrupt(f"{path}: no demucs bag; it needs 'models: [signature, ...]' ({exc})") from exc
    members = []
    for signature in signatures:
        member = _signature_file(path.parent, signature)
        if member is None:
            raise WeightsMissing(f"{path}: names the network {signature!r}, of which there is no file beside it")
        members.append(member)
    return Found(members=tuple(members), bag_weights=shares, segment_s=segment)


def _member(path: Path) -> Member:
    """The file with what its name, its blob in the hub's cache, or our own list say of its sha256."""
    blob = path.resolve().name
    if re.fullmatch(rf"[0-9a-f]{{{_SHA256_DIGITS}}}", blob):
        return Member(path=path, sha256_prefix=blob)
    recorded = recorded_sha256(path.parent).get(path.name)
    if recorded:
        return Member(path=path, sha256_prefix=recorded)
    named = re.search(r"-([0-9a-f]{8})\.th$", path.name)
    return Member(path=path, sha256_prefix=named.group(1) if named else "")


def _demucs_caches(info: ModelInfo) -> list[Path]:
    """Folders where demucs keeps what it has downloaded: the hub's cache and torch hub's checkpoints."""
    if not info.signatures:
        return []
    hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"
    repository = hub / f"models--{HUB_NAMESPACE}--{hub_name(info.name)}" / "snapshots"
    torch_home = Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")
    snapshots = sorted(repository.iterdir()) if repository.is_dir() else []
    return [*snapshots, torch_home / "hub" / "checkpoints"]


def hub_name(model: str) -> str:
    """demucs' repository name for a model on the Hugging Face hub (demucs.hf.hf_repo_name, without its imports)."""
    if model == "htdemucs":
        return "HTDemucs"
    if model.startswith("htdemucs_"):
        return "HTDemucs-" + model.removeprefix("htdemucs_")
    return "Demucs-" + model


def read_bag(found: Found) -> Iterator[StoredCheckpoint]:
    """The verified bytes of a bag's files: the first at once, the others when they are asked for."""
    first, *others = (partial(read_stored, member.path, sha256_prefix=member.sha256_prefix) for member in found.members)
    return chain([first()], (read() for read in others))


def load_bag(
    found: Found, name: str, stems: Sequence[str] | None = None, *, stored: Iterable[StoredCheckpoint] | None = None
) -> Bag:
    """Read and verify a bag; WeightsCorrupt or ModelError when the parts do not fit. `stems` as in `bag_of`.

    `stored` is what `read_bag` has begun to read.
    """
    checkpoints = [open_checkpoint(part) for part in stored or read_bag(found)]
    return bag_of(checkpoints, name, bag_weights=found.bag_weights, segment_s=found.segment_s, stems=stems)


def bag_of(
    checkpoints: Sequence[Checkpoint],
    name: str,
    *,
    bag_weights: tuple[tuple[float, ...], ...] | None = None,
    segment_s: float | None = None,
    stems: Sequence[str] | None = None,
) -> Bag:
    """The checkpoints as one model, after checking that they belong together.

    Networks without a share in any of `stems` (None: all of them) are not built, and the bag does not hold them.
    """
    from daw_bridge.separation.families.demucs.networks import build_network

    sources = checkpoints[0].sources
    shares = bag_weights or tuple(tuple(1.0 for _ in sources) for _ in checkpoints)
    if len(shares) != len(checkpoints) or any(len(row) != len(sources) for row in shares):
        raise ModelError(f"{name}: the bag's weights are not a row per network with a number per stem")
    for index, source in enumerate(sources):
        if sum(row[index] for row in shares) <= 0:
            raise ModelError(f"{name}: no network of the bag has a share in {source!r}")
    wanted = [index for index, source in enumerate(sources) if stems is None or source in stems] or range(len(sources))
    used = [place for place, row in enumerate(shares) if not sources or any(row[index] for index in wanted)]
    parts = [checkpoints[place] for place in used]
    networks = tuple(build_network(part.family, part.args, part.kwargs, part.state) for part in parts)
    facts = {(network.sources, network.sample_rate_hz, network.channels) for network in networks}
    if len(facts) > 1 or any(part.sources != sources for part in checkpoints):
        raise ModelError(f"{name}: its networks disagree about stems, rate or channels; they are not one bag")
    return Bag(
        networks=networks,
        sources=sources,
        bag_weights=tuple(shares[place] for place in used),
        segment_s=segment_s,
        sha256=combined_sha256([part.sha256 for part in checkpoints]),
    )


def known_sha256(member: Member) -> str:
    """The sha256 that loading will insist on, where it is stated in full; else that of the file as it is now."""
    stated = member.sha256_prefix
    return stated.lower() if len(stated) == _SHA256_DIGITS else sha256_of_file(member.path)
