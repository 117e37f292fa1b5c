"""One song on any engine: fetch, build in scratch, upload below an attempt's own prefix, commit with one atomic put.

An attempt that dies leaves files that no commit names; one that comes second finds the commit there and removes its own
files. So a song is done once, whoever restarts whom.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from daw_bridge.catalog.outcome import Outcome, State
from daw_bridge.catalog.plan import Plan, PlannedSong
from daw_bridge.catalog.store import Store
from daw_bridge.errors import Cancelled, DawBridgeError, OutputError, StoreUnreachable
from daw_bridge.files import output_errors, safe_name, sha256_of_file
from daw_bridge.locks import LockHeld, NoLocks, exclusive
from daw_bridge.progress import CancelToken
from daw_bridge.separation.engine.memory import SONGS_IN_FLIGHT
from daw_bridge.separation.families.keeper import ModelKeeper
from daw_bridge.units import human_bytes
from daw_bridge.workflow import BuildResult, build

_PERMANENT = frozenset((3, 7))
"""Exit codes of what lies in the song itself (input, refused by a rule): trying again gives the same."""
_FATAL = frozenset((2, 5, 6, 8, 9))
"""Exit codes that every song would meet (usage, template, model or weights, no device, no adapter)."""
_SCRATCH_PREFIX = "daw-bridge-catalog-"


class SongWorker:
    """Holds the model; `process` never raises for a song's own fault."""

    def __init__(self, plan: Plan, out_url: str, *, device: str = "auto", scratch: Path | None = None) -> None:
        """Loads the model. Raises ModelError, DeviceError, OutputError."""
        base = scratch or Path(tempfile.gettempdir())
        with output_errors(base):
            base.mkdir(parents=True, exist_ok=True)
            sweep_scratch(base)
            self._scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=base))
        self._alive = ExitStack()
        with suppress(NoLocks):  # a disk without locks: nothing there is ever swept
            self._alive.enter_context(exclusive(self._scratch / "alive"))
        self._plan, self._source, self._out = plan, Store(plan.source), Store(out_url)
        from daw_bridge.separation.engine.devices import pick_device

        self.device = pick_device(device)
        self._options = plan.recipe.build_options(device=self.device)
        plan.recipe.require_same_work(self._options)
        self._keeper = ModelKeeper()
        self._keeper(self._options, lambda _note: None)

    def process(self, song: PlannedSong, cancel: CancelToken | None = None) -> Outcome:
        """Do one song, unless its commit is there; safe between threads. Raises Cancelled."""
        started = time.monotonic()
        outcome = Outcome(song=song, state="skipped", attempt=secrets.token_hex(6), host=socket.gethostname())
        place = self._scratch / f"{song.key}-{outcome.attempt}"
        try:
            if self._out.get(song.commit_key) is None:
                with output_errors(place):
                    place.mkdir()
                outcome = self._attempt(outcome, place, cancel or CancelToken())
        except DawBridgeError as exc:
            if isinstance(exc, Cancelled):
                raise
            outcome = replace(outcome, state=_state_after(exc), error=str(exc))
        except Exception as exc:  # noqa: BLE001  one song's surprise must not end its worker, with the songs beside it
            error = f"{song.mix}: unexpected {type(exc).__name__}: {exc}; please report this"
            outcome = replace(outcome, state="retry", error=error)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        elapsed_s = time.monotonic() - started
        return replace(outcome, elapsed_s=elapsed_s, worker_s=elapsed_s / self.room)

    @property
    def room(self) -> int:
        """How many songs may be in work at once."""
        return 1 if self.device == "cpu" else SONGS_IN_FLIGHT

    def close(self) -> None:
        """Give the scratch back."""
        self._alive.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _attempt(self, outcome: Outcome, place: Path, cancel: CancelToken) -> Outcome:
        song = outcome.song
        mix = place / _file_name(song.mix)
        _require_room_for(song, place)
        self._source.fetch(song.listed, mix)
        options = replace(self._options, output=place / "song")
        address = f"{self._source.url}/{song.mix}"
        result = build(mix, options, cancel=cancel, load_model=self._keeper, source=address)
        mix.unlink()
        prefix = f"songs/{song.key[:2]}/{song.key}/{outcome.attempt}"
        files = self._files_to_keep(result)
        for name, path in files.items():
            self._out.put_file(f"{prefix}/{name}", path)
        record = _commit_record(song, prefix, files, result)
        won = self._out.put_new(song.commit_key, json.dumps(record, indent=1).encode())
        if not won:
            self._out.remove(*(f"{prefix}/{name}" for name in files))
        return replace(
            outcome,
            state="done" if won else "lost",
            audio_s=record["audio_s"],
            size_bytes=sum(record["files"].values()),
            null_depth_db=record["null_depth_db"],
        )

    def _files_to_keep(self, result: BuildResult) -> dict[str, Path]:
        """Name in the song folder -> file, the manifest last."""
        kept = [path for path in sorted(result.folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        names = {path.relative_to(result.folder).as_posix(): path for path in kept}
        if self._plan.recipe.keep == "stems":
            stems = {stem.file for stem in result.manifest.stems}
            names = {name: path for name, path in names.items() if name in stems or name == "manifest.json"}
        return dict(sorted(names.items(), key=lambda each: each[0] == "manifest.json"))


def _require_room_for(song: PlannedSong, place: Path) -> None:
    """OutputError before anything is fetched that this disk cannot take; another machine's may."""
    free = shutil.disk_usage(place).free
    if song.size_bytes > free:
        raise OutputError(
            f"{song.mix}: has {human_bytes(song.size_bytes)}, and {place.parent} has {human_bytes(free)} free; "
            "give a `scratch` on a larger disk"
        )


def _state_after(exc: DawBridgeError) -> State:
    if isinstance(exc, StoreUnreachable):
        return "retry"
    return "failed" if exc.exit_code in _PERMANENT else "fatal" if exc.exit_code in _FATAL else "retry"


def _commit_record(song: PlannedSong, prefix: str, files: dict[str, Path], result: BuildResult) -> dict[str, Any]:
    separation, reference = result.song.separation, result.song.reference
    return {
        "mix": song.mix,
        "folder": prefix,
        "files": {name: path.stat().st_size for name, path in files.items()},
        "sha256": {name: sha256_of_file(path) for name, path in files.items()},
        "null_depth_db": separation.null_depth_db,
        "audio_s": reference.length_samples / reference.sample_rate_hz,
    }


def _file_name(key: str) -> str:
    """The last part of a key as a file name of any system."""
    stem, dot, suffix = key.rsplit("/", 1)[-1].rpartition(".")
    return f"{safe_name(stem)}{dot}{suffix}"


def sweep_scratch(base: Path) -> None:
    """Remove what workers that were killed left on this machine's disk: a live one holds its lock."""
    for place in base.glob(f"{_SCRATCH_PREFIX}*"):
        try:
            with exclusive(place / "alive"):
                shutil.rmtree(place, ignore_errors=True)
        except (LockHeld, NoLocks, OSError):
            continue  # its worker lives, or this disk knows no locks
