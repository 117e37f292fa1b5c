"""A mix into a copy of a session that exists: separate as always, then let the adapter merge the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.adapter import AT_THE_START, MergePlace, SessionMerger, WriteReport
from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import OutputError, UsageError
from daw_bridge.plan import make_plan
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress
from daw_bridge.registry import load_adapter
from daw_bridge.templates.bus_template import BusTemplate
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.finished import finished_song
from daw_bridge.workflow.options import BuildResult
from daw_bridge.workflow.sessions import choose_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Into:
    """The session that is added to, and the new one. The first one is never written."""

    session: Path
    target: Path
    place: MergePlace = AT_THE_START


def build_into(
    mix: Path | str,
    into: Into,
    options: BuildOptions | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> BuildResult:
    """As `build`, with the tracks in `into.target`, a copy of `into.session`. The song folder holds the audio.

    The folder of a song that was built with these options already is used as it is: nothing is separated again. A
    session or place that cannot be used, or a target that exists, is told before anything is separated.
    """
    options = options or BuildOptions()
    if len(options.daws) != 1:
        raise UsageError("`into` adds to a session of one DAW; give one (`daws`)")
    adapter = load_adapter(options.daws[0])
    if not isinstance(adapter, SessionMerger):
        raise UsageError(f"`into`: sessions of {adapter.title} cannot be added to; use `daws` reaper")
    if into.target.exists():
        raise OutputError(f"{into.target}: exists already; give another name (`output`)")
    adapter.check_merge(into.session, into.target, into.place)
    choice = choose_template(options.template)
    options = replace(options, daws=())
    made = finished_song(Path(mix), options)
    if made is not None:
        result = BuildResult(folder=made.folder, manifest=made.manifest, reports=(), elapsed_s=0.0)
    else:
        result = build(mix, options, on_progress=on_progress, cancel=cancel)
    return replace(result, reports=(_merge(adapter, result, into, choice.template),))


def _merge(adapter: SessionMerger, result: BuildResult, into: Into, template: BusTemplate) -> WriteReport:
    plan = make_plan(
        result.manifest.stem_set(result.folder),
        template,
        name=result.manifest.name,
        music=result.manifest.music,
        folder=result.folder,
    )
    return adapter.merge(plan, into.session, into.target, into.place)
