"""Checkpoints of the Demucs family, read without executing anything that stands in them.

Two formats: safetensors as demucs 4.1 publishes them (the network's class and arguments as JSON in the metadata), and
the legacy `.th`, a pickle of `{klass, args, kwargs, state}`. Of the pickle only data is read (`legacy_file`): the class
it names stays a name, and only a class of `FAMILIES` is built, with plain values within the bounds of `_plain`.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from daw_bridge.errors import WeightsCorrupt, WeightsMissing
from daw_bridge.files import write_atomic
from daw_bridge.separation.families.legacy_file import LegacyFile
from daw_bridge.separation.families.pickle_data import Named, NotData

SUFFIXES = (".safetensors", ".th")

_ALIASES = {"demucs.wdemucs.WDemucs": "demucs.hdemucs.HDemucs"}
"""Names of classes in old checkpoints -> today's."""

_FAMILY_NAMES = ("demucs.demucs.Demucs", "demucs.hdemucs.HDemucs", "demucs.htdemucs.HTDemucs", *_ALIASES)

_MOST_VALUES, _MOST_DEPTH, _LARGEST = 1_000, 8, 1e6
"""Bounds of a network's arguments: the published ones have some 60 values, the largest of them a rate of 44,100 Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One network as stored: its class by name, the arguments that build it, its tensors, the file's sha256.

    `state` is a tensor by name, or what `quantised` describes.
    """

    family: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    state: dict[str, Any]
    sha256: str

    @property
    def sources(self) -> tuple[str, ...]:
        """The stems that the network gives: its first argument, in every Demucs family; none in a broken checkpoint."""
        named = self.args[0] if self.args else self.kwargs.get("sources")
        return tuple(str(source) for source in named) if isinstance(named, (list, tuple)) else ()


def is_quantised(state: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's state is in the format of `quantised`: demucs marks it."""
    return bool(state.get("__quantized"))


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint file as it was read and verified. Torch is not needed for it yet."""

    path: Path
    data: bytes
    sha256: str


def read_checkpoint(path: Path, *, sha256_prefix: str = "") -> Checkpoint:
    """The checkpoint in a `.th` or `.safetensors` file; WeightsCorrupt when it is not what it should be."""
    return open_checkpoint(read_stored(path, sha256_prefix=sha256_prefix))


def read_stored(path: Path, *, sha256_prefix: str = "") -> StoredCheckpoint:
    """The bytes of a checkpoint file; WeightsCorrupt when their sha256 does not begin so.

    The bytes that are hashed are the bytes that are loaded: a file swapped in between changes nothing.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise WeightsMissing(f"{path}: cannot read the weights ({exc.strerror or exc})") from exc
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(sha256_prefix.lower()):
        raise WeightsCorrupt(
            f"{path}: sha256 begins with {digest[: len(sha256_prefix)]}, it should be {sha256_prefix}; "
            "delete the file and fetch it again with: daw-bridge models fetch"
        )
    return StoredCheckpoint(path, data, digest)


def open_checkpoint(stored: StoredCheckpoint) -> Checkpoint:
    """What stands in the bytes of a checkpoint; WeightsCorrupt when it is no Demucs network."""
    path = stored.path
    reader = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
    family, args, kwargs, state = reader(path, stored.data)
    family = _ALIASES.get(family, family)
    return Checkpoint(
        family=family,
        args=tuple(_plain(path, list(args))),
        kwargs=_plain(path, dict(kwargs)),
        state=dict(state),
        sha256=stored.sha256,
    )


_Parts = tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any]]


def _read_pickle(path: Path, data: bytes) -> _Parts:
    from daw_bridge.separation.families.demucs.quantised import QUANTISERS

    try:
        file = LegacyFile(io.BytesIO(data), (*_FAMILY_NAMES, *QUANTISERS))
        package = file.content
        if not isinstance(package, dict) or not isinstance(package.get("klass"), Named):
            raise NotData("it names no network")
        args, kwargs = file.resolve(package.get("args")), file.resolve(package.get("kwargs"))
        state = file.resolve(package.get("state"))
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict) or not isinstance(state, dict):
            raise NotData("its parts are not those of a network")
    except NotData as exc:
        raise WeightsCorrupt(f"{path}: no Demucs checkpoint that can be read safely ({exc})") from exc
    return package["klass"].family, tuple(args), kwargs, state


def _read_safetensors(path: Path, data: bytes) -> _Parts:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        (size,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(data[8 : 8 + size])["__metadata__"]
        args = _from_json(json.loads(metadata["args"]))
        kwargs = _from_json(json.loads(metadata["kwargs"]))
        state = load(data)
        if "structure" in metadata:
            from daw_bridge.separation.families.demucs.quantised import unflatten

            state = unflatten(state, json.loads(metadata["structure"]))
        return str(metadata["klass"]), tuple(args), dict(kwargs), state
    except (
        SafetensorError,
        struct.error,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as exc:
        raise WeightsCorrupt(f"{path}: no Demucs checkpoint in safetensors ({exc})") from exc


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Store as safetensors, in the form that demucs 4.1 itself reads; atomic."""
    from safetensors.torch import save

    metadata = {
        "klass": checkpoint.family,
        "args": json.dumps(_to_json(checkpoint.args)),
        "kwargs": json.dumps(_to_json(checkpoint.kwargs)),
    }
    state = checkpoint.state
    if is_quantised(state):
        from daw_bridge.separation.families.demucs.quantised import flatten

        state, structure = flatten(state)
        metadata["structure"] = json.dumps(structure)
    tensors = {key: tensor.contiguous() for key, tensor in state.items()}
    write_atomic(path, save(tensors, metadata))


def _plain(path: Path, value: Any) -> Any:
    """The value if it is plain data (so that building a network with it can do no harm); WeightsCorrupt otherwise."""
    left = [_MOST_VALUES]

    def plain(value: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > _MOST_DEPTH:
            raise WeightsCorrupt(f"{path}: the network's arguments are nested too deeply or too many")
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (int, float, Fraction)):
            number: Any = value  # a huge integer is no float
            if not -_LARGEST <= number <= _LARGEST:
                raise WeightsCorrupt(f"{path}: a network argument is beyond those of every Demucs network")
            return value
        if isinstance(value, (list, tuple)):
            return [plain(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {str(key): plain(item, depth + 1) for key, item in value.items()}
        raise WeightsCorrupt(f"{path}: a network argument is a {type(value).__name__}, which no Demucs network takes")

    return plain(value, 0)


def _to_json(value: Any) -> Any:
    """JSON form with fractions as demucs writes them."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(int(value["numerator"]), int(value["denominator"]))
        return {key: _from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value
