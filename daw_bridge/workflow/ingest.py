"""From a mix on disk to the archived original and the decoded reference that everything is aligned to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.archive import SongFolder, archive_original
from daw_bridge.audio import guarded
from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.decode import ChannelChoice, DecodedAudio, decode_to_reference
from daw_bridge.audio.loudness import measure
from daw_bridge.errors import InputError
from daw_bridge.files import output_errors, safe_name, stamp
from daw_bridge.manifest import OriginalFile, ReferenceFile
from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.workflow.window import Context, Decoding, Window, decode_context


@dataclass(frozen=True, slots=True)
class Ingested:
    """`original` is None, and `context` there, for a part of a mix: the mix is not copied then."""

    original: OriginalFile | None
    reference: ReferenceFile
    context: Context | None = None


def archived_path(song: SongFolder, mix: Path) -> Path:
    """Where the untouched copy of `mix` lies."""
    extension = safe_name(mix.suffix.lstrip("."), fallback="audio", limit=10)
    return song.original_dir / f"{safe_name(mix.stem)}.{extension}"


def ingest(
    mix: Path,
    info: AudioInfo,
    song: SongFolder,
    *,
    mix_sha256: str,
    channels: ChannelChoice,
    gain_db: float = 0.0,
    accept_damaged: bool = False,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Ingested:
    """Archive `mix` and, at the same time, decode it to `song.unchecked_reference` (the rules have not passed it yet).

    `mix_sha256` is what it was when the run began: a mix that changes while it is read is refused with InputError.
    """
    copy = archived_path(song, mix)
    with output_errors(song.root):
        song.audio_dir.mkdir(parents=True, exist_ok=True)
    with _unchanged(mix), ThreadPoolExecutor(1, thread_name_prefix="archive") as pool:
        archived = pool.submit(archive_original, mix, copy, mix_sha256)
        decoded = guarded.decode_to_reference(
            mix,
            song.unchecked_reference,
            channels=channels,
            gain_db=gain_db,
            accept_damaged=accept_damaged,
            on_progress=on_progress,
            cancel=cancel,
        )
        digest = archived.result()
    original = OriginalFile(
        file=song.relative(copy),
        sha256=digest,
        size_bytes=copy.stat().st_size,
        codec=info.codec,
        source_path=str(mix.resolve()),
    )
    return Ingested(original, _reference_file(song, decoded, channels))


def ingest_part(
    mix: Path,
    song: SongFolder,
    window: Window,
    *,
    how: Decoding,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Ingested:
    """Decode a part of `mix` with what surrounds it, and the part alone to `song.unchecked_reference`."""
    with output_errors(song.root):
        song.audio_dir.mkdir(parents=True, exist_ok=True)
    with _unchanged(mix):
        context = decode_context(mix, song, window, how, on_progress=on_progress, cancel=cancel)
    part = decode_to_reference(
        context.path,
        song.unchecked_reference,
        first_samples=context.window.lead_samples,
        count_samples=context.window.length_samples,
        cancel=cancel,
    )
    reference = _reference_file(song, part, how.channels)
    return Ingested(None, replace(reference, start_samples=window.start_samples, notes=context.decoded.notes), context)


@contextmanager
def _unchanged(mix: Path) -> Iterator[None]:
    """InputError when the file was written to within the block."""
    before = stamp(mix)
    yield
    if stamp(mix) != before:
        raise InputError(f"{mix}: changed while it was being read; run again when nothing writes to it")


def _reference_file(song: SongFolder, decoded: DecodedAudio, channels: ChannelChoice) -> ReferenceFile:
    return ReferenceFile(
        file=song.relative(song.reference),
        audio_sha256=decoded.audio_sha256,
        sample_rate_hz=decoded.sample_rate_hz,
        channels=decoded.channels,
        length_samples=decoded.length_samples,
        channel_choice="all" if channels is None else str(channels),
        silent=decoded.silent,
        integrated_lufs=None,
        true_peak_dbtp=None,
        claimed_samples=decoded.info.claim.claimed_samples,
        behind_samples=decoded.info.claim.behind_samples,
        holes=tuple((hole.start_samples, hole.length_samples) for hole in decoded.holes),
        notes=decoded.notes,
    )


def with_loudness(reference: ReferenceFile, path: Path) -> ReferenceFile:
    """The same with the integrated loudness and true peak of `path`; a silent mix has neither."""
    if reference.silent:
        return reference
    loudness = measure(path)
    return replace(
        reference,
        integrated_lufs=_finite(loudness.integrated_lufs),
        true_peak_dbtp=_finite(loudness.true_peak_dbtp),
    )


def _finite(value: float) -> float | None:
    return round(value, 2) if value > -1000.0 else None
