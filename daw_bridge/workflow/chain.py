"""The way of the data, step by step: check, archive, decode, separate, plan, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from daw_bridge.adapter import SessionAdapter, WriteReport
from daw_bridge.archive import (
    Claim,
    SongFolder,
    claimed_folder,
    folder_lock,
    remove_leftovers,
    remove_own_files,
    replacement_folder,
    require_disk_space,
    take_over,
)
from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.reader import probe
from daw_bridge.cache import StemCache
from daw_bridge.errors import DawBridgeError, GuardRefused, InputError
from daw_bridge.files import safe_name, sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest, write_manifest
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.catalog import model_info
from daw_bridge.separation.disk.work_folder import remove_work_folders
from daw_bridge.separation.families.loader import import_ahead, load, weights_sha256
from daw_bridge.separation.guard import check_options, refuse_provenance, refuse_stem_sound
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems
from daw_bridge.separation.run import LoadModel, separation_key
from daw_bridge.version import __version__
from daw_bridge.workflow.ingest import Ingested, ingest
from daw_bridge.workflow.options import BuildOptions, BuildResult
from daw_bridge.workflow.sessions import TemplateChoice, choose_template, load_adapters, write_sessions
from daw_bridge.workflow.stems import make_stems

SONG_FOLDER_SUFFIX = ".session"
BYTES_PER_SAMPLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One build on its way through the steps."""

    mix: Path
    info: AudioInfo
    options: BuildOptions
    model: ModelInfo
    weights_sha256: str
    name: str
    song: SongFolder
    request: dict[str, Any]
    load_model: LoadModel
    on_progress: OnProgress
    cancel: CancelToken


