"""Process-wide switches that a run needs, each set for its scope only and put back after it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Names of glibc's mallopt parameters (malloc.h)."""


@contextmanager
def strict_fp32(*, allow_tf32: bool = False) -> Iterator[None]:
    """IEEE float32 in convolutions and matrix products.

    PyTorch lets cuDNN use TF32 convolutions by default, which puts an error of -61 dB on htdemucs.
    """
    convolution, matmul = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = allow_tf32
    torch.set_float32_matmul_precision("high" if allow_tf32 else "highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolution
        torch.set_float32_matmul_precision(matmul)


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention through scaled_dot_product_attention: on the CPU it is faster than PyTorch's own fast path."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@contextmanager
def one_thread() -> Iterator[None]:
    """Every PyTorch operation on the thread that calls it: what many threads share is rounded as they share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def kept_memory() -> Iterator[Callable[[], None]]:
    """Freed memory stays with the process while a network runs, and goes back to the system at the end.

    glibc maps each large block anew and faults in every page of it: up to 6 million page faults a minute of audio.
    What it keeps comes apart into holes, the more the longer a run lasts: the function that is given returns the free
    pages now, and is worth calling once in a while. Does nothing where the C library is another one.
    """
    libc = _glibc()
    if libc is None:
        yield lambda: None
        return
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    try:
        yield lambda: libc.malloc_trim(0)
    finally:
        libc.mallopt(_M_TRIM_THRESHOLD, 1 << 25)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25)
        libc.malloc_trim(0)


def return_free_memory() -> None:
    """What a network that is no longer needed has left goes back to the system: before the next one comes."""
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
        libc.malloc_trim.argtypes = (ctypes.c_size_t,)
    except (OSError, AttributeError):
        return None
    return libc
