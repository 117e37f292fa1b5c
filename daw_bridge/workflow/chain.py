"""The way of the data, step by step: check, archive, decode, separate, plan, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daw_bridge.adapter import SessionAdapter, WriteReport
from daw_bridge.archive import (
    Claim,
    SongFolder,
    claimed_folder,
    folder_lock,
    remove_leftovers,
    require_disk_space,
    unfinished,
)
from daw_bridge.audio import guarded
from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.reader import probe
from daw_bridge.audio.writer import SUFFIXES
from daw_bridge.build_options import BuildOptions
from daw_bridge.cache import StemCache
from daw_bridge.errors import DawBridgeError, GuardRefused, InputError
from daw_bridge.files import confined, output_errors, safe_name, sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest, write_manifest
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.disk.work_folder import remove_work_folders
from daw_bridge.separation.families.family import LoadModel
from daw_bridge.separation.families.loader import import_ahead, load
from daw_bridge.separation.guard import refuse_provenance, refuse_stem_sound
from daw_bridge.separation.options import request_settings
from daw_bridge.separation.recipe import Recipe, read_recipe, weights_of
from daw_bridge.song import Song, open_song, song_of
from daw_bridge.spelling import as_on_disk
from daw_bridge.takeover import STAGING, own_hashes, require_free, settle, take_over
from daw_bridge.version import __version__
from daw_bridge.workflow.ingest import Ingested, archived_path, ingest, ingest_part
from daw_bridge.workflow.music import check_wish, music_wish, with_music
from daw_bridge.workflow.options import BuildResult
from daw_bridge.workflow.sessions import TemplateChoice, choose_template, load_adapters, write_sessions
from daw_bridge.workflow.stems import make_stems, stems_key
from daw_bridge.workflow.window import Context, Decoding, Window, decode_context, remove_context, window_of

SONG_FOLDER_SUFFIX = ".session"
BYTES_PER_SAMPLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One build on its way through the steps."""

    mix: Path
    info: AudioInfo
    options: BuildOptions
    recipe: Recipe
    weights_sha256: str
    name: str
    song: SongFolder
    request: dict[str, Any]
    window: Window | None
    load_model: LoadModel
    source: str
    on_progress: OnProgress
    cancel: CancelToken


def separate(
    mix: Path | str,
    options: BuildOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    load_model: LoadModel = load,
    source: str = "",
) -> BuildResult:
    """A song folder with the archived mix, the reference and the stems, and no DAW session.

    `rebuild` makes a session of it later. Everything else as `build`.
    """
    options = replace(options or BuildOptions(), daws=())
    return build(mix, options, on_progress=on_progress, cancel=cancel, load_model=load_model, source=source)


def build(
    mix: Path | str,
    options: BuildOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    load_model: LoadModel = load,
    source: str = "",
) -> BuildResult:
    """A song folder with stems, archived mix and one session for each of `options.daws`.

    `load_model` may be a `ModelKeeper`, to load once for many songs. `source` is what the manifest calls the place that
    the mix came from, where `mix` is only a copy of it (an address in a store, say). Interrupted, the same call
    continues it and gives the same samples. Raises InputError, OutputError, TemplateError, ModelError, GuardRefused,
    DeviceError, DawError, Busy, Cancelled; whatever is wrong with the request or the mix is raised before anything is
    left on the disk.
    """
    started = time.monotonic()
    mix, options, cancel = as_on_disk(Path(mix)), options or BuildOptions(), cancel or CancelToken()
    choice = choose_template(options.template)
    adapters = load_adapters(options.daws)
    info = guarded.probe(mix, accept_damaged=options.accept_damaged)
    wish = music_wish(options, choice.template)
    check_wish(wish, info.length_samples / info.sample_rate_hz if info.length_samples else None)
    _refuse_own_stems(mix, options)
    recipe = read_recipe(options)
    digest = weights_of(options, on_progress)
    root = song_folder(mix, options)
    name = safe_name(options.name or mix.stem)
    run = _Run(
        mix=mix,
        info=info,
        options=options,
        recipe=recipe,
        weights_sha256=digest,
        name=name,
        song=SongFolder(root / STAGING, name.replace(" ", "_")),
        request=request_of(mix, options, digest),
        window=window_of(options.range_s, mix) if options.range_s is not None else None,
        load_model=load_model,
        source=source,
        on_progress=on_progress,
        cancel=cancel,
    )
    with folder_lock(root), claimed_folder(root, run.request, force=options.force, mix=mix) as claim:
        require_disk_space(root, _needed_bytes(run))
        manifest = _with_audio(run, claim)
        remove_work_folders(root / "audio")
        manifest = with_music(root, manifest, wish, _cache_entry(run, manifest))
        on_progress(Progress(stage="build", done=0, total=1))
        manifest, reports = _with_sessions(root, manifest, choice, adapters)
        on_progress(Progress(stage="build", done=1, total=1))
    elapsed_s = time.monotonic() - started
    return BuildResult(folder=root, manifest=manifest, reports=reports, elapsed_s=elapsed_s)


