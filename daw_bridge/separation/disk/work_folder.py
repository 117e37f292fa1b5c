"""What a killed run leaves and the next one continues: raw frames and a journal, in a folder of their own.

`.work-KEY/` beside the stems; KEY covers the mix, the weights and every setting that influences the samples, so a
changed setting or swapped weights never continue another run's work. The journal says how many frames are safe: a line
is added only after the frames it counts are on the disk.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

from daw_bridge.errors import Busy, OutputError
from daw_bridge.files import output_errors
from daw_bridge.locks import LockHeld, NoLocks, exclusive
from daw_bridge.separation.disk.raw_audio import RawAudio
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.units import human_bytes

_log = logging.getLogger(__name__)

PREFIX = ".work-"
_SECONDS_BETWEEN_FLUSHES = 0.5


class WorkFolder:
    """One run's folder, locked while it is used. `header` holds what the first run wrote about itself."""

    def __init__(self, folder: Path, key: str, header: dict[str, Any]) -> None:
        self.path = folder / f"{PREFIX}{key}"
        with output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path)
        self._journal_path = self.path / "journal.jsonl"
        self.header, self._done = self._read_journal()
        if not self.header and header:
            self.header = header
            self._append({"header": header})

    def _read_journal(self) -> tuple[dict[str, Any], int]:
        header: dict[str, Any] = {}
        done = 0
        with contextlib.suppress(FileNotFoundError):
            for line in self._journal_path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the line that was being written when the run was killed
                header = entry.get("header", header)
                done = int(entry.get("done_samples", done))
        return (header, done) if header else ({}, 0)

    def _append(self, entry: dict[str, Any]) -> None:
        with output_errors(self.path), self._journal_path.open("a", encoding="utf-8") as journal:
            # A torn last line of a killed run must not swallow this one.
            journal.write(("" if journal.tell() == 0 else "\n") + json.dumps(entry))
            journal.flush()
            os.fsync(journal.fileno())

    def stems(self, channels: int) -> GrowingStems:
        """The stems computed so far, cut back to what is safe, open for more."""
        with output_errors(self.path):
            raw = RawAudio(self.path / "stems.f32", channels)
            safe = min(self._done, raw.length_samples)
            raw.cut(safe)
        return GrowingStems(self, raw, safe)

    def open_stems(self, channels: int) -> RawAudio:
        """The finished stems, for reading."""
        return RawAudio(self.path / "stems.f32", channels)

    def record(self, done_samples: int) -> None:
        self._append({"done_samples": done_samples})

    def release(self, *, remove: bool) -> None:
        """Unlock; with `remove`, the work is done and the folder goes."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._lock.close()


class GrowingStems:
    """Appends blocks and journals them. The journal lags at most half a second behind."""

    def __init__(self, work: WorkFolder, raw: RawAudio, done: int) -> None:
        self._work, self.raw, self.done_samples = work, raw, done
        self._flushed = time.monotonic()

    def append(self, block: FloatArray) -> None:
        """Add stems of shape (sources, channels, n)."""
        frames = block.reshape(-1, block.shape[-1])
        with output_errors(self.raw.path):
            self.raw.append(frames)
        self.done_samples += frames.shape[-1]
        if time.monotonic() - self._flushed >= _SECONDS_BETWEEN_FLUSHES:
            self.flush()

    def flush(self) -> None:
        with output_errors(self.raw.path):
            self.raw.flush_to_disk()
        self._work.record(self.done_samples)
        self._flushed = time.monotonic()

    def close(self) -> None:
        self.raw.close()


def remove_abandoned(folder: Path, like: dict[str, Any]) -> None:
    """Drop what runs of other settings or weights left behind for the same mix (`like`: parts of their header)."""
    for path in folder.glob(f"{PREFIX}*"):
        try:
            abandoned = WorkFolder(folder, path.name.removeprefix(PREFIX), {})
        except (Busy, OutputError):
            continue
        same = all(abandoned.header.get(name) == value for name, value in like.items())
        abandoned.release(remove=same)


def remove_work_folders(folder: Path) -> None:
    """Drop what given-up runs with other settings left in `folder`; nobody may be working there."""
    for path in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def check_space(folder: Path, needed_bytes: int) -> None:
    """OutputError before anything is computed when the disk cannot hold what will be written."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise OutputError(
            f"{folder.parent}: the stems need {human_bytes(needed_bytes)} here while they are made, "
            f"{human_bytes(free)} are free; free some space or give another folder with -o"
        )


def _lock(folder: Path) -> contextlib.ExitStack:
    """An exclusive lock that the system drops when the process ends, however it ends; Busy when it is held.

    On a disk that knows no locks there is none: the song folder's own lock has to do.
    """
    with contextlib.ExitStack() as held:
        try:
            with output_errors(folder):
                held.enter_context(exclusive(folder / "lock"))
        except LockHeld:
            raise Busy(
                f"{folder.parent}: another run is separating this mix here; wait for it or use another folder"
            ) from None
        except NoLocks:
            _log.warning("%s: this disk knows no locks", folder.parent)
        return held.pop_all()
