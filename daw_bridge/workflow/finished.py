"""What is there already: the song folder is the truth about a song, a ledger only an index to it."""

from __future__ import annotations

from pathlib import Path

from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import InputError
from daw_bridge.files import confined, sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest
from daw_bridge.progress import OnProgress, ignore_progress
from daw_bridge.separation.families.loader import weights_sha256
from daw_bridge.takeover import settled_manifest
from daw_bridge.workflow.chain import rebuild, request_of


def is_finished(folder: Path) -> bool:
    """Whether a song folder says that it is complete and every file that it lists is there in its size."""
    try:
        manifest = read_manifest(folder)
    except InputError:
        return False
    return manifest is not None and manifest.state == "complete" and _is_all_there(folder, manifest)


def _is_all_there(folder: Path, manifest: Manifest) -> bool:
    if manifest.original is None or manifest.reference is None or not manifest.stems:
        return False
    sizes = {manifest.original.file: manifest.original.size_bytes}
    sizes |= {stem.file: stem.size_bytes for stem in manifest.stems}
    paths = {confined(folder, file): size for file, size in sizes.items()}
    return confined(folder, manifest.reference.file).is_file() and all(
        path.is_file() and path.stat().st_size == size for path, size in paths.items()
    )


def finished_before(mix: Path, options: BuildOptions, on_progress: OnProgress = ignore_progress) -> Manifest | None:
    """The manifest of `options.output` when it holds this very mix, separated with these very options; else None.

    Sessions that are asked for and missing are added. Raises as `rebuild`.
    """
    root = options.output
    if root is None or options.force or not is_finished(root):
        return None
    manifest = settled_manifest(root)
    if manifest is None or manifest.original is None or manifest.original.sha256 != sha256_of_file(mix):
        return None
    if manifest.request != request_of(mix, options, weights_sha256(options, on_progress)):
        return None
    written = {record.adapter for record in manifest.sessions}
    missing = tuple(name for name in options.daws if name not in written)
    return rebuild(root, template=options.template, daws=missing).manifest if missing else manifest