def song_folder(mix: Path, options: BuildOptions) -> Path:
    """Where the song of a mix lies: the folder of the options, else one beside the mix."""
    return options.output or mix.with_name(f"{safe_name(mix.stem)}{SONG_FOLDER_SUFFIX}")


def rebuild(
    folder: Path | str,
    *,
    template: str | None = None,
    daws: tuple[str, ...] | None = None,
    music: BuildOptions | None = None,
    on_progress: OnProgress = ignore_progress,
) -> BuildResult:
    """New sessions from the stems of a finished song folder: no model, no network, no audio is touched.

    `template` and `daws` default to those of the folder's last sessions. A session that was changed since we wrote it
    stays, and the new one gets another name. Of `music` only what it says of tempo and click counts; without it
    the song's music stays as it was heard.
    """
    started = time.monotonic()
    folder = Path(folder)
    open_song(folder)  # what is none is told before anything is locked or touched
    with folder_lock(folder):
        settle(folder)
        song = song_of(folder, read_manifest(folder))
        last = song.sessions
        choice = choose_template(template or (last[-1].template if last else BuildOptions().template))
        remove_leftovers(folder)
        unfinished(folder)
        names = daws or tuple(dict.fromkeys(record.adapter for record in last)) or BuildOptions().daws
        _require_whole(song)
        manifest = song.manifest
        if music is not None or manifest.music is None:
            manifest = with_music(folder, manifest, music_wish(music or BuildOptions(), choice.template))
        on_progress(Progress(stage="build", done=0, total=1))
        manifest, reports = write_sessions(folder, manifest, choice, load_adapters(names))
        on_progress(Progress(stage="build", done=1, total=1))
    return BuildResult(folder=folder, manifest=manifest, reports=reports, elapsed_s=time.monotonic() - started)


def _cache_entry(run: _Run, manifest: Manifest) -> tuple[StemCache, str] | None:
    """Where these stems lie in the cache, if it is used: what was heard is kept beside them."""
    if not run.options.use_cache or manifest.reference is None:
        return None
    return StemCache(), stems_key(manifest.reference, run.options, run.weights_sha256)


def _require_whole(song: Song) -> None:
    """InputError when a stem or the reference is gone, or is no longer of the rate, channels and length it had."""
    ref, stems = song.reference, song.stem_set()
    for stem in (stems.reference, *stems.stems):
        found = probe(stem.path)
        now = (found.sample_rate_hz, found.channels, found.length_samples)
        if now != (ref.sample_rate_hz, ref.channels, ref.length_samples):
            raise InputError(
                f"{stem.path}: has {now[2]} samples of {now[1]} channel(s) at {now[0]} Hz, the song has "
                f"{ref.length_samples} of {ref.channels} at {ref.sample_rate_hz} Hz; build the mix again with `force`"
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
                f"Give the mix, or insist with `allow_stems`"
            )


def request_of(mix: Path, options: BuildOptions, digest: str) -> dict[str, Any]:
    """What makes two runs the same run: the mix's bytes and everything that influences the samples."""
    return {"mix_sha256": sha256_of_file(mix), "weights_sha256": digest, **request_settings(options)}


def _with_audio(run: _Run, claim: Claim) -> Manifest:
    """The manifest of the claimed folder once it holds archive, reference and stems, in place of those it held."""
    root, previous = claim.root, claim.previous
    if claim.has_stems and previous is not None and _is_whole(root, previous):
        return previous  # a run that was killed between its stems and its last session
    require_free(root, _files_to_be(run), previous)
    if previous is None:
        write_manifest(root, Manifest(name=run.name, daw_bridge=__version__, state="building", request=run.request))
    made = _with_stems(run, claim)
    manifest = replace(made, sessions=previous.sessions if previous else ())
    for note in take_over(root, previous, manifest):
        run.on_progress(Progress(stage="build", done=0, total=1, note=note))
    return manifest


def _is_whole(root: Path, manifest: Manifest) -> bool:
    """Whether every file that the manifest lists is there as it was made."""
    return all(
        confined(root, file).is_file() and sha256_of_file(confined(root, file)) == digest
        for file, digest in own_hashes(root, manifest).items()
    )


