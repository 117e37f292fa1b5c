"""A song folder as sound, without a DAW: the mix as its template makes it, one bus alone, the original beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.adapter import PlanRenderer, RenderReport
from daw_bridge.archive import free_session_name
from daw_bridge.audio.loudness import measure
from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.provenance import read_provenance
from daw_bridge.errors import AdapterMissing, InputError, OutputError, UsageError
from daw_bridge.files import safe_name
from daw_bridge.manifest import MANIFEST_NAME
from daw_bridge.model import SessionPlan, find_bus
from daw_bridge.plan import make_plan
from daw_bridge.plan_json import plan_from_json
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress
from daw_bridge.registry import load_adapter
from daw_bridge.song import open_song
from daw_bridge.workflow.sessions import choose_template

RENDERER = "render"
RENDER_PROVENANCE = "daw-bridge render"
SUFFIX = ".wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What to render and where to.

    `output` is a .wav (default: in the song folder, named after song, template and bus). `template` takes another
    template than the session's, without building a session. `bus` is one bus or return alone, by name or
    label. `ab_reference` writes the original too, as loud as the render. `force` replaces an earlier render.
    """

    output: Path | None = None
    template: str | None = None
    bus: str | None = None
    ab_reference: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderResult:
    """`reference_gain_db` is what made the original as loud as the render; `difference_db` is the peak of the render
    minus the untouched original, None where they cannot be compared (one bus alone, mono against stereo).
    """

    plan: SessionPlan
    render: RenderReport
    reference: RenderReport | None = None
    reference_gain_db: float = 0.0
    difference_db: float | None = None


def render(
    session: Path | str,
    options: RenderOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> RenderResult:
    """Render the latest session of a song folder (or its stems through another template).

    `session` is the folder or a file directly in it. Raises InputError for a folder without stems or media that don't
    fit, UsageError for an unknown bus, TemplateError, OutputError when the output exists, Cancelled.
    """
    options = options or RenderOptions()
    folder = _song_folder(Path(session))
    plan = _plan(folder, options.template)
    if options.bus is not None:
        options = replace(options, bus=find_bus(options.bus, (*plan.buses, *plan.returns, plan.mix_bus)).name)
    target = _target(folder, plan, options)
    reference_target = target.with_name(f"{target.stem}.reference{SUFFIX}")
    _require_free(target, force=options.force)
    if options.ab_reference:
        _require_free(reference_target, force=options.force)
        if plan.reference is None or not plan.reference.clips:
            raise InputError(f"{folder}: this session has no reference track to compare with")
    renderer = _renderer()
    report = renderer.render(
        plan, target, bus=options.bus, overwrite=options.force, on_progress=on_progress, cancel=cancel
    )
    result = RenderResult(plan=plan, render=report)
    if not options.ab_reference or plan.reference is None:
        return result
    original = plan.reference.clips[0].path
    gain_db = _matching_gain_db(report.integrated_lufs, measure(original).integrated_lufs)
    reference = renderer.render(
        plan,
        reference_target,
        reference=True,
        gain_db=gain_db,
        overwrite=options.force,
        on_progress=on_progress,
        cancel=cancel,
    )
    comparable = options.bus is None and report.channels == plan.reference.clips[0].channels
    return replace(
        result,
        reference=reference,
        reference_gain_db=gain_db,
        difference_db=null_depth_db(original, [target]) if comparable else None,
    )


def _song_folder(path: Path) -> Path:
    return path.parent if path.is_file() and (path.parent / MANIFEST_NAME).is_file() else path


def _plan(folder: Path, template: str | None) -> SessionPlan:
    """The plan of the latest session, or a new one with `template`."""
    song = open_song(folder)
    if template is not None:
        stems, chosen = song.stem_set(), choose_template(template).template
        return make_plan(stems, chosen, name=song.name, music=song.manifest.music, folder=folder)
    if not song.sessions:
        raise InputError(f"{folder}: holds stems but no session; say which template to render with -t, as in -t band")
    return plan_from_json(song.sessions[-1].plan, folder)


def _target(folder: Path, plan: SessionPlan, options: RenderOptions) -> Path:
    if options.output is not None:
        if options.output.suffix.lower() != SUFFIX:
            raise UsageError(f"{options.output}: a render is a WAV file; give a name that ends in {SUFFIX}")
        return options.output
    parts = [plan.name, plan.template, *([options.bus] if options.bus else [])]
    wanted = safe_name(".".join(part for part in parts if part))

    def taken(name: str) -> bool:
        return (folder / f"{name}{SUFFIX}").exists() or (folder / f"{name}.reference{SUFFIX}").exists()

    return folder / f"{wanted if options.force else free_session_name(wanted, taken)}{SUFFIX}"


def _require_free(target: Path, *, force: bool) -> None:
    """Never over a file that is not a render of ours: not a stem, not a recording."""
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise OutputError(f"{target}: exists already; choose another name, or `force` to replace an earlier render")
    if target.is_symlink() or not (read_provenance(target) or "").startswith(RENDER_PROVENANCE):
        raise OutputError(f"{target}: was not made by 'daw-bridge render', so it is not replaced; choose another name")


def _renderer() -> PlanRenderer:
    adapter = load_adapter(RENDERER)
    if not isinstance(adapter, PlanRenderer):
        raise AdapterMissing(f"the adapter {RENDERER!r} cannot render; is a package of that name in the way?")
    return adapter


def _matching_gain_db(wanted_lufs: float, found_lufs: float) -> float:
    """What brings the original to the render's loudness; nothing when either is silent or too short to measure."""
    return wanted_lufs - found_lufs if math.isfinite(wanted_lufs) and math.isfinite(found_lufs) else 0.0
