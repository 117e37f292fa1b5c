"""What is there already: the song folder is the truth about a song, a ledger only an index to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daw_bridge.archive import LOCK_NAME, folder_lock
from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import InputError, OutputError
from daw_bridge.files import confined
from daw_bridge.manifest import read_manifest, write_manifest
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress
from daw_bridge.separation.families.family import LoadModel
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.recipe import weights_of
from daw_bridge.song import Song, open_song, song_of
from daw_bridge.spelling import as_on_disk
from daw_bridge.workflow.chain import build, rebuild, request_of, song_folder
from daw_bridge.workflow.options import BuildResult


def is_finished(folder: Path) -> bool:
    """Whether a song folder says that it is complete and every file that it lists is there in its size."""
    try:
        song = song_of(folder, read_manifest(folder))
    except InputError:
        return False
    sized = (*song.stems, *((song.original,) if song.original is not None else ()))
    return confined(folder, song.reference.file).is_file() and all(
        (path := confined(folder, each.file)).is_file() and path.stat().st_size == each.size_bytes for each in sized
    )


def finished_song(mix: Path, options: BuildOptions, *, weights_sha256: str | None = None) -> Song | None:
    """The finished song of this very mix and these very options, where its folder holds one; None when `force` is set.

    Without `weights_sha256` any weights will do, and no model is needed to tell.
    """
    root = song_folder(mix, options)
    if options.force or not is_finished(root):
        return None
    if (root / LOCK_NAME).exists():  # of a run that works on it, which is Busy, or that was killed after its last step
        with folder_lock(root):
            pass
    song = open_song(root)
    made_with = weights_sha256 or str(song.manifest.request.get("weights_sha256"))
    return song if song.manifest.request == request_of(mix, options, made_with) else None


def finished_before(mix: Path, options: BuildOptions, on_progress: OnProgress = ignore_progress) -> Song | None:
    """`finished_song` with the weights of now, and with the sessions that are asked for and missing added.

    Raises as `rebuild`.
    """
    if options.force or not is_finished(song_folder(mix, options)):
        return None
    song = finished_song(mix, options, weights_sha256=weights_of(options, on_progress))
    if song is None:
        return None
    written = {record.adapter for record in song.sessions}
    missing = tuple(name for name in options.daws if name not in written)
    return rebuild(song.folder, template=options.template, daws=missing).song if missing else song


def add_remarks(folder: Path, remarks: tuple[str, ...]) -> None:
    """What is known of a mix from before it was one (from the file that it was cut out of), into its manifest."""
    with folder_lock(folder):
        song = open_song(folder)
        reference = replace(song.reference, notes=tuple(dict.fromkeys((*remarks, *song.reference.notes))))
        write_manifest(folder, replace(song.manifest, reference=reference))


def build_if_needed(
    mix: Path,
    options: BuildOptions,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    load_model: LoadModel = load,
) -> BuildResult:
    """`build`, unless its folder holds just this already, sessions and all: then that is the result.

    For whoever cannot know whether an earlier call came to its end, as a queue whose machine was switched off.
    """
    mix = as_on_disk(mix)
    found = _made_before(mix, options, on_progress)
    if found is not None:
        return found
    try:
        return build(mix, options, on_progress=on_progress, cancel=cancel, load_model=load_model)
    except OutputError:
        found = _made_before(mix, options, on_progress)  # another run has come to its end since the question above
        if found is None:
            raise
        return found


def _made_before(mix: Path, options: BuildOptions, on_progress: OnProgress) -> BuildResult | None:
    """What `build` would make, where it is there."""
    found = finished_before(mix, replace(options, daws=()), on_progress)
    made = {(record.adapter, record.template) for record in found.sessions} if found is not None else set()
    if found is None or not made >= {(name, options.template) for name in options.daws}:
        return None
    return BuildResult(folder=found.folder, manifest=found.manifest, reports=(), elapsed_s=0.0)
