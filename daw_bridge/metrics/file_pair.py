"""Reference and estimate files read side by side."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import InputError
from daw_bridge.metrics.signals import FloatArray
from daw_bridge.metrics.stem_files import ReferenceFiles

_COUNT_BLOCK_SAMPLES = 1 << 20


class FilePair:
    """A `SignalPair` over files; each pass opens them anew, and `on_block` hears how many samples went by.

    Raises InputError when the rate, channel count or length of a file differs from the first reference's.
    """

    def __init__(self, references: Sequence[ReferenceFiles], estimates: Sequence[Path]) -> None:
        self._references = [(item,) if isinstance(item, Path) else item for item in references]
        self._estimates = [(path,) for path in estimates]
        self.on_block: Callable[[int], None] = lambda _count_samples: None
        first = self._references[0][0]
        self.sample_rate_hz, self.channels, self.length_samples = expected = _shape(first)
        for path in (path for group in (*self._references, *self._estimates) for path in group):
            for what, there, wanted in zip(("Hz", "channels", "samples"), _shape(path), expected, strict=True):
                if there != wanted:
                    raise InputError(
                        f"{path}: {there} {what}, but {first} has {wanted}; {_way_on(what, there, wanted)}"
                    )

    @property
    def sources(self) -> int:
        return len(self._references)

    def only(self, indices: Sequence[int]) -> FilePair:
        """The same pair with only these of its stems."""
        part = copy.copy(self)
        part._references = [self._references[index] for index in indices]
        part._estimates = [self._estimates[index] for index in indices]
        return part

    def blocks(self, size_samples: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """From the start: references and estimates, shape (sources, channels, size_samples), the last one shorter."""
        with ExitStack() as stack:
            groups = [
                [stack.enter_context(open_audio(path)) for path in group]
                for group in (*self._references, *self._estimates)
            ]
            for start in range(0, self.length_samples, size_samples):
                count = min(size_samples, self.length_samples - start)
                signals = np.stack([_sum(readers, count) for readers in groups])
                self.on_block(count)
                yield signals[: self.sources], signals[self.sources :]


def _way_on(what: str, there: int, wanted: int) -> str:
    """How to make a file fit."""
    if what == "samples":
        filters = f"apad=whole_len={wanted},atrim=end_sample={wanted}"
        return (
            f"if they begin together, cut or pad it: ffmpeg -i FILE -af {filters} same.wav (a lossy file may "
            "begin with its encoder's delay: take what it was made of)"
        )
    options = f"-ar {wanted}" if what == "Hz" else f"-ac {wanted}"
    if (what, there, wanted) == ("channels", 1, 2):  # -ac 2 would make it 3 dB softer
        options = '-af "pan=stereo|c0=c0|c1=c0"'
    return f"convert it first: ffmpeg -i FILE {options} converted.wav"


def _sum(readers: Sequence[AudioReader], count_samples: int) -> FloatArray:
    total = readers[0].read(count_samples).astype(np.float64)
    for reader in readers[1:]:
        total += reader.read(count_samples)
    return total


def _shape(path: Path) -> tuple[int, int, int]:
    with open_audio(path) as reader:
        length_samples = reader.length_samples
        if length_samples is None:  # only decoding tells
            length_samples = sum(block.shape[1] for block in reader.blocks(_COUNT_BLOCK_SAMPLES))
        return reader.sample_rate_hz, reader.channels, length_samples
