"""The stems of a reference: from the cache when these samples were separated like this before, else separated now."""

from __future__ import annotations

import logging
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from daw_bridge.archive import SongFolder
from daw_bridge.audio.null import null_depth_db
from daw_bridge.cache import CacheDamaged, CacheEntry, StemCache
from daw_bridge.errors import WeightsCorrupt
from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import ReferenceFile, SeparationRecord, StemFile
from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.families.family import Loaded, LoadModel, Note
from daw_bridge.separation.model_info import Licence
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.recipe import read_recipe
from daw_bridge.separation.run import NULL_DEPTH_DB, SeparationResult, separation_key
from daw_bridge.separation.separate import separate
from daw_bridge.units import SILENCE_DB
from daw_bridge.version import __version__
from daw_bridge.workflow.ingest import with_loudness
from daw_bridge.workflow.window import Context, context_folder, cut_result

_log = logging.getLogger(__name__)

_STRICTNESS = (Licence.CLEAR, Licence.COPYLEFT, Licence.UNSTATED, Licence.NON_COMMERCIAL)
"""Of several models' licences the last of these counts."""


@dataclass(frozen=True, slots=True)
class MadeStems:
    """The stems, how they were made, and the reference with its loudness (measured once, then cached with them)."""

    stems: tuple[StemFile, ...]
    record: SeparationRecord
    reference: ReferenceFile


def stems_key(
    reference: ReferenceFile, options: SeparationOptions, weights_sha256: str, context: Context | None = None
) -> str:
    """Where the stems of this sound lie in the cache; of a part of a mix also what it was cut out of counts."""
    heard_sha256 = reference.audio_sha256
    if context is not None:
        window = context.window
        heard_sha256 = f"{context.decoded.audio_sha256} {window.lead_samples}+{window.length_samples}"
    return separation_key(heard_sha256, options, weights_sha256)


def make_stems(
    song: SongFolder,
    reference: ReferenceFile,
    options: SeparationOptions,
    *,
    weights_sha256: str,
    cache: StemCache | None,
    load_model: LoadModel,
    on_progress: OnProgress,
    cancel: CancelToken,
    context: Context | None = None,
) -> MadeStems:
    """Write the stems into `song.audio_dir`; with `context` they are cut out of those of the longer window."""
    key = stems_key(reference, options, weights_sha256, context)
    entry = cache.find(key) if cache is not None else None
    if cache is not None and entry is not None:
        try:
            return _licensed(_from_cache(song, cache, entry, reference), options)
        except (CacheDamaged, KeyError, TypeError) as exc:
            _log.warning("the cached stems are made again: %s", exc)
            cache.drop(entry)
    plain = read_recipe(options).is_plain
    provenance = f"daw-bridge {__version__} model={options.model} weights={weights_sha256[:16]}"
    if context is not None:
        context_folder(song).mkdir(exist_ok=True)
    result = separate(
        song.reference if context is None else context.path,
        song.audio_dir if context is None else context_folder(song),
        options,
        prefix=song.stem_prefix,
        provenance=provenance,
        on_progress=on_progress,
        cancel=cancel,
        load_model=_same_weights(load_model, weights_sha256) if plain else load_model,
        reference_sha256=reference.audio_sha256 if context is None else context.decoded.audio_sha256,
    )
    if context is not None:
        result = cut_result(result, song, context.window, encoding=options.encoding, provenance=provenance)
    made = _licensed(_from_result(song, result, with_loudness(reference, song.reference)), options)
    if cache is not None:
        files = {f"{stem.name}{Path(stem.file).suffix}": song.root / stem.file for stem in made.stems}
        levels = {name: getattr(made.reference, name) for name in ("integrated_lufs", "true_peak_dbtp")}
        stems = [asdict(stem) for stem in made.stems]
        cache.store(key, files, {"stems": stems, "separation": asdict(made.record), "loudness": levels})
    return made


def _same_weights(load_model: LoadModel, weights_sha256: str) -> LoadModel:
    """`load_model`, held against the weights that the run began with: they are in its key and in the manifest."""

    def load_checked(options: SeparationOptions, note: Note) -> Loaded:
        loaded = load_model(options, note)
        if loaded.weights_sha256 != weights_sha256:
            raise WeightsCorrupt(
                f"the weights of {options.model} were replaced while this run went on (sha256 {weights_sha256[:8]}... "
                f"became {loaded.weights_sha256[:8]}...); nothing was separated with them, run it again"
            )
        return loaded

    return load_checked


def _from_result(song: SongFolder, result: SeparationResult, reference: ReferenceFile) -> MadeStems:
    stems = tuple(
        StemFile(
            name=stem.name,
            role=stem.role,
            file=song.relative(stem.path),
            sha256=sha256_of_file(stem.path),
            size_bytes=stem.path.stat().st_size,
        )
        for stem in result.stems.stems
    )
    record = SeparationRecord(
        model=result.model,
        weights_sha256=result.weights_sha256,
        settings=dict(result.settings),
        versions=_versions(),
        null_depth_db=round(result.null_depth_db, 2),
        residual_rms_db=round(result.residual_rms_db, 2),
        elapsed_s=round(result.elapsed_s, 3),
        from_cache=False,
        notes=tuple(result.notes),
    )
    return MadeStems(stems, record, reference)


def _from_cache(song: SongFolder, cache: StemCache, entry: CacheEntry, reference: ReferenceFile) -> MadeStems:
    stems = []
    song.audio_dir.mkdir(exist_ok=True)
    for cached in entry.record["stems"]:
        suffix = Path(cached["file"]).suffix
        target = song.audio_dir / f"{song.stem_prefix}{cached['name']}{suffix}"
        cache.fetch(entry, f"{cached['name']}{suffix}", target)
        stems.append(StemFile(**{**cached, "file": song.relative(target)}))
    kept: dict[str, Any] = entry.record["separation"]
    record = SeparationRecord(**{**kept, "from_cache": True, "notes": tuple(kept["notes"])})
    depth_db = max(SILENCE_DB, null_depth_db(song.reference, [song.root / stem.file for stem in stems]))
    if depth_db > NULL_DEPTH_DB >= record.null_depth_db:
        raise CacheDamaged(f"{entry.folder}: its stems null to {depth_db:.1f} dBFS only")
    record = replace(record, null_depth_db=round(depth_db, 2))
    return MadeStems(tuple(stems), record, replace(reference, **entry.record["loudness"]))


def _licensed(made: MadeStems, options: SeparationOptions) -> MadeStems:
    """With the licence of the weights as it is known today, also where the stems were cached before."""
    if options.weights is not None:
        text, kind, source = "weights of one's own", Licence.UNSTATED, str(options.weights)
    else:
        infos = read_recipe(options).models
        text = "; ".join(dict.fromkeys(info.licence for info in infos))
        kind = max((info.licence_class for info in infos), key=_STRICTNESS.index)
        source = "; ".join(dict.fromkeys(info.licence_source for info in infos if info.licence_source))
    record = replace(made.record, licence=text, licence_class=str(kind), licence_source=source)
    return replace(made, record=record)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "demucs", "numpy", "soxr", "soundfile", "av"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