def _files_to_be(run: _Run) -> set[str]:
    """The files that this run may put into the song folder, as far as the model tells before it is loaded."""
    song, options = run.song, run.options
    names = {"residual", *run.recipe.stem_names}
    suffix = SUFFIXES[options.encoding]
    files = {song.audio_dir / f"{song.stem_prefix}{name}{suffix}" for name in names}
    return {song.relative(path) for path in (*files, song.reference, archived_path(song, run.mix))}


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
    """The manifest of the hidden folder once it holds the archive, the reference and the stems."""
    cache = StemCache() if run.options.use_cache else None
    left, context = claim.continued, None
    if left is not None and left.reference is not None:
        manifest, reference = left, left.reference
        if left.stems and _is_whole(claim.staging, left):
            return left  # killed before they were put in place
        if run.window is not None:
            context = _decoded(run, run.window)
    else:
        if cache is None:
            import_ahead(run.recipe.models[0])
        ingested = _ingested(run)
        context = ingested.context
        key = stems_key(ingested.reference, run.options, run.weights_sha256, context)
        if cache is not None and cache.find(key) is None:
            import_ahead(run.recipe.models[0])
        refuse_stem_sound(run.song.unchecked_reference, name=run.mix, allow=run.options.allow_stems)
        manifest = _begin(run, claim, ingested)
        reference = ingested.reference
    made = make_stems(
        run.song,
        reference,
        run.options,
        weights_sha256=run.weights_sha256,
        cache=cache,
        load_model=run.load_model,
        on_progress=_keeping(claim, run.on_progress),
        cancel=run.cancel,
        context=context,
    )
    if context is not None:
        remove_context(run.song)
    reference = replace(made.reference, sha256=sha256_of_file(run.song.reference))
    manifest = replace(manifest, stems=made.stems, separation=made.record, reference=reference)
    write_manifest(claim.staging, manifest)
    return manifest


def _ingested(run: _Run) -> Ingested:
    """The whole mix, archived, or the part that is asked for."""
    if run.window is not None:
        return ingest_part(
            run.mix,
            run.song,
            run.window,
            how=_decoding(run),
            on_progress=run.on_progress,
            cancel=run.cancel,
        )
    return ingest(
        run.mix,
        run.info,
        run.song,
        mix_sha256=run.request["mix_sha256"],
        channels=run.options.channels,
        gain_db=run.options.gain_db,
        accept_damaged=run.options.accept_damaged,
        on_progress=run.on_progress,
        cancel=run.cancel,
    )


def _decoded(run: _Run, window: Window) -> Context:
    """What surrounds the part, once more: a run that was cut off left its reference, but not this."""
    return decode_context(run.mix, run.song, window, _decoding(run), on_progress=run.on_progress, cancel=run.cancel)


def _decoding(run: _Run) -> Decoding:
    options = run.options
    return Decoding(channels=options.channels, gain_db=options.gain_db, accept_damaged=options.accept_damaged)


def _keeping(claim: Claim, on_progress: OnProgress) -> OnProgress:
    """The folder is worth keeping, for the next run to continue, once a first segment has been separated."""

    def listen(event: Progress) -> None:
        if event.stage == "separate" and event.done > 0:
            claim.keep()
        on_progress(event)

    return listen


def _begin(run: _Run, claim: Claim, ingested: Ingested) -> Manifest:
    """The mix is accepted: put the reference in place and mark the folder as being worked on."""
    original = ingested.original
    if original is not None and run.source:
        original = replace(original, source_path=run.source)
    manifest = Manifest(
        name=run.name,
        daw_bridge=__version__,
        state="building",
        request=run.request,
        original=original,
        reference=ingested.reference,
    )
    with output_errors(claim.root):
        run.song.unchecked_reference.replace(run.song.reference)
    write_manifest(claim.staging, manifest)
    previous = claim.previous
    if previous is not None and previous.state == "building" and not previous.stems:  # now it is another run's
        write_manifest(claim.root, replace(previous, name=run.name, daw_bridge=__version__, request=run.request))
    return manifest


def _needed_bytes(run: _Run) -> int:
    """What the run writes at most: the copy, the reference, all stems and the residual, once more while working."""
    samples = run.info.length_samples or 0
    if run.window is not None:
        around = run.window.lead_samples + run.window.tail_samples
        samples = 2 * (run.window.length_samples + around)
    one_file = samples * min(run.info.channels, 2) * BYTES_PER_SAMPLE
    work = one_file * (2 + 2 * len(run.recipe.stem_names) * len(run.recipe.models))
    return work if run.window is not None else run.mix.stat().st_size + work
