"""From stems and a template to sessions: plan once, then let each DAW's adapter write it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.adapter import Reachable, SessionAdapter, WriteReport
from daw_bridge.archive import free_session_name
from daw_bridge.bus_template import BusTemplate, read_template
from daw_bridge.files import PART_SUFFIX, confined, output_errors, sha256_of_file
from daw_bridge.manifest import Manifest, SessionRecord
from daw_bridge.model import SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.plan_json import plan_to_json
from daw_bridge.registry import load_adapter
from daw_bridge.template_store import find_template


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """A parsed template, how the user named it, and the sha256 of its file."""

    template: BusTemplate
    given: str
    sha256: str


def choose_template(name: str) -> TemplateChoice:
    """Find and parse a template by name or path; TemplateError otherwise."""
    path = find_template(name)
    return TemplateChoice(template=read_template(path), given=name, sha256=sha256_of_file(path))


def load_adapters(names: Sequence[str]) -> list[SessionAdapter]:
    """One adapter per distinct name, in order.

    Raises AdapterMissing for an unknown one, DawUnreachable when its DAW has to run and does not.
    """
    adapters = [load_adapter(name) for name in dict.fromkeys(names)]
    for adapter in adapters:
        if isinstance(adapter, Reachable):
            adapter.require_reachable()
    return adapters


def write_sessions(
    folder: Path, manifest: Manifest, choice: TemplateChoice, adapters: Sequence[SessionAdapter]
) -> tuple[Manifest, tuple[WriteReport, ...]]:
    """Write one session per adapter; the manifest with the new records.

    A session that we wrote and nobody changed since is replaced; one that the user has changed stays, and the new one
    gets the next free name.
    """
    plan = make_plan(manifest.stem_set(folder), choice.template, name=manifest.name)
    records = list(manifest.sessions)
    reports = []
    for adapter in adapters:
        with _unchanged_aside(folder, records, adapter) as kept:
            report = write_under_free_name(adapter, plan, folder)
        records = kept
        reports.append(report)
        records.append(_record(folder, plan, choice, report))
    return replace(manifest, sessions=tuple(records)), tuple(reports)


def write_under_free_name(adapter: SessionAdapter, plan: SessionPlan, folder: Path) -> WriteReport:
    """Write the plan under its own name, or with a number behind it where that is taken."""

    def taken(name: str) -> bool:
        return adapter.session_path(folder, name).exists()

    return adapter.write(plan, folder, free_session_name(plan.name, taken))


@contextmanager
def _unchanged_aside(
    folder: Path, records: list[SessionRecord], adapter: SessionAdapter
) -> Iterator[list[SessionRecord]]:
    """Make room for a new session; the records that stay.

    This adapter's sessions that are still as we wrote them go when the block ends well, and are back when it does
    not. Records of sessions that are gone are dropped.
    """
    kept, aside = [], []
    for record in records:
        path = confined(folder, record.file)
        if record.adapter != adapter.name:
            kept.append(record)
        elif path.is_file() and record.sha256 and sha256_of_file(path) == record.sha256:
            aside.append((path, path.with_name(f"{path.name[:80]}.{secrets.token_hex(4)}{PART_SUFFIX}")))
        elif path.exists():
            kept.append(record)
    with output_errors(folder):
        for path, other in aside:
            path.rename(other)
    try:
        yield kept
    except BaseException:
        for path, other in aside:
            if not path.exists():
                other.rename(path)
        raise
    for _path, other in aside:
        other.unlink(missing_ok=True)


def _record(folder: Path, plan: SessionPlan, choice: TemplateChoice, report: WriteReport) -> SessionRecord:
    path = report.session_path
    return SessionRecord(
        adapter=report.adapter,
        file=path.relative_to(folder).as_posix(),
        files=tuple(file.relative_to(folder).as_posix() for file in report.files),
        sha256=sha256_of_file(path) if path.is_file() else "",
        template=choice.given,
        template_sha256=choice.sha256,
        plan=plan_to_json(plan, folder),
        limits=tuple(f"{limit.where}: {limit.feature}: {limit.what}" for limit in report.limits),
    )
