"""A set of files to write, all or none: shown as a diff, backed up first, put back when one of them fails."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daw_bridge.files import output_errors, write_atomic

BACKUP_SUFFIX = ".before-daw-bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupOptions:
    """How REAPER is prepared. `live` also switches on what is needed to drive it from outside."""

    resource_path: Path | None = None
    web_port: int = 2307
    live: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport:
    """What was written and deleted, or would be: the files, a unified diff, and what a person should know."""

    changed: tuple[Path, ...]
    diff: str
    notes: tuple[str, ...] = ()
    deleted: tuple[Path, ...] = ()


@dataclass(slots=True)
class Changes:
    """New content by path; None deletes. Only what differs from the disk counts."""

    wanted: Mapping[Path, bytes | None]
    before: dict[Path, bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = {path: path.read_bytes() if path.is_file() else None for path in self.wanted}

    @property
    def differing(self) -> list[Path]:
        return [path for path, content in self.wanted.items() if content != self.before[path]]

    def diff(self) -> str:
        """A unified diff of everything that would change; pictures are only named."""
        parts: list[str] = []
        for path in self.differing:
            if path.suffix == ".png":
                parts.append(f"--- {path}: an icon\n")
                continue
            old, new = (_lines(content) for content in (self.before[path], self.wanted[path]))
            parts += difflib.unified_diff(old, new, str(path), str(path), n=1)
        return "".join(line if line.endswith("\n") else line + "\n" for line in parts)

    def apply(self, *, keep_backups: bool = True) -> tuple[Path, ...]:
        """Write everything; the backups that were made of files that were there. Raises OutputError."""
        backups: list[Path] = []
        done: list[Path] = []
        try:
            for path in self.differing:
                with output_errors(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    before = self.before[path]
                    if keep_backups and before is not None and path.suffix == ".ini":
                        backups.append(_back_up(path, before))
                    _put(path, self.wanted[path])
                    done.append(path)
        except BaseException:
            for path in done:
                _put(path, self.before[path])
            for path in backups:
                path.unlink(missing_ok=True)
            raise
        return tuple(backups)


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines(keepends=True)


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_atomic(path, content)


def _back_up(path: Path, content: bytes) -> Path:
    number = 1
    while (backup := path.with_name(f"{path.name}{BACKUP_SUFFIX}-{number}")).exists():
        number += 1
    write_atomic(backup, content)
    return backup
