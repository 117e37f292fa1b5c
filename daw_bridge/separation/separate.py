"""From the options to stems, whatever they ask for: one model, an ensemble, and chains behind either.

One model is `separate_reference`. An ensemble and a chain are several such runs, each into a folder of its own that a
killed run leaves behind and the next one continues; only then the song's files are written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.writer import SUFFIXES, AudioWriter
from daw_bridge.errors import OutputError
from daw_bridge.files import output_errors, sha256_of_file, write_atomic
from daw_bridge.model import Stem, StemSet
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.catalog import model_info
from daw_bridge.separation.chain import Leaf, tree_as_json
from daw_bridge.separation.disk.residual import RESIDUAL
from daw_bridge.separation.disk.work_folder import PREFIX
from daw_bridge.separation.ensemble import CombinedStems, Ensemble, Estimates
from daw_bridge.separation.families import loader
from daw_bridge.separation.families.family import LoadModel
from daw_bridge.separation.families.store import combined_sha256
from daw_bridge.separation.licence import accepted
from daw_bridge.separation.options import SeparationOptions, file_settings, wanted_stems
from daw_bridge.separation.recipe import Recipe, options_for_model, read_recipe
from daw_bridge.separation.run import ALGORITHM, SeparationResult, separate_reference
from daw_bridge.units import SILENCE_DB

_DONE = "done.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kitchen:
    """What every step needs."""

    reference: Path
    work: Path
    recipe: Recipe
    prefix: str
    provenance: str
    on_progress: OnProgress
    cancel: CancelToken
    load_model: LoadModel
    reference_sha256: str


def separate(
    reference: Path,
    folder: Path,
    options: SeparationOptions,
    *,
    prefix: str = "",
    provenance: str = "",
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    load_model: LoadModel = loader.load,
    reference_sha256: str = "",
) -> SeparationResult:
    """`separate_reference` for all that the options can ask for: ensembles and chains too. Raises as it does."""
    recipe = read_recipe(options)
    common: dict[str, Any] = {"prefix": prefix, "provenance": provenance, "load_model": load_model}
    cancel = cancel or CancelToken()
    if recipe.is_plain:
        result = separate_reference(
            reference,
            folder,
            options,
            on_progress=on_progress,
            cancel=cancel,
            reference_sha256=reference_sha256,
            **common,
        )
        return replace(result, settings={**result.settings, **_licences(recipe)})
    started = time.monotonic()
    heard = reference_sha256 or sha256_of_file(reference)
    parts = {**file_settings(options), "algorithm": ALGORITHM, "reference": heard, "recipe": recipe.name}
    parts["by"] = provenance
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    kitchen = _Kitchen(
        reference=reference,
        work=folder / f"{PREFIX}recipe-{key}",
        recipe=recipe,
        on_progress=_Shares(on_progress, len(recipe.models) + (recipe.ensemble is not None)),
        cancel=cancel,
        reference_sha256=reference_sha256,
        **common,
    )
    with output_errors(kitchen.work):
        kitchen.work.mkdir(parents=True, exist_ok=True)
    result = _cooked(kitchen, folder)
    shutil.rmtree(kitchen.work, ignore_errors=True)
    notes = (*(recipe.ensemble.notes() if recipe.ensemble else ()), *result.notes)
    return replace(result, notes=tuple(dict.fromkeys(notes)), elapsed_s=time.monotonic() - started)


def _licences(recipe: Recipe) -> dict[str, Any]:
    """What the user has accepted, for the manifest."""
    texts = accepted()
    found = {info.name: texts[info.name] for info in recipe.models if info.asks_for_licence and info.name in texts}
    return {"licences_accepted": found} if found else {}


class _Shares:
    """Several runs as one: each step has an equal share of the whole, and what is shown never goes back."""

    def __init__(self, listener: OnProgress, steps: int) -> None:
        self._listener, self._steps, self._step = listener, max(1, steps), 0

    def next_step(self) -> None:
        self._step = min(self._steps - 1, self._step + 1)

    def __call__(self, event: Progress) -> None:
        if event.stage != "separate" or event.total <= 0:
            self._listener(event)
            return
        whole = self._steps * event.total
        self._listener(replace(event, done=self._step * event.total + event.done, total=whole))


def _cooked(kitchen: _Kitchen, folder: Path) -> SeparationResult:
    """The first separation, then each link on its parent, then the leaves under their names in the song."""
    recipe = kitchen.recipe
    if not recipe.tree.links:
        return _first(kitchen, folder, recipe.options, prefix=kitchen.prefix)
    root_options = replace(recipe.options, chain=(), encoding="float32")
    root = _first(kitchen, kitchen.work / "mix", root_options, prefix="")
    paths = {stem.name: stem.path for stem in root.stems.stems}
    made = {leaf: paths[leaf.made_as] for leaf in (*recipe.tree.leaves, *recipe.tree.parents) if leaf.link < 0}
    notes, models, digests = list(root.notes), [], [root.weights_sha256]
    for index, link in enumerate(recipe.tree.links):
        parent = recipe.tree.parents[index]
        stage = _staged(
            kitchen.work / f"{index:02}-{link.model}",
            lambda place, link=link, parent=parent: separate_reference(  # type: ignore[misc]
                made[parent],
                place,
                recipe.options_for(link),
                provenance=kitchen.provenance,
                on_progress=kitchen.on_progress,
                cancel=kitchen.cancel,
                load_model=kitchen.load_model,
            ),
        )
        _step_done(kitchen)
        for child in recipe.tree.children[index]:
            made[child] = stage.files[child.made_as]
        notes += stage.notes
        models.append({"model": link.model, "weights_sha256": stage.weights_sha256})
        digests.append(stage.weights_sha256)
    stems = _served(kitchen, folder, made, root.stems)
    depth_db = max(SILENCE_DB, null_depth_db(kitchen.reference, [stem.path for stem in stems.stems]))
    settings = {
        **root.settings,
        **file_settings(recipe.options),
        **_licences(recipe),
        "tree": tree_as_json(recipe.tree, root.model, models),
    }
    return replace(
        root,
        stems=stems,
        model=recipe.name,
        weights_sha256=combined_sha256(digests),
        settings=settings,
        null_depth_db=depth_db,
        notes=tuple(notes),
    )


def _step_done(kitchen: _Kitchen) -> None:
    if isinstance(kitchen.on_progress, _Shares):
        kitchen.on_progress.next_step()


def _first(kitchen: _Kitchen, folder: Path, options: SeparationOptions, *, prefix: str) -> SeparationResult:
    """The mix's own separation, by one model or by an ensemble."""
    recipe = kitchen.recipe
    common: dict[str, Any] = {
        "prefix": prefix,
        "provenance": kitchen.provenance,
        "on_progress": kitchen.on_progress,
        "cancel": kitchen.cancel,
        "reference_sha256": kitchen.reference_sha256,
    }
    if recipe.ensemble is None:
        result = separate_reference(kitchen.reference, folder, options, load_model=kitchen.load_model, **common)
        _step_done(kitchen)
        return result
    combined, stages = _combined(kitchen, recipe.ensemble)
    result = separate_reference(kitchen.reference, folder, options, separator=combined, **common)
    _step_done(kitchen)
    members = [
        {"model": member.model, "weight": member.weight, "stems": list(stems), "weights_sha256": stage.weights_sha256}
        for member, stems, stage in zip(recipe.ensemble.members, recipe.taken, stages, strict=True)
    ]
    return replace(
        result,
        model=recipe.name,
        weights_sha256=combined_sha256([stage.weights_sha256 for stage in stages]),
        settings={**result.settings, **_licences(recipe), "ensemble": {"way": recipe.ensemble.way, "members": members}},
        notes=(*(note for stage in stages for note in stage.notes), *result.notes),
    )


