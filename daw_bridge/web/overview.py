"""A stem at a glance: a pyramid of peaks for the lanes, spectrograms as palette PNG. Computed once, kept by sha256.

Both read a file in blocks, so a song of two hours takes the memory of a short one. They run in the helper process.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.reader import open_audio
from daw_bridge.files import write_atomic
from daw_bridge.paths import user_cache_dir

BASE_SAMPLES = 256
FACTOR = 4
SMALLEST_LEVEL = 400
"""A level with fewer columns than this is not made."""
_BLOCK_COLUMNS = 1 << 12
_FLOOR_DB = 96.0
_LOWEST_HZ = 30.0
_ANCHORS = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
"""Near to matplotlib's magma: even in brightness, readable without colour vision."""


def cached(key: str, suffix: str) -> Path:
    """Where what was computed from the samples of that sha256 lies."""
    return user_cache_dir() / "web" / key[:2] / f"{key}{suffix}"


def kept(path: Path, data: bytes) -> bytes:
    """`data`, written to the cache; a cache that cannot be written costs time, not the picture."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except Exception:  # noqa: BLE001, S110  # full, read-only, gone: all the same here
        pass
    return data


def level_sizes(length_samples: int) -> list[int]:
    """Columns in each level of the pyramid."""
    sizes = [-(-length_samples // BASE_SAMPLES)]
    while -(-sizes[-1] // FACTOR) >= SMALLEST_LEVEL:
        sizes.append(-(-sizes[-1] // FACTOR))
    return sizes


def peaks(source: Path, key: str, length_samples: int) -> bytes:
    """All levels one after another, each column as int8 minimum and maximum over both channels (127 = full scale)."""
    place = cached(key, ".peaks")
    if place.is_file() and place.stat().st_size == 2 * sum(level_sizes(length_samples)):
        return place.read_bytes()
    low, high = _base_columns(source)
    levels: list[bytes] = []
    for size in level_sizes(length_samples):
        if levels:
            low, high = _coarser(low, np.minimum), _coarser(high, np.maximum)
        low, high = _sized(low, size), _sized(high, size)
        pairs = np.stack([np.floor(low * 127.0), np.ceil(high * 127.0)], axis=1)
        levels.append(pairs.clip(-127, 127).astype(np.int8).tobytes())
    return kept(place, b"".join(levels))


def _base_columns(source: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    lows, highs = [], []
    with open_audio(source) as reader:
        for block in reader.blocks(BASE_SAMPLES * _BLOCK_COLUMNS):
            starts = np.arange(0, block.shape[1], BASE_SAMPLES)
            lows.append(np.minimum.reduceat(block.min(axis=0), starts))
            highs.append(np.maximum.reduceat(block.max(axis=0), starts))
    return np.concatenate(lows), np.concatenate(highs)


def _coarser(values: NDArray[np.float32], how: np.ufunc) -> NDArray[np.float32]:
    return np.asarray(how.reduceat(values, np.arange(0, len(values), FACTOR)), dtype=np.float32)


def _sized(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return values[:size] if len(values) >= size else np.pad(values, (0, size - len(values)))


def spectrogram(source: Path, key: str, begin: int, end: int, *, columns: int = 2048, bands: int = 192) -> bytes:
    """A PNG of `columns` Hann frames from sample `begin` to `end`, log frequency upwards, -96 to 0 dBFS."""
    place = cached(key, f".{begin}-{end}.{columns}x{bands}.png")
    if place.is_file():
        return place.read_bytes()
    grey = _spectrum(source, begin, end, columns, bands)
    return kept(place, _png(grey))


def _spectrum(source: Path, begin: int, end: int, columns: int, bands: int) -> NDArray[np.uint8]:
    with open_audio(source) as reader:
        rate = reader.sample_rate_hz
        window = 4096 if rate <= 48_000 else 8192
        shape = np.hanning(window + 1)[:-1].astype(np.float32)  # numpy's: scipy was most of what the daemon imports
        scale = 2.0 / float(shape.sum())
        edges = np.geomspace(_LOWEST_HZ, rate / 2.0, bands + 1) * window / rate
        starts = np.clip(np.floor(edges[:-1]).astype(int), 0, window // 2)
        grey = np.empty((columns, bands), np.uint8)
        for index, centre in enumerate(np.linspace(begin, max(begin, end - 1), columns).astype(int)):
            first = max(0, int(centre) - window // 2)
            reader.seek(min(first, max(0, (reader.length_samples or 0) - 1)))
            mono = reader.read(window).mean(axis=0)
            frame = np.pad(mono, (0, window - len(mono))) * shape
            magnitudes = np.abs(np.fft.rfft(frame)) * scale
            levels = 20.0 * np.log10(np.maximum(np.maximum.reduceat(magnitudes, starts), 1e-9))
            grey[index] = np.clip((levels + _FLOOR_DB) * 255.0 / _FLOOR_DB, 0, 255)
    return np.ascontiguousarray(grey.T[::-1])


def _png(grey: NDArray[np.uint8]) -> bytes:
    """An 8-bit palette PNG (W3C PNG, 11.2)."""
    height, width = grey.shape
    steps = np.linspace(0, len(_ANCHORS) - 1, 256)
    anchors = np.array(_ANCHORS, dtype=np.float64)
    places = np.arange(len(_ANCHORS))
    palette = np.stack([np.interp(steps, places, anchors[:, c]) for c in range(3)], axis=1).astype(np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = grey
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 4)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
