"""Checkpoints of the Demucs family, read without executing anything that stands in them.

Two formats: safetensors as demucs 4.1 publishes them (the network's class and arguments as JSON in the metadata), and
the legacy `.th`, a pickle of `{klass, args, kwargs, state}`. The pickle is opened with torch's weights_only reader;
the classes it names are replaced by empty stand-ins, and only a class of `FAMILIES` is built, with plain values.
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
from pickle import UnpicklingError
from typing import Any

from daw_bridge.errors import WeightsCorrupt, WeightsMissing
from daw_bridge.files import write_atomic

SUFFIXES = (".safetensors", ".th")

_ALIASES = {"demucs.wdemucs.WDemucs": "demucs.hdemucs.HDemucs"}
"""Names of classes in old checkpoints -> today's."""

_FAMILY_NAMES = ("demucs.demucs.Demucs", "demucs.hdemucs.HDemucs", "demucs.htdemucs.HTDemucs", *_ALIASES)


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
        args=tuple(_plain(path, value) for value in args),
        kwargs={str(key): _plain(path, value) for key, value in kwargs.items()},
        state=dict(state),
        sha256=stored.sha256,
    )


_Parts = tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any]]


def _read_pickle(path: Path, data: bytes) -> _Parts:
    import torch

    from daw_bridge.separation.families.demucs.quantised import QUANTISERS

    names = (*_FAMILY_NAMES, *QUANTISERS)
    allowed: list[Any] = [(type(name.rsplit(".", 1)[1], (), {"family": name}), name) for name in names]
    try:
        with torch.serialization.safe_globals([*allowed, Fraction, *_numpy_arrays()]):
            package = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)  # noqa: TID251
        family = package["klass"].family
        return str(family), tuple(package["args"]), dict(package["kwargs"]), dict(package["state"])
    except (UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError, TypeError, ValueError) as exc:
        reason = str(exc).strip().splitlines()[0][:120] if str(exc).strip() else type(exc).__name__
        raise WeightsCorrupt(f"{path}: no Demucs checkpoint that can be read safely ({reason})") from exc


def _numpy_arrays() -> list[Any]:
    """What torch's reader has to know for plain NumPy arrays of integers, which old quantised states hold."""
    import numpy as np

    function = np.zeros(0).__reduce__()[0]
    kinds = [type(np.dtype(name)) for name in ("int16", "int64", "uint8", "uint16", "uint64")]
    return [
        *((function, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
        bytes,
        np.ndarray,
        np.dtype,
        *kinds,
    ]


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
    except (SafetensorError, struct.error, KeyError, ValueError, TypeError, AttributeError) as exc:
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
    if value is None or isinstance(value, (bool, int, float, str, Fraction)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(path, item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(path, item) for key, item in value.items()}
    raise WeightsCorrupt(f"{path}: a network argument is a {type(value).__name__}, which no Demucs network takes")


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