def separate(
    mix: Path | str,
    options: BuildOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> BuildResult:
    """A song folder with the archived mix, the reference and the stems, and no DAW session.

    `rebuild` makes a session of it later. Raises as `build`.
    """
    return build(mix, replace(options or BuildOptions(), daws=()), on_progress=on_progress, cancel=cancel)


def build(
    mix: Path | str,
    options: BuildOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    load_model: LoadModel = load,
) -> BuildResult:
    """A song folder with stems, archived mix and one session for each of `options.daws`.

    `load_model` may be a `ModelKeeper`, to load once for many songs. Interrupted, the same call continues it and
    gives the same samples. Raises InputError, OutputError, TemplateError, ModelError, GuardRefused, DeviceError,
    DawError, Busy, Cancelled; whatever is wrong with the request or the mix is raised before anything is left on
    the disk.
    """
    started = time.monotonic()
    mix, options, cancel = Path(mix), options or BuildOptions(), cancel or CancelToken()
    check_options(options)
    choice = choose_template(options.template)
    adapters = load_adapters(options.daws)
    info = probe(mix)
    _refuse_own_stems(mix, options)
    model = model_info(options.model)
    if options.weights is None:  # weights of one's own may give other stems
        check_stems(wanted_stems(options) or (), model.name, model.stems)
    digest = weights_sha256(options, on_progress)
    root = options.output or mix.with_name(f"{safe_name(mix.stem)}{SONG_FOLDER_SUFFIX}")
    name = safe_name(options.name or mix.stem)
    run = _Run(
        mix=mix,
        info=info,
        options=options,
        model=model,
        weights_sha256=digest,
        name=name,
        song=SongFolder(root, name.replace(" ", "_")),
        request=_request(mix, options, digest),
        load_model=load_model,
        on_progress=on_progress,
        cancel=cancel,
    )
    with folder_lock(root), claimed_folder(root, run.request, force=options.force, mix=mix) as claim:
        require_disk_space(root, _needed_bytes(run))
        manifest = _with_audio(run, claim)
        remove_work_folders(run.song.audio_dir)
        on_progress(Progress(stage="build", done=0, total=1))
        manifest, reports = _with_sessions(root, manifest, choice, adapters)
        on_progress(Progress(stage="build", done=1, total=1))
    elapsed_s = time.monotonic() - started
    return BuildResult(folder=root, manifest=manifest, reports=reports, elapsed_s=elapsed_s)


def rebuild(
    folder: Path | str,
    *,
    template: str | None = None,
    daws: tuple[str, ...] | None = None,
    on_progress: OnProgress = ignore_progress,
) -> BuildResult:
    """New sessions from the stems of a finished song folder: no model, no network, no audio is touched.

    `template` and `daws` default to those of the folder's last sessions. A session that was changed since we wrote it
    stays, and the new one gets another name.
    """
    started = time.monotonic()
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such song folder; make one with 'daw-bridge build MIX'")
    with folder_lock(folder):
        manifest = read_manifest(folder)
        if manifest is None:
            raise InputError(f"{folder}: is not a daw-bridge song folder; make one with 'daw-bridge build MIX'")
        if manifest.state != "complete":
            raise InputError(f"{folder}: was not finished; run the 'build' that made it again to continue it")
        last = manifest.sessions
        choice = choose_template(template or (last[-1].template if last else BuildOptions().template))
        remove_leftovers(folder)
        names = daws or tuple(dict.fromkeys(record.adapter for record in last)) or BuildOptions().daws
        _require_whole(folder, manifest)
        on_progress(Progress(stage="build", done=0, total=1))
        manifest, reports = write_sessions(folder, manifest, choice, load_adapters(names))
        on_progress(Progress(stage="build", done=1, total=1))
    return BuildResult(folder=folder, manifest=manifest, reports=reports, elapsed_s=time.monotonic() - started)


def _require_whole(folder: Path, manifest: Manifest) -> None:
    """InputError when a stem or the reference is gone, or is no longer of the rate, channels and length it had."""
    ref, stems = manifest.reference, manifest.stem_set(folder)
    for stem in (stems.reference, *stems.stems):
        found = probe(stem.path)
        now = (found.sample_rate_hz, found.channels, found.length_samples)
        if ref is not None and now != (ref.sample_rate_hz, ref.channels, ref.length_samples):
            raise InputError(
                f"{stem.path}: has {now[2]} samples of {now[1]} channel(s) at {now[0]} Hz, the song has "
                f"{ref.length_samples} of {ref.channels} at {ref.sample_rate_hz} Hz; build the mix again with --force"
            )


def _refuse_own_stems(mix: Path, options: BuildOptions) -> None:
    """GuardRefused for a stem of ours, known by its tag or by the manifest of the folder that it lies in."""
    if options.allow_stems:
        return
    refuse_provenance(mix, allow=False)
    folder = mix.resolve().parent.parent
    try:
        manifest = read_manifest(folder)
    except InputError:
        return
    for stem in manifest.stems if manifest is not None else ():
        if (folder / stem.file).resolve() == mix.resolve():
            raise GuardRefused(
                f"{mix}: is the {stem.name} stem of {folder}; separating it again only adds errors. "
                f"Give the mix, or insist with --allow-stems"
            )


def _request(mix: Path, options: BuildOptions, digest: str) -> dict[str, Any]:
    """What makes two runs the same run: the mix's bytes and everything that influences the samples."""
    kept = {key: value for key, value in asdict(options).items() if key in SeparationOptions.__dataclass_fields__}
    for speed_only in ("device", "batch_segments", "weights"):
        kept.pop(speed_only)
    kept = {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}
    channels = list(options.channels) if isinstance(options.channels, tuple) else options.channels
    return {"mix_sha256": sha256_of_file(mix), "weights_sha256": digest, "channels": channels, **kept}


def _with_audio(run: _Run, claim: Claim) -> Manifest:
    """The manifest of the claimed folder once it holds archive, reference and stems, in place of those it held."""
    if not claim.replaces:
        return _with_stems(run, claim)
    with replacement_folder(claim, run.request) as inner:
        made = _with_stems(replace(run, song=SongFolder(inner.root, run.song.slug)), inner)
    manifest = replace(made, sessions=claim.previous.sessions if claim.previous else ())
    take_over(claim, manifest)
    return manifest


def _with_sessions(
    root: Path, manifest: Manifest, choice: TemplateChoice, adapters: Sequence[SessionAdapter]
) -> tuple[Manifest, tuple[WriteReport, ...]]:
    """The finished manifest. A DAW that refuses costs no stems: the folder is finished without its session.

    Until the last session is there the folder counts as being built, so that a killed run is continued.
    """
    try:
        manifest, reports = write_sessions(root, manifest, choice, adapters)
    except DawBridgeError as exc:
        written = read_manifest(root)
        kept = written if written is not None and written.stems else manifest
        write_manifest(root, replace(kept, state="complete"))
        again = f"'daw-bridge rebuild {root} --daw NAME' makes a session of them"
        raise type(exc)(f"{exc}; the stems are kept, {again}") from exc
    manifest = replace(manifest, state="complete")
    write_manifest(root, manifest)
    return manifest, reports


def _with_stems(run: _Run, claim: Claim) -> Manifest:
    """The manifest of a folder that holds the archive, the reference and the stems."""
    previous, root = claim.previous, run.song.root
    if previous is None:
        write_manifest(root, Manifest(name=run.name, daw_bridge=__version__, state="building", request=run.request))
    cache = StemCache() if run.options.use_cache else None
    if claim.resumes and previous is not None and previous.reference is not None:
        manifest, reference = previous, previous.reference
    else:
        if cache is None:
            import_ahead(run.model)
        ingested = ingest(
            run.mix,
            run.info,
            run.song,
            mix_sha256=run.request["mix_sha256"],
            channels=run.options.channels,
            on_progress=run.on_progress,
            cancel=run.cancel,
        )
        key = separation_key(ingested.reference.audio_sha256, run.options, run.weights_sha256)
        if cache is not None and cache.find(key) is None:
            import_ahead(run.model)
        refuse_stem_sound(run.song.unchecked_reference, name=run.mix, allow=run.options.allow_stems)
        manifest, reference = _begin(run, claim, ingested), ingested.reference
    made = make_stems(
        run.song,
        reference,
        run.options,
        weights_sha256=run.weights_sha256,
        cache=cache,
        load_model=run.load_model,
        on_progress=_keeping(claim, run.on_progress),
        cancel=run.cancel,
    )
    return replace(manifest, stems=made.stems, separation=made.record, reference=made.reference)


def _keeping(claim: Claim, on_progress: OnProgress) -> OnProgress:
    """The folder is worth keeping, for the next run to continue, once a first segment has been separated."""

    def listen(event: Progress) -> None:
        if event.stage == "separate" and event.done > 0:
            claim.keep()
        on_progress(event)

    return listen


def _begin(run: _Run, claim: Claim, ingested: Ingested) -> Manifest:
    """The mix is accepted: put the reference in place and mark the folder as being worked on."""
    song, previous = run.song, claim.previous
    if previous is not None and not claim.resumes:  # an unfinished run with other settings
        remove_own_files(song.root, previous, keep={ingested.original.file})
    manifest = Manifest(
        name=run.name,
        daw_bridge=__version__,
        state="building",
        request=run.request,
        original=ingested.original,
        reference=ingested.reference,
        sessions=previous.sessions if previous is not None else (),
    )
    song.unchecked_reference.replace(song.reference)
    write_manifest(song.root, manifest)
    return manifest


def _needed_bytes(run: _Run) -> int:
    """What the run writes at most: the copy, the reference, all stems and the residual, once more while working."""
    samples = run.info.length_samples or 0
    one_file = samples * min(run.info.channels, 2) * BYTES_PER_SAMPLE
    return run.mix.stat().st_size + one_file * (2 + 2 * len(run.model.stems))
