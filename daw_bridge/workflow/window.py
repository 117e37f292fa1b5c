"""A part of a mix: separated with what surrounds it, and cut out of the result sample by sample.

A model hears some seconds around a sample, so the part is decoded with `CONTEXT_S` before and behind it, separated as
that, and every file is cut to the part: the stems of 30 s out of two hours take as long as 50 s do. Stems and residual
sum to the part as exactly as they do to the whole, because each of their samples is one of the longer files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.archive import SongFolder
from daw_bridge.audio import guarded
from daw_bridge.audio.decode import ChannelChoice, DecodedAudio
from daw_bridge.audio.encoding import Encoding
from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError
from daw_bridge.files import output_errors
from daw_bridge.model import Stem, StemSet
from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.run import SeparationResult
from daw_bridge.units import SILENCE_DB, clock, s_to_samples

CONTEXT_S = 10.0
_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`length_samples` of a mix from `start_samples` on; `lead_samples` and `tail_samples` are decoded around them."""

    start_samples: int
    length_samples: int
    lead_samples: int
    tail_samples: int


def window_of(range_s: tuple[float, float], mix: Path) -> Window:
    """The window of a range in a mix; its end is that of the mix where the range goes on. Raises InputError."""
    info = guarded.probe(mix)
    rate_hz, total = info.sample_rate_hz, info.length_samples
    start, end = (s_to_samples(seconds, rate_hz) for seconds in range_s)
    if total is not None:
        if start >= total:
            raise InputError(f"{mix}: ends at {clock(total / rate_hz)}, before the range begins")
        end = min(end, total)
    context = s_to_samples(CONTEXT_S, rate_hz)
    tail = context if total is None else min(context, total - end)
    return Window(
        start_samples=start, length_samples=max(end - start, 1), lead_samples=min(context, start), tail_samples=tail
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How a mix is decoded."""

    channels: ChannelChoice
    gain_db: float
    accept_damaged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The decoded window with what surrounds it."""

    path: Path
    window: Window
    decoded: DecodedAudio


def decode_context(
    mix: Path,
    song: SongFolder,
    window: Window,
    how: Decoding,
    *,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Context:
    """Decode the window with its surroundings into the song folder."""
    path = song.unchecked_reference.with_name(f"context_{song.unchecked_reference.name}")
    decoded = guarded.decode_to_reference(
        mix,
        path,
        channels=how.channels,
        gain_db=how.gain_db,
        accept_damaged=how.accept_damaged,
        first_samples=window.start_samples - window.lead_samples,
        count_samples=window.lead_samples + window.length_samples + window.tail_samples,
        on_progress=on_progress,
        cancel=cancel,
    )
    if decoded.length_samples <= window.lead_samples:
        raise InputError(f"{mix}: ends before the range begins")
    length = min(window.length_samples, decoded.length_samples - window.lead_samples)
    return Context(path=path, window=replace(window, length_samples=length), decoded=decoded)


def cut_out(
    source: Path, target: Path, window: Window, *, encoding: Encoding = "float32", provenance: str = ""
) -> None:
    """The window of a file that begins `lead_samples` before it. Raises InputError, OutputError."""
    left = window.length_samples
    with (
        open_audio(source) as reader,
        AudioWriter(
            target,
            sample_rate_hz=reader.sample_rate_hz,
            channels=reader.channels,
            encoding=encoding,
            provenance=provenance,
        ) as writer,
    ):
        reader.seek(window.lead_samples)
        while left:
            block = reader.read(min(_BLOCK_SAMPLES, left))
            if not block.shape[1]:
                raise InputError(f"{source}: is shorter than the range; run again")
            writer.write(block)
            left -= block.shape[1]


def context_folder(song: SongFolder) -> Path:
    """Where the stems of the longer window lie until they are cut."""
    return song.audio_dir / "context.part"


def cut_result(
    result: SeparationResult, song: SongFolder, window: Window, *, encoding: Encoding, provenance: str
) -> SeparationResult:
    """The stems of the longer window cut to the window, in their place in the song folder, and held against it."""
    stems: list[Stem] = []
    for stem in result.stems.stems:
        target = song.audio_dir / stem.path.name
        cut_out(stem.path, target, window, encoding=encoding, provenance=f"{provenance} stem={stem.name}")
        stems.append(replace(stem, path=target, length_samples=window.length_samples))
    reference = replace(result.stems.reference, path=song.reference, length_samples=window.length_samples)
    depth_db = max(SILENCE_DB, null_depth_db(song.reference, [stem.path for stem in stems]))
    return replace(result, stems=StemSet(stems=tuple(stems), reference=reference), null_depth_db=depth_db)


def remove_context(song: SongFolder) -> None:
    """Nothing of the longer window stays."""
    with output_errors(song.audio_dir):
        shutil.rmtree(context_folder(song), ignore_errors=True)
        for path in song.audio_dir.glob("context_*.checking.wav"):
            path.unlink(missing_ok=True)
