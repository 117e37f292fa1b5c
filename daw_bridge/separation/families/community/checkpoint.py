"""The community's checkpoints: tensors by name from safetensors or a pickle, and nothing else that stands in the file.

Of a pickle only data is read (`legacy_file`), and of that only the tensors of the network are taken, wherever the file
keeps them. Weights in 16 bits become float32. A file is read and hashed through one handle, so that the bytes that are
loaded are those that were hashed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from daw_bridge.errors import WeightsCorrupt, WeightsMissing
from daw_bridge.separation.families.legacy_file import LegacyFile
from daw_bridge.separation.families.pickle_data import NotData

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".th", ".bin")

_CONTAINERS = ("state_dict", "state", "model_state_dict", "model")
_DEEPEST = 10
_SHOWN = 5
_BLOCK_BYTES = 1 << 20

State = dict[str, Tensor]


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        handle = path.open("rb")
    except OSError as exc:
        raise WeightsMissing(f"{path}: cannot read the weights ({exc.strerror or exc})") from exc
    with handle:
        yield handle


def read_state(path: Path, *, sha256: str = "") -> tuple[State, str]:
    """The tensors of a checkpoint by name, and the sha256 of the file.

    Raises WeightsMissing, and WeightsCorrupt when the file is not what `sha256` says, cut off, or no checkpoint.
    """
    if path.is_dir() or path.suffix.lower() not in SUFFIXES:
        raise WeightsMissing(f"{path}: not a checkpoint; give a file that ends in one of {', '.join(SUFFIXES)}")
    with _opened(path) as handle:
        before = os.fstat(handle.fileno())
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        if sha256 and digest != sha256.lower():
            raise WeightsCorrupt(f"{path}: sha256 is {digest[:8]}..., it should be {sha256[:8]}...; fetch it again")
        handle.seek(0)
        state = _safetensors(path) if path.suffix.lower() == ".safetensors" else _pickle(path, handle)
        after = os.stat(path)  # noqa: PTH116
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise WeightsCorrupt(f"{path}: was replaced while it was being read; run again")
    return state, digest


def _safetensors(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as exc:
        raise WeightsCorrupt(f"{path}: no whole safetensors file ({_reason(exc)})") from exc


def _pickle(path: Path, handle: BufferedReader) -> State:
    try:
        file = LegacyFile(handle)
        found = _network_of(file.content)
        if found is None:
            raise WeightsCorrupt(f"{path}: holds no network")
        return _tensors(path, {name: file.resolve(value) for name, value in found.items()})
    except NotData as exc:
        why = "it is cut off or no checkpoint"
        if str(exc).startswith(("it names", "it calls", "the instruction")):
            why = "it holds more than tensors, which is never executed; ask its maker for a safetensors file"
        raise WeightsCorrupt(f"{path}: cannot be read safely: {why} ({_reason(exc)})") from exc


def _network_of(loaded: object) -> dict[object, object] | None:
    """The network's tensors by name, wherever the file keeps them; a file may hold itself, and is left in time."""
    for _ in range(_DEEPEST):
        if not isinstance(loaded, dict):
            return None
        inner = next((loaded[name] for name in _CONTAINERS if isinstance(loaded.get(name), dict)), None)
        if inner is None:
            return loaded
        loaded = inner
    return None


def _tensors(path: Path, loaded: Mapping[object, object]) -> State:
    state = {
        name: value.detach() for name, value in loaded.items() if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not state:
        raise WeightsCorrupt(f"{path}: holds no tensors of a network")
    prefixes = ("module.", "model.", "_orig_mod.")
    for prefix in prefixes:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _reason(exc: Exception) -> str:
    lines = str(exc).strip().splitlines()
    return (lines[0] if lines else type(exc).__name__)[:120]


def load_into(network: nn.Module, state: State, path: Path) -> None:
    """Give a network that was built on the meta device its weights, in float32, sharing what needs no conversion.

    Raises WeightsCorrupt when tensors are missing, too many, or of another shape: the first five are named.
    """
    wanted: dict[str, Any] = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if name in wanted or not _of_training(name)}
    for name in [name for name in wanted if name.endswith("rotary_embed.freqs") and name not in given]:
        given[name] = _rotations(wanted[name])
    missing = [name for name in wanted if name not in given]
    surplus = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems = [
        f"{len(found)} {what}: {', '.join(found[:_SHOWN])}{' ...' if len(found) > _SHOWN else ''}"
        for what, found in (("missing", missing), ("too many", surplus), ("of another shape", shapes))
        if found
    ]
    if problems:
        raise WeightsCorrupt(f"{path}: these weights and this config do not belong together; {'; '.join(problems)}")
    ready = {name: _full(given[name]) for name in wanted}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in ready.values()):
        raise WeightsCorrupt(f"{path}: holds weights that are no numbers; fetch it again")
    network.load_state_dict(ready, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    network.eval()


def _of_training(name: str) -> bool:
    """Tensors that some checkpoints carry for their losses and optimisers."""
    return name.startswith(("loss", "optimizer", "ema", "multi_stft", "freq_indices", "freqs_per_band", "num_"))


def _rotations(wanted: Tensor) -> Tensor:
    """The frequencies of rotary positions, where a checkpoint leaves them out: they are not learned."""
    return 1.0 / 10_000.0 ** (torch.arange(0, 2 * len(wanted), 2).float() / (2 * len(wanted)))


def _full(tensor: Tensor) -> Tensor:
    return tensor.float().contiguous() if tensor.is_floating_point() else tensor.contiguous()