def _combined(kitchen: _Kitchen, ensemble: Ensemble) -> tuple[CombinedStems, list[_Stage]]:
    """Each member's stems of the whole mix in files, and how they become one."""
    recipe, stages, estimates = kitchen.recipe, [], dict[str, list[tuple[Path, float]]]()
    wanted = wanted_stems(recipe.options)
    for index, (member, stems) in enumerate(zip(ensemble.members, recipe.taken, strict=True)):
        kept = tuple(stem for stem in stems if wanted is None or stem in wanted)
        if not kept:
            stages.append(_Stage(files={}, weights_sha256="", notes=()))
            continue
        every = kept == model_info(member.model).stems
        options = options_for_model(recipe.options, member.model, None if every else kept, residual="none")
        stage = _staged(
            kitchen.work / f"member-{index:02}-{member.model}",
            lambda place, options=options: separate_reference(  # type: ignore[misc]
                kitchen.reference,
                place,
                options,
                on_progress=kitchen.on_progress,
                cancel=kitchen.cancel,
                load_model=kitchen.load_model,
                reference_sha256=kitchen.reference_sha256,
            ),
        )
        _step_done(kitchen)
        stages.append(stage)
        for stem in kept:
            estimates.setdefault(stem, []).append((stage.files[stem], member.weight))
    stems_in_order = {
        stem: Estimates(files=tuple(path for path, _ in found), weights=tuple(weight for _, weight in found))
        for stem, found in estimates.items()
    }
    digest = combined_sha256([stage.weights_sha256 for stage in stages])
    return CombinedStems(stems_in_order, ensemble.way, digest), stages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """One finished step: its files by the names that its model gives."""

    files: dict[str, Path]
    weights_sha256: str
    notes: tuple[str, ...]


