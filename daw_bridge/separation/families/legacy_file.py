"""Files of torch.save, of which nothing but data is read (`pickle_data`).

Sizes are held against the file's: a short file never becomes a large object. Tensors are made only of what the caller
asks for (`resolve`). Both forms are known: the archive of torch 1.6 and later (a zip of stored, never compressed,
parts), and the one before.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from daw_bridge.separation.families.pickle_data import Array, DType, Inert, NotData, PickleMachine, Storage, TensorPlace

if TYPE_CHECKING:
    from torch import Tensor

MOST_PICKLE_BYTES = 1 << 26
"""The pickle beside the numbers: the largest published one (a whole training state) has 3 MB."""
MOST_NODES = 200_000
MOST_DEPTH = 100
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class LegacyFile:
    """One open file. `content` is what was saved, with tensors still in the file until `resolve`."""

    def __init__(self, handle: BinaryIO, allowed: Sequence[str] = ()) -> None:
        """Read the pickle; `allowed` are further names that may stand in it. Raises NotData."""
        handle.seek(0, io.SEEK_END)
        self._file_bytes = handle.tell()
        handle.seek(0)
        self._made: dict[str, Tensor] = {}
        self._storages: dict[str, bytes] = {}
        try:
            if zipfile.is_zipfile(handle):
                self._read_archive(handle, allowed)
            else:
                handle.seek(0)
                self._read_old(handle, allowed)
        except (zipfile.BadZipFile, EOFError, struct.error, IndexError, OverflowError, NotImplementedError) as exc:
            raise NotData(f"damaged: {exc}") from exc

    def _read_archive(self, handle: BinaryIO, allowed: Sequence[str]) -> None:
        archive = zipfile.ZipFile(handle)
        infos = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in infos if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise NotData("no archive of torch.save")
        self._prefix = pickles[0].removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
            raise NotData("its parts are compressed, which torch.save never does")
        if sum(info.file_size for info in infos.values()) > self._file_bytes:
            raise NotData("its parts are larger than the file")
        order = self._prefix + "byteorder"
        if order in infos and archive.read(order) != b"little":
            raise NotData("written on a machine of another byte order")
        if infos[pickles[0]].file_size > MOST_PICKLE_BYTES:
            raise NotData("its pickle is too large")
        self._load: Callable[[str], bytes] = lambda key: archive.read(f"{self._prefix}data/{key}")
        self.content = PickleMachine(allowed).run(archive.read(pickles[0]))

    def _read_old(self, handle: BinaryIO, allowed: Sequence[str]) -> None:
        """Pickles one after the other (magic, version, system, content, keys), then a count and the bytes of each."""
        machine = PickleMachine(allowed)
        magic = machine.run(handle)
        if magic != _LEGACY_MAGIC or machine.run(handle) != 1001:
            raise NotData("not written by torch.save")
        machine.run(handle)
        self.content = machine.run(handle)
        keys = machine.run(handle)
        if not isinstance(keys, list):
            raise NotData("damaged: no list of its numbers")
        for key in keys:
            storage = machine.storages.get(str(key))
            (count,) = struct.unpack("<q", handle.read(8))
            if storage is None or count != storage.count:
                raise NotData("damaged: its numbers are not those that its pickle names")
            size = count * _item_bytes(storage.dtype)
            if not 0 <= size <= self._file_bytes:
                raise NotData("its parts are larger than the file")
            self._storages[str(key)] = handle.read(size)
        self._load = self._storages.__getitem__

    def resolve(self, value: Any) -> Any:
        """The value with its tensors and arrays made, as dictionaries, lists, tuples and plain values."""
        return _Walk(self._tensor).copied(value)

    def _tensor(self, node: TensorPlace) -> Tensor:
        storage, count = node.storage, math.prod(node.size)
        reach = 1 + sum((size - 1) * stride for size, stride in zip(node.size, node.stride, strict=True))
        if len(node.size) > 16 or count > storage.count:
            raise NotData("a tensor is larger than its numbers")
        if count and node.offset + reach > storage.count:
            raise NotData("a tensor reaches beyond its numbers")
        flat = self._numbers(storage)
        return flat.as_strided(node.size, node.stride, node.offset) if count else flat.new_empty(node.size)

    def _numbers(self, storage: Storage) -> Tensor:
        """All numbers of one place, read once however many tensors share them."""
        import torch

        if storage.key in self._made:
            return self._made[storage.key]
        try:
            data = self._load(storage.key)
        except KeyError as exc:
            raise NotData(f"the numbers of {storage.key!r} are missing") from exc
        if len(data) != storage.count * _item_bytes(storage.dtype):
            raise NotData(f"{len(data)} bytes where {storage.count} numbers belong")
        kind = getattr(torch, storage.dtype)
        made = torch.frombuffer(bytearray(data), dtype=kind) if data else torch.empty(0, dtype=kind)
        self._made[storage.key] = made
        return made


def _item_bytes(dtype: str) -> int:
    return {"bool": 1, "uint8": 1, "int8": 1, "int16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4}.get(
        dtype, 8
    )


@dataclass(slots=True)
class _Walk:
    """A copy of a value, bounded: a few references that repeat each other could stand for more than any memory."""

    tensor: Callable[[TensorPlace], Any]
    nodes: int = 0
    objects: dict[int, Inert] = field(default_factory=dict)
    """Foreign objects copied so far: the nodes of a config know their parents, so that they go round in circles."""

    def copied(self, value: Any, depth: int = 0) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or depth > MOST_DEPTH:
            raise NotData("it is nested too deeply")
        if isinstance(value, TensorPlace):
            return self.tensor(value)
        if isinstance(value, Array):
            return value.value
        if isinstance(value, dict):
            return {key: self.copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            items = [self.copied(item, depth + 1) for item in value]
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, Inert):
            known = self.objects.get(id(value))
            if known is None:
                known = self.objects[id(value)] = Inert(value.family)
                known.state = self.copied(value.state, depth + 1)
            return known
        if isinstance(value, (DType, Storage)):
            raise NotData("a part of a tensor where a value belongs")
        return value
