"""Weights as DiffQ stores them (`mdx_q`, `mdx_extra_q`), brought back to float32 by our own reader of the format.

The format is described here from states that the package diffq (0.2.0 and 0.2.4) wrote and read back; none of its code
is used, and it is no dependency (its licence is CC BY-NC 4.0). A state is a dictionary:

    meta       klass: which quantiser; init_kwargs: its arguments; packed
    quantized  one entry for each parameter larger than `min_size` MB of float32, in the order of `parameters()`
    float16    the other parameters, if the quantiser was told to halve them, else
    others     the other parameters as they are

An entry is (levels, (lowest, highest), bits). DiffQ groups `group_size` neighbours of the flattened parameter; `bits`
holds each group's number of bits less `min_bits`. `levels[n - 1]` holds the levels of all groups of n bits, in order.
A uniform quantiser's entry is (levels, (lowest, highest)), with one number of bits for all. Level L of n bits stands
for lowest + (highest - lowest) L / (2^n - 1).

Packed, numbers of n bits are n planes of bits: shape (blocks, n, 32) of 64-bit words, where number i of a block is bit
i // 32 of word i % 32 in every plane; or (n, words) of 16-bit words, which is one block. What follows the last number
is padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.pickle_data import Named

QUANTISERS = ("diffq.diffq.DiffQuantizer", "diffq.uniform.UniformQuantizer")
"""The classes that a quantised state may name; nothing of them is ever built."""

_MOST_BITS = 16
_BYTES_PER_MB = 1 << 20
_FLOAT32_BYTES = 4
_DEFAULTS: dict[str, Any] = {"min_size": 0.01, "min_bits": 2, "group_size": 1, "float16": False, "exclude": []}
"""The quantisers' arguments where `init_kwargs` leaves them out."""


def flatten(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a state by number, and its structure as JSON data, in the form that demucs 4.1 publishes."""
    tensors: dict[str, Tensor] = {}

    def node(value: Any) -> Any:
        if isinstance(value, (Tensor, np.ndarray)):
            name = f"tensor{len(tensors)}"
            tensors[name] = _as_tensor(value)
            return {"_tensor": name}
        if isinstance(value, dict):
            return {"_dict": [[key, node(item)] for key, item in value.items()]}
        if isinstance(value, (list, tuple)):
            return {"_list" if isinstance(value, list) else "_tuple": [node(item) for item in value]}
        return {"_class": value.family} if isinstance(value, Named) else value

    return tensors, node(state)


def _name_of(stand_in: Any) -> str:
    """The full name of the class that a stand-in was read for."""
    return str(stand_in.family)


def unflatten(tensors: Mapping[str, Tensor], structure: Any) -> Any:
    """The state of a structure. A class is given by its name: nothing is imported. Raises KeyError, ValueError."""
    if not isinstance(structure, dict):
        return structure
    ((kind, value),) = structure.items()
    if kind == "_dict":
        return {key: unflatten(tensors, item) for key, item in value}
    if kind in ("_list", "_tuple"):
        items = [unflatten(tensors, item) for item in value]
        return items if kind == "_list" else tuple(items)
    if kind == "_class":
        return Named(str(value))
    if kind != "_tensor":
        raise ValueError(f"unknown structure {kind!r}")
    return tensors[value]


def restore(state: Mapping[str, Any], parameters: Sequence[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The float32 tensors of a network's parameters (name and tensor of the right shape, in their order).

    Raises ModelError when the state does not fit them.
    """
    try:
        return _restore(state, parameters)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, StopIteration, RuntimeError) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ModelError(f"the quantised weights do not fit their network ({reason}); fetch them again") from exc


