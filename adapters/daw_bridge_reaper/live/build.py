"""One build in the open project: one hold, one undo step; whatever fails, the project is as it was before."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import DawBridgeError, DawError, DawUnreachable
from daw_bridge_reaper.live.api import Project, ReaScript, ReaScriptError
from daw_bridge_reaper.live.place import Placer
from daw_bridge_reaper.live.readback import differences, read_tracks
from daw_bridge_reaper.session import ReaperProject

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "reaper-live.daw-bridge")
UNDO_ALL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was made: in which project (empty path: never saved), how many tracks, what REAPER answered otherwise."""

    project_path: str
    tracks: int
    updated: bool
    limits: tuple[Limit, ...]


def session_id(name: str) -> str:
    """What marks the tracks of a session; the same name finds them again."""
    return str(uuid.uuid5(_NAMESPACE, name))


def build(
    script: ReaScript, layout: ReaperProject, name: str, *, keep: Callable[[Built], None] = lambda _built: None
) -> Built:
    """Make or update the session `name` in the open project.

    `keep` runs as the last step before the undo step is closed; when it raises, everything is rolled back as well.
    Raises DawError with the step that failed, DawUnreachable when REAPER is gone.
    """
    with script.hold():
        placer = Placer(Project(script), layout, session_id(name))
        with _named_errors(placer):
            updated = bool(placer.find() or placer.outdated)
            note = f"session {name}"[:60]
            with _kept_ext_state(placer.project, note), undo_step(placer.project, f"daw-bridge: {name}"):
                placer.place()
                placer.step = "reading the tracks back"
                found = read_tracks(placer.project, placer.tracks)
                limits = (
                    *placer.limits,
                    *differences(placer.layout.tracks, found),
                    *_other_settings(placer.project, layout),
                )
                placer.step = "noting the session in the project"
                placer.project.require_same()
                built = Built(
                    project_path=placer.project.path, tracks=len(placer.tracks), updated=updated, limits=limits
                )
                placer.project.set_ext_state(note, placer.session_id)
                keep(built)
                placer.step = "closing the undo step"
    return built


@contextmanager
def _named_errors(placer: Placer) -> Iterator[None]:
    try:
        yield
    except DawUnreachable:
        raise
    except ReaScriptError as exc:
        raise DawError(f"{placer.step}: {exc}; the project is as it was before") from exc


@contextmanager
def undo_step(project: Project, title: str) -> Iterator[None]:
    """One undo step with the screen held still; undone again when the block raises."""
    project.call("Undo_BeginBlock2", project.id)
    held = False
    try:
        project.call("PreventUIRefresh", 1)
        held = True
        yield
        project.call("PreventUIRefresh", -1)
        held = False
        project.call("TrackList_AdjustWindows", False)
        project.call("UpdateArrange")
        project.call("Undo_EndBlock2", project.id, title, UNDO_ALL)
    except DawUnreachable:
        raise
    except BaseException as exc:
        _roll_back(project, held=held, reason=exc)
        raise


def _roll_back(project: Project, *, held: bool, reason: BaseException) -> None:
    """Close the step under a name of its own, and undo it when REAPER says that it is the last one."""
    title = f"daw-bridge: failed {uuid.uuid4().hex[:8]}"
    try:
        if held:
            project.call("PreventUIRefresh", -1)
        project.call("Undo_EndBlock2", project.id, title, UNDO_ALL)
        if project.call("Undo_CanUndo2", project.id) == title:
            project.call("Undo_DoUndo2", project.id)
        project.call("TrackList_AdjustWindows", False)
        project.call("UpdateArrange")
    except DawBridgeError as exc:
        raise DawError(
            f"{reason}; taking it back failed too ({exc}): choose Edit > Undo in REAPER until the tracks are gone"
        ) from reason


@contextmanager
def _kept_ext_state(project: Project, key: str) -> Iterator[None]:
    """Take a note in the project back when the block raises: REAPER's undo does not cover these notes."""
    before = project.ext_state(key)
    try:
        yield
    except DawUnreachable:
        raise
    except BaseException:
        project.set_ext_state(key, before)
        raise


def _other_settings(project: Project, layout: ReaperProject) -> list[Limit]:
    """What belongs to the project and stays the user's: tempo and rate."""
    notes = Losses("project")
    _, tempo_bpm, beats = project.call("GetProjectTimeSignature2", project.id, 0.0, 0.0)
    if float(tempo_bpm) != layout.tempo_bpm or float(beats) != layout.time_signature[0]:
        notes.bent(Feature.TEMPO, f"the open project keeps its tempo of {float(tempo_bpm):g} bpm")
    rate_hz = float(project.call("GetSetProjectInfo", project.id, "PROJECT_SRATE", 0.0, False))
    if rate_hz and rate_hz != layout.sample_rate_hz:
        notes.bent(
            Feature.CLIPS,
            f"the open project runs at {rate_hz:g} Hz, the stems have {layout.sample_rate_hz} Hz: they null at theirs",
        )
    return notes.limits
