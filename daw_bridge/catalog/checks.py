"""What a catalog holds: how much is done, whether every commit's files are whole, and what no commit names."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from daw_bridge.catalog.ledger import latest_failures, ledger_tables
from daw_bridge.catalog.plan import commit_prefix, require_plan, songs_in
from daw_bridge.catalog.store import Store
from daw_bridge.errors import InputError
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress

_FIRST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStatus:
    """`done` counts commits; `failed` are songs without one whose last try failed. Rates are of all runs together."""

    songs: int
    done: int
    failed: int
    audio_s: float
    size_bytes: int
    worker_s: float
    songs_by_host: dict[str, int]

    @property
    def left(self) -> int:
        return self.songs - self.done - self.failed

    @property
    def worker_s_per_song(self) -> float | None:
        done = sum(self.songs_by_host.values())
        return self.worker_s / done if done else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCheck:
    """What `verify` found. `problems` are the first of them, in words."""

    songs: int
    committed: int
    without_commit: int
    problems: tuple[str, ...]
    stray_attempts: int
    swept: bool


def status(out: Store) -> CatalogStatus:
    """Counts from the commits, rates from the ledger. Raises InputError."""
    plan = require_plan(out)
    done = {name for shard in range(plan.shards) for name in out.names(f"{commit_prefix(shard)}/")}
    audio_s = worker_s = 0.0
    size_bytes = 0
    hosts: dict[str, int] = defaultdict(int)
    for table in ledger_tables(out):
        for row in table.to_pylist():
            if row["state"] == "done":
                audio_s += row["audio_s"]
                worker_s += row["elapsed_s"]
                size_bytes += row["size_bytes"]
                hosts[row["host"]] += 1
    failed = len(latest_failures(out).keys() - done)
    return CatalogStatus(
        songs=plan.songs,
        done=len(done),
        failed=failed,
        audio_s=audio_s,
        size_bytes=size_bytes,
        worker_s=worker_s,
        songs_by_host=dict(hosts),
    )


def verify(
    out: Store,
    *,
    full: bool = False,
    sweep: bool = False,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> CatalogCheck:
    """Hold every commit against the files that it names: by size, with `full` by sha256.

    `sweep` removes attempts that no commit names: run it while nothing else runs. Raises InputError, OutputError.
    """
    plan, cancel = require_plan(out), cancel or CancelToken()
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for each in out.list("songs"):
        parts = each.key.split("/", 4)
        if len(parts) == 5:
            sizes["/".join(parts[:4])][parts[4]] = each.size_bytes
    named: set[str] = set()
    problems: list[str] = []
    committed = songs = 0
    for shard in range(plan.shards):
        for song in songs_in(out, plan, shard):
            cancel.check()
            songs += 1
            data = out.get(song.commit_key)
            if data is None:
                continue
            committed += 1
            found, folder = _problems(out, song.mix, data, sizes, full=full)
            problems += found
            named.add(folder)
            on_progress(Progress(stage="verify", done=songs, total=plan.songs))
    stray = sorted(sizes.keys() - named)
    if sweep:
        for folder in stray:
            out.remove(*(f"{folder}/{name}" for name in sizes[folder]))
    return CatalogCheck(
        songs=songs,
        committed=committed,
        without_commit=songs - committed,
        problems=tuple(problems[:_FIRST]),
        stray_attempts=len(stray),
        swept=sweep,
    )


def _problems(
    out: Store, mix: str, data: bytes, sizes: dict[str, dict[str, int]], *, full: bool
) -> tuple[list[str], str]:
    """What is wrong with one song, and the folder that its commit names."""
    try:
        record: dict[str, Any] = json.loads(data)
        folder, files, digests = str(record["folder"]), dict(record["files"]), dict(record["sha256"])
    except (ValueError, KeyError, TypeError):
        return [f"{mix}: its commit was not understood"], ""
    found = []
    for name, size in files.items():
        there = sizes.get(folder, {}).get(name)
        if there is None:
            found.append(f"{mix}: {folder}/{name} is missing")
        elif there != size:
            found.append(f"{mix}: {folder}/{name} has {there} bytes, its commit says {size}")
        elif full and _sha256(out, f"{folder}/{name}") != digests.get(name):
            found.append(f"{mix}: {folder}/{name} is damaged: its sha256 is not the commit's")
    return found, folder


def _sha256(out: Store, key: str) -> str:
    digest = hashlib.sha256()
    try:
        for block in out.blocks(key):
            digest.update(block)
    except InputError:
        return ""
    return digest.hexdigest()
