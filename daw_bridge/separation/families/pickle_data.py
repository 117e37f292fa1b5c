"""Pickles read as data: a machine of our own for their instructions, which executes nothing.

A pickle is a program. Here its instructions move plain values on a stack: a name in it stays a name (`Named`), what it
would call is one of the few forms below, which are described and checked; everything else is refused. No class is
looked up, no constructor runs, NumPy sees no dtype but plain numbers.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_DTYPES = frozenset(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "b1"))


class NotData(ValueError):
    """The file asks for something that is no data, or says something about itself that is not true."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name that stands in a file: `module.name`. Nothing of it is ever imported."""

    family: str


@dataclass(slots=True)
class Inert:
    """An object of a foreign class: its name and the state that stands in the file, and no behaviour."""

    family: str
    state: Any = None

    def get(self, name: str) -> Any:
        """An attribute of the state, None where it has none."""
        return self.state.get(name) if isinstance(self.state, dict) else None


@dataclass(frozen=True, slots=True)
class Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class TensorPlace:
    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(slots=True)
class DType:
    code: str


@dataclass(slots=True)
class Array:
    value: Any = None


class PickleMachine:
    """The stack machine of pickle, over data."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = {*allowed, *_CALLS, *(f"torch.{name}" for name in _STORAGES), *_PLAIN_NAMES}
        self.storages: dict[str, Storage] = {}

    def run(self, source: bytes | BinaryIO) -> Any:
        """What one pickle leaves; of a file, it is read from where the file stands. Raises NotData."""
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # what a stranger's text escapes is not our fault
                for opcode, arg, _ in pickletools.genops(source):
                    if opcode.name == "STOP":
                        return self._stack.pop()
                    self._step(opcode.name, arg)
        except NotData:
            raise
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, UnicodeError) as exc:
            raise NotData(f"damaged: {str(exc)[:80] or type(exc).__name__}") from exc
        raise NotData("damaged: its pickle has no end")

    def _step(self, name: str, arg: Any) -> None:  # noqa: PLR0912  one branch an instruction
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            stack.append(arg.encode("latin1") if name in ("STRING", "BINSTRING", "SHORT_BINSTRING") else arg)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == "MARK":
            self._marks.append(stack)
            self._stack = []
        elif name in ("TUPLE", "LIST", "DICT", "FROZENSET"):
            items = self._popped()
            self._stack.append(_pairs(items) if name == "DICT" else tuple(items) if name == "TUPLE" else items)
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])] if len(stack) >= count else [_missing()]
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else self._popped()
            _checked(self._stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._popped()
            _checked(self._stack[-1], dict).update(_pairs(items))
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[int(arg)])
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[int(arg)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, kind = arg.split(" ", 1) if name == "GLOBAL" else (stack.pop(-2), stack.pop())
            stack.append(self._named(f"{_checked(module, str)}.{_checked(kind, str)}"))
        elif name in ("REDUCE", "NEWOBJ"):
            args = _checked(stack.pop(), tuple)
            stack.append(self._called(_checked(stack.pop(), Named), args))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "POP":
            stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise NotData(f"the instruction {name}")

    def _popped(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _named(self, family: str) -> Named:
        family = family.replace("__builtin__.", "builtins.").replace("numpy._core.", "numpy.core.")
        if family not in self._allowed:
            raise NotData(f"it names {family[:80]}")
        return Named(family)

    def _called(self, called: Named, args: tuple[Any, ...]) -> Any:
        call = _CALLS.get(called.family)
        if call is not None:
            return call(*args)
        if called.family in _PLAIN_NAMES or called.family.startswith("torch."):
            raise NotData(f"it calls {called.family}")
        return Inert(called.family)

    def _storage(self, identity: Any) -> Storage:
        """('storage', kind, key, device, count) and, in old files, which part of another one it is."""
        mark, kind, key, _device, count, *view = _checked(identity, tuple)
        dtype = _STORAGES.get(_checked(kind, Named).family.removeprefix("torch."))
        if _text(mark) != "storage" or dtype is None or any(part is not None for part in view):
            raise NotData("numbers of an unknown kind")
        storage = Storage(_text(key), dtype, _natural(count))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise NotData("numbers of two kinds in one place")
        return storage


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NEW: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_PLAIN_NAMES = (
    "numpy.ndarray",
    *(f"builtins.{name}" for name in ("dict", "list", "int", "long", "str", "float", "bool")),
)


def _missing() -> Any:
    raise NotData("damaged: its stack is empty")


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise NotData(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise NotData("a size that is no number")
    return value


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(_checked(value, str))


_LONGEST_KEY = 8


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Keys are plain, or short tuples of what is plain: hashing anything deeper could take for ever."""
    if len(items) % 2 or not all(_is_key(key) for key in items[::2]):
        raise NotData("a dictionary with keys that are no names or numbers")
    return dict(zip(items[::2], items[1::2], strict=True))


