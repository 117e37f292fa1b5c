"""How far a catalog is: songs from the commits, rates and costs from the ledger, for each node and together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import pyarrow as pa

from daw_bridge.audio.provenance import one_line
from daw_bridge.catalog.ledger import ledger_parts, read_part
from daw_bridge.catalog.plan import commit_prefix, require_plan
from daw_bridge.catalog.store import Store

_RECENT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What one machine did in all runs. `last_at_unix_s` is when its last song ended."""

    host: str
    done: int
    failed: int
    worker_s: float
    audio_s: float
    size_bytes: int
    last_at_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStatus:
    """`done` counts commits; `failed` are songs without one that were set aside. `songs_per_hour` is of the last hour
    in which anything ended."""

    songs: int
    done: int
    failed: int
    songs_per_hour: float | None
    nodes: tuple[NodeStatus, ...]

    @property
    def left(self) -> int:
        return self.songs - self.done - self.failed

    @property
    def worker_s(self) -> float:
        return sum(node.worker_s for node in self.nodes)

    @property
    def audio_s(self) -> float:
        return sum(node.audio_s for node in self.nodes)

    @property
    def size_bytes(self) -> int:
        return sum(node.size_bytes for node in self.nodes)

    @property
    def worker_s_per_song(self) -> float | None:
        """Of a worker, whatever was lost or failed on the way included."""
        done = sum(node.done for node in self.nodes)
        return self.worker_s / done if done else None

    @property
    def eta_s(self) -> float | None:
        return self.left / self.songs_per_hour * 3600.0 if self.songs_per_hour else None

    def cost_per_song(self, cost_per_worker_hour: float) -> float | None:
        each = self.worker_s_per_song
        return None if each is None else each / 3600.0 * cost_per_worker_hour


@dataclass(slots=True)
class StatusReader:
    """Reads the status again and again; a part of the ledger is read once."""

    out: Store
    _seen: set[str] = field(default_factory=set)
    _sums: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    _failed: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _recent: list[tuple[float, float]] = field(default_factory=list)

    def read(self) -> CatalogStatus:
        """Raises InputError."""
        plan = require_plan(self.out)
        for key in ledger_parts(self.out):
            if key not in self._seen:
                self._seen.add(key)
                if (table := read_part(self.out, key)) is not None:
                    self._add(table)
        done = failed = 0
        for shard in range(plan.shards):
            names = self.out.names(f"{commit_prefix(shard)}/")
            done += len(names)
            failed += len(self._failed[shard] - names)
        nodes = tuple(
            NodeStatus(
                host=host,
                done=int(sums["done"]),
                failed=int(sums["failed"]),
                worker_s=sums["worker_s"],
                audio_s=sums["audio_s"],
                size_bytes=int(sums["size_bytes"]),
                last_at_unix_s=sums["last"],
            )
            for host, sums in sorted(self._sums.items())
        )
        return CatalogStatus(
            songs=plan.songs, done=done, failed=failed, songs_per_hour=self._songs_per_hour(), nodes=nodes
        )

    def _add(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            if row["state"] == "failed":
                self._failed[row["shard"]].add(row["key"])
            host = one_line(row["host"] or "")  # from a ledger that others write, to a terminal
            if not host:
                continue
            sums = self._sums[host]
            sums["worker_s"] += row.get("worker_s") or 0.0
            sums["last"] = max(sums["last"], row["at_unix_s"])
            if row["state"] in ("done", "failed"):
                sums[row["state"]] += 1
            if row["state"] == "done":
                sums["audio_s"] += row["audio_s"]
                sums["size_bytes"] += row["size_bytes"]
                self._recent.append((row["at_unix_s"], row["elapsed_s"]))

    def _songs_per_hour(self) -> float | None:
        if not self._recent:
            return None
        newest = max(at for at, _ in self._recent)
        self._recent = [each for each in self._recent if each[0] >= newest - _RECENT_S]
        span_s = newest - min(at - elapsed_s for at, elapsed_s in self._recent)
        return len(self._recent) / span_s * 3600.0 if span_s > 0 else None


def status(out: Store) -> CatalogStatus:
    """The status now. Raises InputError."""
    return StatusReader(out).read()
