"""From raw frames at the model's rate to the files: rate, channels, length of the reference, and the residual."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.encoding import Encoding
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.resample import BlockResampler, MakeResampler, Resampler
from daw_bridge.audio.writer import SUFFIXES, AudioWriter
from daw_bridge.errors import OutputError
from daw_bridge.model import Stem, StemRole, StemSet
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.disk.raw_audio import RawAudio
from daw_bridge.separation.disk.residual import Consistency
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.units import linear_to_db

INTEGER_BITS: dict[Encoding, int | None] = {"float32": None, "pcm24": 24, "flac": 24}
"""Bits of a written sample; None where nothing is rounded."""

_BLOCK_SAMPLES = 1 << 16
_LARGEST_24_BIT = 1.0 - 2.0**-23


def write_stems(
    raw: RawAudio,
    reference: Path,
    folder: Path,
    consistency: Consistency,
    *,
    rate_hz: int,
    encoding: Encoding,
    prefix: str,
    provenance: str,
    on_progress: OnProgress,
    cancel: CancelToken,
    resampler: MakeResampler = Resampler,
) -> StemSet:
    """Write one file per name of `consistency`; all of them or none. Raises OutputError, InputError, Cancelled.

    `raw` holds (source, channel) frames at `rate_hz`.
    """
    paths = [folder / f"{prefix}{name}{SUFFIXES[encoding]}" for name in consistency.names]
    new = [path for path in paths if not path.exists()]
    with open_audio(reference) as mix:
        try:
            with ExitStack() as scope:
                writers = [
                    scope.enter_context(
                        AudioWriter(
                            path,
                            sample_rate_hz=mix.sample_rate_hz,
                            channels=mix.channels,
                            encoding=encoding,
                            provenance=f"{provenance} stem={name}",
                        )
                    )
                    for path, name in zip(paths, consistency.names, strict=True)
                ]
                pool = scope.enter_context(ThreadPoolExecutor(min(4, len(writers)), thread_name_prefix="write"))
                total = mix.length_samples or 0
                made = resampler(
                    rate_hz, mix.sample_rate_hz, consistency.model_stems * mix.channels, target_length_samples=total
                )
                for blocks in _written_blocks(raw, mix, consistency, made, on_progress, cancel):
                    list(pool.map(lambda pair: pair[0].write(pair[1]), zip(writers, blocks, strict=True)))
                if INTEGER_BITS[encoding] is not None:
                    _check_full_scale(consistency, encoding)
        except BaseException:
            for path in new:
                path.unlink(missing_ok=True)
            raise
        return _stem_set(mix, reference, paths, consistency)


def _written_blocks(
    raw: RawAudio,
    mix: AudioReader,
    consistency: Consistency,
    resampler: BlockResampler,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Iterator[list[FloatArray]]:
    """Blocks of all files side by side, each a list of (channels, n), in order, exactly as long as the mix."""
    total, done = mix.length_samples or 0, 0
    sources = consistency.model_stems
    raw.seek(0)
    at_end = False
    while not at_end:
        cancel.check()
        frames = raw.read(_BLOCK_SAMPLES)
        at_end = frames.shape[1] == 0
        ready = resampler.finish() if at_end else resampler.process(_to_channels(frames, sources, mix.channels))
        count = ready.shape[1]
        if count == 0:
            continue
        yield consistency.apply(mix.read(count), ready.reshape(sources, mix.channels, count))
        done += count
        on_progress(Progress(stage="residual", done=done, total=total))


def _to_channels(frames: FloatArray, sources: int, channels: int) -> FloatArray:
    """(source, model channel) frames -> (source, channel) frames: as they are, or the mean for a mono mix."""
    model_channels = len(frames) // sources
    if channels == model_channels:
        return frames
    folded = frames.reshape(sources, model_channels, -1).mean(axis=1, dtype=np.float32)
    return np.repeat(folded, channels, axis=0) if channels > 1 else folded


def _check_full_scale(consistency: Consistency, encoding: Encoding) -> None:
    """OutputError when a stem is louder than 24 bits can say: clipping it would be a change of sound."""
    for name, peak in zip(consistency.names, consistency.peaks, strict=False):
        if peak > _LARGEST_24_BIT:
            raise OutputError(
                f"{name}: its peak is {linear_to_db(peak):+.2f} dBFS, which {encoding} cannot hold without clipping; "
                "run again with `encoding` float32 and `force` (what is computed is kept)"
            )


def _stem_set(mix: AudioReader, reference: Path, paths: list[Path], consistency: Consistency) -> StemSet:
    length = mix.length_samples or 0

    def stem(name: str, path: Path, role: StemRole) -> Stem:
        return Stem(
            name=name,
            path=path,
            sample_rate_hz=mix.sample_rate_hz,
            channels=mix.channels,
            length_samples=length,
            role=role,
        )

    stems = [stem(name, path, consistency.role(name)) for name, path in zip(consistency.names, paths, strict=True)]
    return StemSet(stems=tuple(stems), reference=stem("reference", reference, "reference"))
