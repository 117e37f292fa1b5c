"""What a catalog holds: whether every commit's files are whole, and what no commit names."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from daw_bridge.catalog.plan import require_plan, songs_in
from daw_bridge.catalog.store import Store
from daw_bridge.errors import InputError
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress

_FIRST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCheck:
    """What `verify` found. `problems` are the first of them, in words."""

    songs: int
    committed: int
    without_commit: int
    problems: tuple[str, ...]
    stray_attempts: int
    swept: bool


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
