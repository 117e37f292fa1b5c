"""From stems and a template to sessions: plan once, then let each DAW's adapter write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.adapter import Reachable, SessionAdapter, WriteReport
from daw_bridge.archive import free_session_name
from daw_bridge.errors import InputError
from daw_bridge.files import confined, output_errors, remove_path, sha256_of_file, write_atomic
from daw_bridge.manifest import MANIFEST_NAME, Manifest, SessionRecord, write_manifest
from daw_bridge.midi_file import free_midi_path, plan_to_midi
from daw_bridge.model import SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.plan_json import plan_to_json
from daw_bridge.registry import load_adapter
from daw_bridge.takeover import OWN_FOLDERS
from daw_bridge.templates.bus_template import BusTemplate, read_template
from daw_bridge.templates.store import find_template


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
    """Write one session per adapter, and after each the manifest; the manifest with the new records.

    A session that we wrote and nobody changed since is replaced; one that the user has changed stays, and the new one
    gets the next free name.
    """
    for record in manifest.sessions:
        _check_record(folder, record)
    _put_back(folder, manifest.sessions)
    plan = make_plan(
        manifest.stem_set(folder), choice.template, name=manifest.name, music=manifest.music, folder=folder
    )
    reports = []
    for adapter in adapters:
        with _unchanged_aside(folder, manifest.sessions, adapter) as kept:
            report = write_under_free_name(adapter, plan, folder)
            manifest = replace(manifest, sessions=(*kept, _record(folder, plan, choice, report)))
            write_manifest(folder, manifest)
        reports.append(report)
    if plan.note_tracks:
        _write_midi(folder, plan)
    if not adapters:
        write_manifest(folder, manifest)
    return manifest, tuple(reports)


def _write_midi(folder: Path, plan: SessionPlan) -> None:
    """The notes for every DAW, with the tempo map; another file of that name stays."""
    data = plan_to_midi(plan)
    path = free_midi_path(folder, plan.name, data)
    if not path.exists():
        write_atomic(path, data)


def write_under_free_name(adapter: SessionAdapter, plan: SessionPlan, folder: Path) -> WriteReport:
    """Write the plan under its own name, or with a number behind it where that is taken."""

    def taken(name: str) -> bool:
        return adapter.session_path(folder, name).exists()

    return adapter.write(plan, folder, free_session_name(plan.name, taken))


def _check_record(folder: Path, record: SessionRecord) -> None:
    """InputError for a record of what no session can be: a stranger's folder could have its stems deleted by one."""
    path = confined(folder, record.file)
    inside = path.parent == folder.resolve() and not path.name.startswith(".")
    if not inside or path.name in (*OWN_FOLDERS, MANIFEST_NAME):
        raise InputError(f"{folder / MANIFEST_NAME}: names {record.file!r} as a session, which it cannot be")


def _is_named_as_written(path: Path, adapter: SessionAdapter) -> bool:
    """Whether `path` is where the adapter puts a session of some name."""
    end = adapter.session_path(path.parent, "x").name.removeprefix("x")
    return len(path.name) > len(end) and path.name.endswith(end)


@contextmanager
def _unchanged_aside(
    folder: Path, records: Sequence[SessionRecord], adapter: SessionAdapter
) -> Iterator[list[SessionRecord]]:
    """Make room for a new session; the records that stay.

    This adapter's sessions that are still as we wrote them go when the block ends well, and are back when it does
    not (after a kill, at the next run). Records of sessions that are gone are dropped.
    """
    kept, aside = [], []
    for record in records:
        path = confined(folder, record.file)
        if record.adapter != adapter.name or not _is_named_as_written(path, adapter):
            kept.append(record)
        elif _is_as_written(folder, record):
            aside.append(path)
        elif path.exists():
            kept.append(record)
    with output_errors(folder):
        for path in aside:
            path.rename(_aside(path))
    try:
        yield kept
    except BaseException:
        for path in aside:
            if not path.exists():
                _aside(path).rename(path)
        raise
    for path in aside:
        remove_path(_aside(path))


def _aside(session: Path) -> Path:
    """Where a session waits while its successor is written."""
    return session.with_name(f".{session.name}.replaced")


def _put_back(folder: Path, records: Sequence[SessionRecord]) -> None:
    """Sessions that a killed run had set aside: back in their place, or gone where their successor is there."""
    for record in records:
        path = confined(folder, record.file)
        if not _aside(path).exists():
            continue
        with output_errors(path):
            if path.exists():
                remove_path(_aside(path))
            else:
                _aside(path).rename(path)


def _is_as_written(folder: Path, record: SessionRecord) -> bool:
    """Whether a session is still what we wrote: its file, and of a folder every file in it and none besides."""
    path = confined(folder, record.file)
    if not record.sha256 or not path.exists():
        return False
    if path.is_file():
        return sha256_of_file(path) == record.sha256
    inside = {file.relative_to(folder).as_posix() for file in path.rglob("*") if not file.is_dir()}
    return inside == set(record.files) and sha256_of_file(confined(folder, record.files[0])) == record.sha256


def _record(folder: Path, plan: SessionPlan, choice: TemplateChoice, report: WriteReport) -> SessionRecord:
    path = report.session_path
    opened = path if path.is_file() else report.files[0]  # of a session folder, the file that its DAW opens
    return SessionRecord(
        adapter=report.adapter,
        file=path.relative_to(folder).as_posix(),
        files=tuple(file.relative_to(folder).as_posix() for file in report.files),
        sha256=sha256_of_file(opened),
        template=choice.given,
        template_sha256=choice.sha256,
        plan=plan_to_json(plan, folder),
        limits=tuple(f"{limit.where}: {limit.feature}: {limit.what}" for limit in report.limits),
    )