def _restore(state: Mapping[str, Any], parameters: Sequence[tuple[str, Tensor]]) -> dict[str, Tensor]:
    if _name_of(state["meta"]["klass"]) not in QUANTISERS:
        raise ValueError(f"unknown quantiser {_name_of(state['meta']['klass'])}")
    options = {**_DEFAULTS, **state["meta"]["init_kwargs"]}
    if options["exclude"]:
        raise ValueError("some parameters were excluded by name, which no published model does")
    quantised, rest = iter(state["quantized"]), iter(state["float16" if options["float16"] else "others"])
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters:
        if parameter.numel() * _FLOAT32_BYTES / _BYTES_PER_MB > float(options["min_size"]):
            flat = _dequantised(next(quantised), parameter.numel(), options, packed=bool(state["meta"]["packed"]))
            tensors[name] = flat.reshape(parameter.shape)
        else:
            tensors[name] = _as_tensor(next(rest)).float().reshape(parameter.shape)
    if next(quantised, None) is not None or next(rest, None) is not None:
        raise ValueError("there are more tensors than parameters")
    return tensors


def _dequantised(entry: Sequence[Any], count: int, options: Mapping[str, Any], *, packed: bool) -> Tensor:
    """One parameter, flat, shape (count,)."""
    lowest, highest = (float(bound) for bound in entry[1])
    read: Callable[[Any, int], Tensor] = _unpacked if packed else _plain
    if len(entry) == 2:
        size = int(options["bits"])
        return _scaled(read(entry[0], count), size, lowest, highest)
    group = int(options["group_size"])
    if count % group:
        raise ValueError(f"{count} weights do not divide into groups of {group}")
    bits = read(entry[2], count // group)
    if packed:
        bits = bits + int(options["min_bits"])
    values = torch.full((count // group, group), float("nan"))
    for size in sorted(set(bits.tolist())):
        chosen = bits == size
        if packed:
            levels = _unpacked(entry[0][size - 1], int(chosen.sum()) * group).reshape(-1, group)
        else:
            levels = _plain(entry[0], count).reshape(-1, group)[chosen]
        values[chosen] = _scaled(levels, size, lowest, highest)
    return values.reshape(-1)


def _scaled(levels: Tensor, bits: int, lowest: float, highest: float) -> Tensor:
    """In this order of operations, so that the result equals diffq's to the last bit."""
    if not 1 <= bits <= _MOST_BITS or int(levels.max()) >= 1 << bits:
        raise ValueError(f"levels of {bits} bits out of range")
    return levels.float() * (1.0 / ((1 << bits) - 1)) * (highest - lowest) + lowest


def _plain(numbers: Any, count: int) -> Tensor:
    flat = _as_tensor(numbers).reshape(-1).long()
    if len(flat) != count:
        raise ValueError(f"{len(flat)} numbers where {count} belong")
    return flat


def _unpacked(words: Any, count: int) -> Tensor:
    """The first `count` numbers of packed words; int64, shape (count,)."""
    planes = _as_tensor(words)
    if planes.ndim == 2:
        planes = planes[None]
    blocks, bits, columns = planes.shape
    word_bits = 8 * planes.element_size()
    if bits > _MOST_BITS or blocks * word_bits * columns < count:
        raise ValueError(f"{bits} planes of {blocks * word_bits * columns} bits do not hold {count} numbers")
    places = torch.arange(word_bits)[:, None]
    numbers = torch.zeros(blocks, word_bits, columns, dtype=torch.int64)
    for bit in range(bits):
        numbers |= ((planes[:, bit, None, :].long() >> places) & 1) << bit
    return numbers.reshape(-1)[:count]


def _as_tensor(value: Any) -> Tensor:
    """A tensor; old states hold NumPy arrays, of unsigned words whose bits are what counts."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(
            np.ascontiguousarray(value).view(f"i{value.itemsize}" if value.dtype.kind == "u" else value.dtype)
        )
    if not isinstance(value, Tensor):
        raise TypeError(f"a {type(value).__name__} where a tensor belongs")
    return value.view(torch.int64) if value.dtype == torch.uint64 else value
