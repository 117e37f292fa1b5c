"""`--daw reaper-live`: the plan goes into the project that is open in REAPER."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from daw_bridge.adapter import Feature, ReadReport, Support, WriteReport
from daw_bridge.files import write_atomic
from daw_bridge.model import SessionPlan
from daw_bridge_reaper.adapter import FEATURES, require_free
from daw_bridge_reaper.extract import plan_of
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.live.api import Project, ReaScript
from daw_bridge_reaper.live.build import Built, build
from daw_bridge_reaper.live.connection import Connection
from daw_bridge_reaper.live.readback import open_document
from daw_bridge_reaper.live.session import ReaperLiveSession
from daw_bridge_reaper.settings import read_settings

Connect = Callable[[], AbstractContextManager[ReaScript]]


def connect_to_reaper() -> AbstractContextManager[ReaScript]:
    """The REAPER of the settings (this machine unless somebody chose another). Raises DawUnreachable."""
    return Connection(read_settings().address)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperLiveAdapter:
    """Builds in the open project; the session file is a receipt that says what was put where."""

    name: str = "reaper-live"
    title: str = "REAPER, the open project"
    connect: Connect = field(default=connect_to_reaper)

    @property
    def features(self) -> Mapping[Feature, Support]:
        # Tempo and rate stay those of the user's project.
        theirs = dict.fromkeys((Feature.TEMPO, Feature.NOTES), Support.NOT_POSSIBLE)
        return {**FEATURES, **theirs, Feature.PLUGIN: Support.APPROXIMATED}

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.live.json"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """See SessionAdapter.write. Raises DawUnreachable when no REAPER answers."""
        receipt = self.session_path(folder, name)
        require_free(receipt)
        layout, limits = lay_out(plan, lambda path: str(path.absolute()))

        def keep(built: Built) -> None:
            write_atomic(receipt, json.dumps(asdict(built) | {"session": plan.name}, indent=2, ensure_ascii=False))

        with self.connect() as script:
            try:
                built = build(script, layout, plan.name, keep=keep)
            except BaseException:
                receipt.unlink(missing_ok=True)
                raise
        where = built.project_path or "the unsaved project"
        return WriteReport(
            adapter=self.name,
            session_path=receipt,
            files=(receipt,),
            how_to_open=f"look at REAPER: {where} holds the session; one Undo takes it away",
            limits=(*limits, *built.limits),
        )

    def require_reachable(self) -> None:
        """See Reachable.require_reachable."""
        with self.connect() as script, script.hold():
            Project(script)

    def read_open_plan(self) -> ReadReport:
        """See OpenSessionReader.read_open_plan."""
        with self.connect() as script, script.hold():
            project = Project(script)
            name = Path(project.path).stem or "open project"
            document = open_document(project)
        return plan_of(document, name)

    def open_session(self) -> ReaperLiveSession:
        """See Connectable.open_session."""
        return ReaperLiveSession(self.connect())


LIVE_ADAPTER = ReaperLiveAdapter()