def _staged(place: Path, run: Callable[[Path], SeparationResult]) -> _Stage:
    """A step's result; what an earlier, killed run has finished is not done again."""
    record = place / _DONE
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        files = {str(name): place / str(file) for name, file in found["files"].items()}
        if all(path.is_file() for path in files.values()):
            return _Stage(files=files, weights_sha256=str(found["weights_sha256"]), notes=tuple(found["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    with output_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    result = run(place)
    from daw_bridge.separation.engine.speed import return_free_memory

    return_free_memory()
    files = {stem.name: stem.path for stem in result.stems.stems}
    entry = {
        "files": {name: path.name for name, path in files.items()},
        "weights_sha256": result.weights_sha256,
        "notes": list(result.notes),
    }
    write_atomic(record, json.dumps(entry))
    return _Stage(files=files, weights_sha256=result.weights_sha256, notes=result.notes)


def _served(kitchen: _Kitchen, folder: Path, made: dict[Leaf, Path], roots: StemSet) -> StemSet:
    """The leaves as the song's files: all of them or none."""
    options, written = kitchen.recipe.options, []
    suffix = SUFFIXES[options.encoding]
    leaves = kitchen.recipe.tree.leaves
    whole = roots.reference
    try:
        for leaf in leaves:
            target = folder / f"{kitchen.prefix}{leaf.name}{suffix}"
            line = f"{kitchen.provenance or f'daw-bridge model={kitchen.recipe.name}'} stem={leaf.name}"
            _rewrite(made[leaf], target, options, line, kitchen.cancel)
            written.append(target)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    stems = [
        Stem(
            name=leaf.name,
            path=path,
            sample_rate_hz=whole.sample_rate_hz,
            channels=whole.channels,
            length_samples=whole.length_samples,
            role="residual" if leaf.link < 0 and leaf.name == RESIDUAL else "stem",
            parents=kitchen.recipe.tree.above(leaf),
        )
        for leaf, path in zip(leaves, written, strict=True)
    ]
    return StemSet(stems=tuple(stems), reference=replace(whole, path=kitchen.reference))


def _rewrite(source: Path, target: Path, options: SeparationOptions, line: str, cancel: CancelToken) -> None:
    """The same samples in the wanted encoding, with a line that says what they are."""
    with ExitStack() as scope:
        reader = scope.enter_context(open_audio(source))
        writer = scope.enter_context(
            AudioWriter(
                target,
                sample_rate_hz=reader.sample_rate_hz,
                channels=reader.channels,
                encoding=options.encoding,
                provenance=line,
            )
        )
        for block in reader.blocks():
            cancel.check()
            writer.write(block)
        if writer.clipped_samples:
            raise OutputError(
                f"{target.name}: is louder than {options.encoding} can hold without clipping; write float32"
            )
