"""A file of torch.save is data: whatever its pickle says, nothing runs, nothing is built but numbers, nothing grows."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint
from daw_bridge.separation.families.legacy_file import LegacyFile
from daw_bridge.separation.families.pickle_data import Inert, NotData

ROOT = Path(__file__).resolve().parents[2]


def read(data: bytes, *allowed: str) -> Any:
    file = LegacyFile(io.BytesIO(data), allowed)
    return file.resolve(file.content)


def saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def same(left: Any, right: Any) -> bool:
    if isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(right, np.ndarray):
        return isinstance(left, np.ndarray) and left.dtype == right.dtype and bool(np.array_equal(left, right))
    if isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in right)
    if isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


BASE = torch.arange(24.0).reshape(4, 6)
CONTENT = {
    "floats": BASE,
    "shared": BASE.T[1:3],
    "parameter": torch.nn.Parameter(torch.ones(2, 3)),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    **{str(kind): torch.ones(3, dtype=kind) for kind in (torch.float16, torch.bfloat16, torch.int64, torch.uint8)},
    "bool": torch.tensor([True, False]),
    "ordered": OrderedDict(a=1, b=torch.zeros(1)),
    "default": defaultdict(dict, {3: {"x": 1}}),
    "keyed": {("%Y-%m-%d",): "a date", None: 1, (1, "x"): 2},
    "fraction": Fraction(39, 5),
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "words": np.array([2**63 + 1], np.uint64),
    "number": np.float64(0.25),
    "plain": [None, True, -(2**70), 1.5, "text é", b"\x00\xff", b"", (1, (2,)), torch.Size((2, 3))],
}


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["archive", "old form"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_torch_saved_is_read_as_torch_reads_it(how: dict[str, Any], protocol: int) -> None:
    read_back = read(saved(CONTENT, pickle_protocol=protocol, **how))
    for key, value in CONTENT.items():
        assert same(read_back[key], value), key


def archive(pickled: bytes, compressed: bool = False, **parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as made:
        made.writestr("archive/data.pkl", pickled)
        for name, data in parts.items():
            made.writestr(f"archive/data/{name}", data)
    return buffer.getvalue()


def name(module: str, kind: str) -> bytes:
    return f"c{module}\n{kind}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def raw(data: bytes) -> bytes:
    return name("_codecs", "encode") + b"(" + text(data.decode("latin1")) + text("latin1") + b"tR"


ARRAY, RECONSTRUCT = name("numpy", "ndarray"), name("numpy._core.multiarray", "_reconstruct")


def dtype(code: str, order: str = "<", fields: bytes = b"N", flags: int = 0) -> bytes:
    made = name("numpy", "dtype") + b"(" + text(code) + b"K\x00K\x01tR"
    state = b"(K\x03" + text(order) + b"N" + fields + b"NJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + bytes([flags]) + b"tb"
    return made + state


def array(kind: bytes, data: bytes, shape: bytes = b"(K\x01t") -> bytes:
    empty = RECONSTRUCT + b"(" + ARRAY + b"(K\x00t" + raw(b"b") + b"tR"
    return empty + b"(K\x01" + shape + kind + b"\x89" + raw(data) + b"tb"


def tensor(size: str, stride: str, offset: int = 0, count: int = 4) -> bytes:
    identity = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"I%d\ntQ" % count
    shape = "".join(f"I{part}\n" for part in size.split()).encode()
    steps = "".join(f"I{part}\n" for part in stride.split()).encode()
    start = name("torch._utils", "_rebuild_tensor_v2") + b"(" + identity + b"I%d\n(" % offset
    return start + shape + b"t(" + steps + b"t\x89N" + b"tR"


HOSTILE = {
    "an object array over bytes": ARRAY + b"(" + b"(K\x01t" + text("O") + raw(b"A" * 8) + b"tR",
    "an object array by state": array(dtype("O"), b"A" * 8),
    "an object array by a short code": array(name("numpy", "dtype") + b"(" + text("O8") + b"tR", b"A" * 8),
    "plain numbers of many flags": array(dtype("i8", flags=63), b"A" * 8) + b"." + b"",
    "a record": array(dtype("V8", fields=b"(" + text("a") + b"t"), b"A" * 8),
    "fields in a plain type": array(dtype("i8", fields=b"(" + text("a") + b"t"), b"A" * 8),
    "an array beyond its bytes": array(dtype("i8"), b"A" * 8, b"(K\x09t"),
    "an array by its constructor": ARRAY + b"((J\xff\xff\xff\x7ftR" + b"tR",
    "bytes of any length": name("builtins", "bytes") + b"(J\xff\xff\xff\x7ftR",
    "a call of the system": name("posix", "system") + b"(" + text("touch pwned") + b"tR",
    "an attribute": name("builtins", "getattr") + b"(" + text("a") + text("b") + b"tR",
    "an import": name("torch.serialization", "load") + b"(" + text("x") + b"tR",
    "a tensor beyond its numbers": tensor("5", "1"),
    "a tensor that begins before": tensor("2", "1", -1),
    "a tensor of negative steps": tensor("2", "-1", 2),
    "a tensor out of nothing": tensor("100000 100000", "0 0"),
    "a tensor of huge steps": tensor("2", "4611686018427387904"),
    "a storage that is not there": tensor("4", "1").replace(text("0"), text("9")),
    "a storage of another size": tensor("4", "1", count=5),
    "a fraction of zero": name("fractions", "Fraction") + b"(" + text("1/0") + b"tR",
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n",
    "no end": b"(" * 5,
    "a dictionary with a list as its key": b"}(]K\x01u",
    "an object of a class": name("collections", "Counter") + b")\x81",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_pickle_that_wants_more_than_data_is_refused(case: str, tmp_path: Path) -> None:
    pickled = b"\x80\x02" + HOSTILE[case] + b"."
    if case == "plain numbers of many flags":  # the flags are not believed; the numbers are numbers
        assert read(archive(pickled)).dtype == np.int64
        return
    with pytest.raises(NotData):
        read(archive(pickled, **cast("Any", {"0": bytes(16)})))
    package = b"\x80\x02}(" + text("klass") + name("demucs.htdemucs", "HTDemucs") + text("args") + HOSTILE[case]
    (tmp_path / "x.th").write_bytes(
        archive(package + text("kwargs") + b"}" + text("state") + b"}u.", **cast("Any", {"0": bytes(16)}))
    )
    with pytest.raises(WeightsCorrupt, match="read safely"):
        read_checkpoint(tmp_path / "x.th")


def test_the_address_of_an_object_in_a_file_stays_a_number(tmp_path: Path) -> None:
    there = ["an object of this process"]
    forged = ARRAY + b"((K\x01t" + text("O") + raw(struct.pack("<Q", id(there))) + b"tR"
    with pytest.raises(NotData):
        read(archive(b"\x80\x02" + forged + b"."))


def test_lists_of_lists_of_lists_do_not_grow_when_they_are_read() -> None:
    doubled = b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(19)) + b"."
    with pytest.raises(NotData, match="nested"):
        read(archive(doubled))
    nested = b"\x80\x02" + b"(" * 5_000 + b"t" * 5_000 + b"."
    with pytest.raises(NotData, match="nested"):
        read(archive(nested))


def test_a_zip_bomb_is_not_unpacked() -> None:
    with pytest.raises(NotData, match="compressed"):
        read(archive(b"\x80\x02" + tensor("4", "1") + b".", compressed=True, **{"0": bytes(10_000_000)}))


def test_foreign_objects_are_names_with_data() -> None:
    pickled = b"\x80\x02" + name("omegaconf.nodes", "AnyNode") + b")\x81}" + text("_val") + text("bass") + b"sb."
    node = read(archive(pickled), "omegaconf.nodes.AnyNode")
    assert node == Inert("omegaconf.nodes.AnyNode", {"_val": "bass"}) and node.get("_val") == "bass"
    with pytest.raises(NotData, match="omegaconf"):
        read(archive(pickled))


def test_reading_imports_nothing_that_a_file_names() -> None:
    """In a process of its own, where neither torch nor numpy was there before."""
    code = (
        "import sys, io, zipfile; from daw_bridge.separation.families.legacy_file import LegacyFile\n"
        "from daw_bridge.separation.families.pickle_data import NotData\n"
        "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w')\n"
        "z.writestr('a/data.pkl', b'cantigravity\\nfly\\n.'); z.close()\n"
        "try: LegacyFile(b)\n"
        "except NotData: print(sorted({'antigravity', 'torch', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_data_or_refused(data: bytes, zipped: bool) -> None:
    try:
        read(archive(data) if zipped else data)
    except NotData:
        pass


@given(st.data())
def test_any_change_to_a_good_file_is_data_or_refused(data: st.DataObject) -> None:
    good = bytearray(pickle.dumps({"a": [1, 2.5, ("x", b"y")], "f": Fraction(1, 3), "n": np.arange(3)}, protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(archive(bytes(good)))
    except NotData:
        pass


class Node:
    """As the nodes of a config, which know their parent."""

    def __init__(self, parent: Node | None) -> None:
        self.parent, self.content = parent or self, {"value": 3}


def test_foreign_objects_that_go_round_in_circles_stay_data() -> None:
    root = Node(None)
    found = read(saved({"root": root, "child": Node(root)}), f"{Node.__module__}.Node")
    assert isinstance(found["child"], Inert)
    assert found["child"].get("parent") is found["root"] is found["root"].get("parent")
    assert found["root"].get("content") == {"value": 3}