def _is_key(value: Any) -> bool:
    plain = (str, int, float, bytes, type(None))
    if type(value) is tuple:
        return len(value) <= _LONGEST_KEY and all(isinstance(part, plain) for part in value)
    return isinstance(value, plain)


def _build(target: Any, state: Any) -> None:
    """What an object's state does to it: a byte order to a dtype, bytes to an array, nothing but data to the rest."""
    if isinstance(target, DType):
        order = _text(_checked(state, tuple)[1])
        if any(part is not None for part in state[2:5]) or order not in ("<", "|", "="):
            raise NotData("a NumPy type of several parts")
    elif isinstance(target, Array):
        _version, shape, dtype, fortran, data = _checked(state, tuple)
        target.value = _numbers(shape, _checked(dtype, DType), bool(fortran), data)
    elif isinstance(target, Inert):
        target.state = state
    elif not isinstance(target, dict):  # an OrderedDict's own attributes
        raise NotData(f"a {type(target).__name__} with a state")


def _numbers(shape: Any, dtype: DType, fortran: bool, data: Any) -> np.ndarray:
    import numpy as np

    sizes = tuple(_natural(size) for size in _checked(shape, tuple))
    kind = np.dtype(dtype.code)
    if len(sizes) > 16 or math.prod(sizes) * kind.itemsize != len(_checked(data, bytes)):
        raise NotData("an array of another size than its numbers")
    return np.frombuffer(data, kind).reshape(sizes, order="F" if fortran else "C").copy()


def _array(kind: Any, _shape: Any, _code: Any) -> Array:
    if kind != Named("numpy.ndarray"):
        raise NotData("an array of a foreign kind")
    return Array()


def _dtype(code: Any, *_flags: Any) -> DType:
    text = _text(code).lstrip("<|=")
    if text not in _DTYPES:
        raise NotData(f"NumPy's type {text[:20]!r}")
    return DType(text)


def _scalar(dtype: Any, data: Any) -> int | float | bool:
    value: int | float | bool = _numbers((), _checked(dtype, DType), False, data).item()
    return value


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if _text(encoding) != "latin1":
        raise NotData("bytes in an unknown form")
    return str(_checked(text, str)).encode("latin1")


def _no_bytes() -> bytes:
    """How old pickles write b"" (with an argument, bytes would be as long as the file likes)."""
    return b""


def _fraction(*parts: Any) -> Fraction:
    if len(parts) == 1:
        text = _text(parts[0])
        numerator, _, denominator = text.partition("/")
        parts = (int(numerator[:40]), int(denominator[:40] or 1))
    if len(parts) != 2 or any(type(part) is not int or abs(part) > 10**30 for part in parts) or parts[1] == 0:
        raise NotData("a fraction that is none")
    return Fraction(*parts)


def _rebuilt(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> TensorPlace:
    sizes = tuple(_natural(each) for each in _checked(size, tuple))
    strides = tuple(_natural(each) for each in _checked(stride, tuple))
    if len(sizes) != len(strides):
        raise NotData("a tensor whose sizes and strides differ in number")
    return TensorPlace(_checked(storage, Storage), _natural(offset), sizes, strides)


def _parameter(tensor: Any, *_rest: Any) -> TensorPlace:
    made: TensorPlace = _checked(tensor, TensorPlace)
    return made


def _empty(*_args: Any) -> dict[Any, Any]:
    """An OrderedDict or a defaultdict: its items follow in the pickle."""
    return {}


def _size(sizes: Any) -> tuple[int, ...]:
    return tuple(_natural(size) for size in _checked(sizes, tuple))


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuilt,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "collections.OrderedDict": _empty,
    "collections.defaultdict": _empty,
    "fractions.Fraction": _fraction,
    "_codecs.encode": _encoded,
    "builtins.bytes": _no_bytes,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": _scalar,
}
