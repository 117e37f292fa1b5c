"""The job queue on disk. A job that was accepted is never lost: kill -9 of the daemon at any moment leaves it queued or
running, and a job found running at start is queued again (the workflow itself continues where it stopped).

SQLite in WAL mode with one connection that holds the file for itself, so a second daemon on the same queue is refused.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from daw_bridge.errors import Busy, OutputError

SCHEMA_VERSION = 1
MAX_QUEUED = 1000
MAX_ATTEMPTS = 3
"""How often a job may take the whole daemon down with it before it counts as failed."""

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    arguments TEXT NOT NULL,
    request_id TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'queued',
    percent REAL NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    created_s REAL NOT NULL,
    ended_s REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id);
CREATE TABLE IF NOT EXISTS selections (
    choice TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    started_with TEXT NOT NULL
);
"""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row. `detail` is the session path of a done job, the reason of a failed one."""

    number: int
    command: str
    arguments: Mapping[str, str]
    request_id: str
    state: JobState
    percent: float
    detail: str
    attempts: int
    created_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSelection:
    """What a surface selected, and what the daemon had been started with then."""

    value: str
    started_with: str


class JobStore:
    """The queue. Not thread-safe: the daemon's loop owns it. Raises Busy when another daemon holds the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None, timeout=0.5)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("BEGIN EXCLUSIVE")
        version = int(self._database.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, SCHEMA_VERSION):
            raise OutputError(f"{self._path}: a queue of version {version}; this daw-bridge reads {SCHEMA_VERSION}")
        for statement in _SCHEMA.split(";"):
            self._database.execute(statement)
        self._database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._database.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as exc:
            if "locked" in str(exc):
                raise Busy(f"{self._path}: another daw-bridge daemon runs with this queue; stop it first") from exc
            raise OutputError(f"{self._path}: the job queue cannot be used ({exc})") from exc
        except sqlite3.DatabaseError as exc:
            raise OutputError(f"{self._path}: the job queue is damaged ({exc}); move the file away") from exc
        except OSError as exc:
            raise OutputError(f"{self._path}: the job queue cannot be made ({exc.strerror or exc})") from exc

    def close(self) -> None:
        self._database.close()

    def add(self, command: str, arguments: Mapping[str, str], request_id: str = "") -> Job:
        """Queue a job; it is on disk when this returns. Raises Busy when the queue is full."""
        with self._errors():
            waiting = self._database.execute("SELECT COUNT(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= MAX_QUEUED:
                raise Busy(f"{MAX_QUEUED} jobs are waiting; cancel some first")
            cursor = self._database.execute(
                "INSERT INTO jobs (command, arguments, request_id, created_s) VALUES (?, ?, ?, ?)",
                (command, json.dumps(dict(arguments)), request_id, time.time()),
            )
            job = self.get(int(cursor.lastrowid or 0))
        assert job is not None  # noqa: S101  # just inserted by this only connection
        return job

    def get(self, number: int) -> Job | None:
        """The job, or None."""
        rows = self._select("WHERE id = ?", (number,))
        return rows[0] if rows else None

    def recent(self, limit: int = 20) -> list[Job]:
        """Newest first."""
        return self._select("ORDER BY id DESC LIMIT ?", (limit,))

    def next_queued(self) -> Job | None:
        """The oldest job that waits."""
        rows = self._select("WHERE state = 'queued' ORDER BY id LIMIT 1", ())
        return rows[0] if rows else None

    def start(self, job: Job) -> Job:
        """Mark it running and count the attempt."""
        return self._update(job.number, "state = 'running', attempts = attempts + 1", ())

    def requeue(self, job: Job) -> Job:
        """Back into the queue without counting the attempt (its folder was busy)."""
        return self._update(job.number, "state = 'queued', attempts = attempts - 1", ())

    def note_percent(self, number: int, percent: float) -> None:
        """Remember how far a running job is."""
        self._update(number, "percent = ?", (percent,))

    def finish(self, job: Job, state: JobState, detail: str) -> Job:
        """Into a final state."""
        percent = 100.0 if state is JobState.DONE else job.percent
        return self._update(
            job.number, "state = ?, detail = ?, percent = ?, ended_s = ?", (state.value, detail, percent, time.time())
        )

    def recover(self) -> list[Job]:
        """At start: what was running when the last daemon died is queued again; what died too often has failed."""
        for job in self._select("WHERE state = 'running'", ()):
            if job.attempts >= MAX_ATTEMPTS:
                self.finish(job, JobState.FAILED, f"was interrupted {job.attempts} times; add it again to insist")
            else:
                self._update(job.number, "state = 'queued'", ())
        return self._select("WHERE state = 'queued' ORDER BY id", ())

    def prune(self, keep: int = 1000) -> None:
        """Forget the oldest ended jobs beyond `keep`."""
        with self._errors():
            self._database.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND id NOT IN "
                "(SELECT id FROM jobs ORDER BY id DESC LIMIT ?)",
                (keep,),
            )

    def selection(self, choice: str) -> KeptSelection | None:
        """What was selected last, None when nothing ever was."""
        with self._errors():
            row = self._database.execute(
                "SELECT value, started_with FROM selections WHERE choice = ?", (choice,)
            ).fetchone()
        return None if row is None else KeptSelection(value=str(row[0]), started_with=str(row[1]))

    def keep_selection(self, choice: str, value: str, started_with: str) -> None:
        """Remember it beyond a restart."""
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO selections VALUES (?, ?, ?)", (choice, value, started_with))

    def _update(self, number: int, change: str, values: tuple[object, ...]) -> Job:
        with self._errors():
            # `change` is one of the constant texts above, never a value from outside.
            self._database.execute(f"UPDATE jobs SET {change} WHERE id = ?", (*values, number))  # noqa: S608
        job = self.get(number)
        if job is None:
            raise OutputError(f"{self._path}: job {number} is gone")
        return job

    def _select(self, rest: str, values: tuple[object, ...]) -> list[Job]:
        columns = "id, command, arguments, request_id, state, percent, detail, attempts, created_s, ended_s"
        with self._errors():
            rows = self._database.execute(f"SELECT {columns} FROM jobs {rest}", values).fetchall()  # noqa: S608
        return [job for row in rows if (job := self._readable(row)) is not None]

    def _readable(self, row: tuple[Any, ...]) -> Job | None:
        """The job of a row. One that cannot be read counts as failed from here on and stops nothing."""
        try:
            return _job_of(row)
        except (ValueError, TypeError, AttributeError, RecursionError):
            _log.warning("%s: row %r cannot be read and counts as failed", self._path, row[0])
            mended = "UPDATE jobs SET state = 'failed', arguments = '{}', detail = ?, percent = 0, attempts = 0, "
            mended += "created_s = 0, ended_s = 0, command = 'build' WHERE id = ?"
            self._database.execute(mended, ("its row in the queue was damaged; add it again", row[0]))
            return None


def _job_of(row: tuple[Any, ...]) -> Job:
    number, command, arguments, request_id, state, percent, detail, attempts, created_s, ended_s = row
    return Job(
        number=int(number),
        command=str(command),
        arguments={str(key): str(value) for key, value in json.loads(arguments).items()},
        request_id=str(request_id),
        state=JobState(state),
        percent=float(percent),
        detail=str(detail),
        attempts=int(attempts),
        created_s=float(created_s),
        ended_s=float(ended_s),
    )
