"""What a batch has done so far, in a small SQLite file: a batch that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from daw_bridge.errors import OutputError
from daw_bridge.files import output_errors
from daw_bridge.paths import user_cache_dir

SCHEMA = """
create table if not exists songs (
    mix text primary key,
    size_bytes integer not null,
    modified_ns integer not null,
    state text not null check (state in ('done', 'failed')),
    folder text not null default '',
    error text not null default '',
    elapsed_s real not null default 0
)
"""


class Known:
    """The finished songs of a ledger at one time."""

    def __init__(self, rows: dict[str, tuple[int, int, str]]) -> None:
        self._rows = rows

    def folder_of(self, mix: Path) -> Path | None:
        """As `Ledger.folder_of`; None for a mix that is not there."""
        row = self._rows.get(str(mix.resolve())) if self._rows else None
        if row is None:
            return None
        try:
            status = mix.stat()
        except OSError:
            return None
        same = (status.st_size, status.st_mtime_ns) == row[:2]
        return Path(row[2]) if same and Path(row[2]).is_dir() else None


class Ledger:
    """One row per song that was finished or failed. Safe between the threads of one process."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; OutputError when it cannot be used."""
        self.path = path
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._run(SCHEMA)

    def folder_of(self, mix: Path) -> Path | None:
        """The song folder that was made of this very file (by size and time); None where none is known or there."""
        status = mix.stat()
        rows = self._run(
            "select folder from songs where mix = ? and size_bytes = ? and modified_ns = ? and state = 'done'",
            (_stored(str(mix.resolve())), status.st_size, status.st_mtime_ns),
        )
        folder = Path(os.fsdecode(rows[0][0])) if rows else None
        return folder if folder is not None and folder.is_dir() else None

    def snapshot(self) -> Known:
        """All that is done, read at once: asking for each of 100,000 songs would open the file as often."""
        rows = self._run("select mix, size_bytes, modified_ns, folder from songs where state = 'done'")
        return Known({os.fsdecode(row[0]): (int(row[1]), int(row[2]), os.fsdecode(row[3])) for row in rows})

    def done(self, mix: Path, folder: Path, elapsed_s: float) -> None:
        self._record(mix, "done", str(folder.resolve()), "", elapsed_s)

    def failed(self, mix: Path, error: str) -> None:
        self._record(mix, "failed", "", error, 0.0)

    def seconds_per_byte(self) -> float | None:
        """How fast finished songs went, for an estimate; None before the first one."""
        rows = self._run("select sum(elapsed_s) / sum(size_bytes) from songs where state = 'done' and elapsed_s > 0")
        return None if rows[0][0] is None else float(rows[0][0])

    def _record(self, mix: Path, state: str, folder: str, error: str, elapsed_s: float) -> None:
        status = mix.stat() if mix.exists() else None
        size, modified_ns = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        self._run(
            "insert or replace into songs values (?, ?, ?, ?, ?, ?, ?)",
            (_stored(str(mix.resolve())), size, modified_ns, state, _stored(folder), _stored(error), elapsed_s),
        )

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple[str, ...]]:
        try:
            with self._lock, closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise OutputError(f"{self.path}: cannot be used as a ledger ({exc}); give another (`ledger`)") from exc


def _stored(text: str) -> str | bytes:
    """A file name may be no text in any encoding; then its bytes are kept."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def default_ledger(sources: Sequence[str], settings: str) -> Path:
    """The ledger of these sources with these settings, in the user's cache."""
    key = hashlib.sha256(
        "\0".join([*(str(Path(source).absolute()) for source in sources), settings]).encode(errors="surrogatepass")
    )
    return user_cache_dir() / "batches" / f"{key.hexdigest()[:24]}.sqlite"
