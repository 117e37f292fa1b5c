"""A file as a library is to see it: pieces of a real file and pieces of our own, one after the other.

So a wrong size in a header is mended for the library that reads it, without touching the user's file.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO

Span = bytes | tuple[int, int]
"""Bytes of our own, or (start, length) of the file."""


class SpanFile:
    """Reads spans of `handle` as one file, and closes it. What libsndfile and FFmpeg ask of a Python file is here."""

    def __init__(self, handle: BinaryIO, spans: Sequence[Span]) -> None:
        self._handle = handle
        self._spans = [span for span in spans if _length(span)]
        self._starts = [0, *accumulate(_length(span) for span in self._spans)]
        self.size_bytes = self._starts.pop()
        self._position = 0

    def read(self, count_bytes: int = -1) -> bytes:
        if count_bytes < 0:
            count_bytes = self.size_bytes
        parts = []
        while count_bytes > 0 and self._position < self.size_bytes:
            part = self._read_in_span(count_bytes)
            if not part:  # the file became shorter meanwhile
                break
            parts.append(part)
            count_bytes -= len(part)
            self._position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_in_span(self, count_bytes: int) -> bytes:
        index = bisect_right(self._starts, self._position) - 1
        span, inside = self._spans[index], self._position - self._starts[index]
        if isinstance(span, bytes):
            return span[inside : inside + count_bytes]
        start, length = span
        self._handle.seek(start + inside)
        return self._handle.read(min(count_bytes, length - inside))

    def readinto(self, target: memoryview) -> int:
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, _data: bytes) -> int:  # soundfile asks for the method; nothing is ever written
        return 0

    def close(self) -> None:
        self._handle.close()


def _length(span: Span) -> int:
    return len(span) if isinstance(span, bytes) else span[1]
