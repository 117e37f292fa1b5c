"""The REAPER adapter: a SessionPlan becomes a project file, without REAPER."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.adapter import (
    AT_THE_START,
    Check,
    Feature,
    Limit,
    MergePlace,
    ReadReport,
    Support,
    WriteReport,
)
from daw_bridge.errors import OutputError
from daw_bridge.files import write_atomic
from daw_bridge.model import SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.extract import plan_of
from daw_bridge_reaper.layout import Routing, lay_out
from daw_bridge_reaper.merge import check_place, mergeable, merged_document
from daw_bridge_reaper.session import ReaperProject
from daw_bridge_reaper.write import project_document

FEATURES: Mapping[Feature, Support] = {
    Feature.CLIPS: Support.EXACT,
    Feature.BUSES: Support.EXACT,
    Feature.NESTING: Support.EXACT,
    Feature.GAIN_PAN_MUTE_SOLO: Support.EXACT,
    Feature.SENDS: Support.EXACT,
    Feature.RETURNS: Support.EXACT,
    Feature.MIX_BUS: Support.EXACT,
    Feature.REFERENCE: Support.EXACT,
    Feature.EQUALIZER: Support.EXACT,
    Feature.COMPRESSOR: Support.EXACT,
    Feature.SIDECHAIN: Support.EXACT,
    Feature.GATE: Support.EXACT,
    Feature.LIMITER: Support.APPROXIMATED,
    Feature.GAIN: Support.EXACT,
    Feature.REVERB: Support.APPROXIMATED,
    Feature.DELAY: Support.EXACT,
    Feature.PLUGIN: Support.EXACT,
    Feature.COLOURS: Support.EXACT,
    Feature.GROUPS: Support.EXACT,
    Feature.MARKERS: Support.EXACT,
    Feature.TEMPO: Support.EXACT,
    Feature.NOTES: Support.EXACT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperAdapter:
    """Writes `<name>.rpp`; `routing` says whether buses are folders (REAPER's way) or sends."""

    name: str = "reaper"
    title: str = "REAPER"
    routing: Routing = Routing.FOLDERS

    @property
    def features(self) -> Mapping[Feature, Support]:
        return FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.rpp"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """See SessionAdapter.write."""
        target = self.session_path(folder, name)
        require_free(target)
        project, limits = lay_out(plan, lambda path: media_path(path, folder), self.routing, own_tempo=True)
        write_atomic(target, rpp.to_bytes(project_document(project, seed_of(plan, project))))
        return self._report(target, limits)

    def read_plan(self, session: Path) -> ReadReport:
        """See SessionReader.read_plan."""
        return plan_of(rpp.load_mixer(session), session.stem)

    def check_merge(self, session: Path, target: Path, place: MergePlace = AT_THE_START) -> None:
        """See SessionMerger.check_merge."""
        require_free(target)
        check_place(mergeable(session, target), place)

    def merge(self, plan: SessionPlan, session: Path, target: Path, place: MergePlace = AT_THE_START) -> WriteReport:
        """See SessionMerger.merge."""
        require_free(target)
        document, limits = merged_document(
            plan, session, target, lambda path: media_path(path, target.parent), self.routing, place
        )
        write_atomic(target, rpp.to_bytes(document))
        return self._report(target, limits)

    def doctor(self) -> list[Check]:
        """See Diagnosable.doctor. Sessions of sends need nothing of their own."""
        from daw_bridge_reaper.configure.doctor import examine

        return examine() if self.routing is Routing.FOLDERS else []

    def _report(self, target: Path, limits: tuple[Limit, ...]) -> WriteReport:
        return WriteReport(
            adapter=self.name,
            session_path=target,
            files=(target,),
            how_to_open=f"open {target.name} in REAPER (File > Open project)",
            limits=limits,
        )


def require_free(target: Path) -> None:
    """OutputError when something stands at `target` already."""
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target}: exists already; choose another name or folder")


def media_path(path: Path, folder: Path) -> str:
    """How a project in `folder` names a media file: relative with `/` where it lies below, absolute elsewhere."""
    absolute, base = path.absolute(), folder.absolute()
    if absolute.is_relative_to(base):
        return absolute.relative_to(base).as_posix()
    resolved, real_base = path.resolve(), folder.resolve()
    return resolved.relative_to(real_base).as_posix() if resolved.is_relative_to(real_base) else str(absolute)


def seed_of(plan: SessionPlan, project: ReaperProject) -> str:
    """A digest of everything that the project holds: the source of its GUIDs."""
    notes = "".join(repr(track.midi) for track in project.tracks if track.midi is not None)
    text = f"{plan.name}\n{plan.template}\n{project!r}{notes}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


ADAPTER = ReaperAdapter()
SEND_ADAPTER = ReaperAdapter(name="reaper-sends", title="REAPER, buses fed by sends", routing=Routing.SENDS)
