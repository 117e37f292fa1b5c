"""The status for other programs: a table of nodes, and metrics for Prometheus' textfile collector."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from daw_bridge.catalog.status import CatalogStatus, NodeStatus
from daw_bridge.errors import UsageError
from daw_bridge.files import atomic_path, output_errors, write_atomic

_PREFIX = "daw_bridge_catalog"


def write_table(found: CatalogStatus, table: Path) -> None:
    """A row for each node, as .csv or .parquet. Raises UsageError, OutputError."""
    suffix = table.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError(f"{table}: the table is written as .csv or .parquet")
    names = [each.name for each in dataclasses.fields(NodeStatus)]
    rows = pa.table({name: [getattr(node, name) for node in found.nodes] for name in names})
    with output_errors(table), atomic_path(table) as part:
        if suffix == ".csv":
            pa.csv.write_csv(rows, part)
        else:
            pq.write_table(rows, part)


def write_prometheus(found: CatalogStatus, catalog: str, path: Path, *, cost_per_song: float | None = None) -> None:
    """Metrics in Prometheus' text format; replaced in one step, as its collector asks. Raises OutputError."""
    write_atomic(path, prometheus_text(found, catalog, cost_per_song=cost_per_song))


def prometheus_text(found: CatalogStatus, catalog: str, *, cost_per_song: float | None = None) -> str:
    """Gauges of the whole, and counters of each node."""
    where = f'catalog="{_escaped(catalog)}"'
    gauges = {
        "songs": (found.songs, "songs of the plan"),
        "songs_done": (found.done, "songs with a commit"),
        "songs_failed": (found.failed, "songs set aside"),
        "songs_left": (found.left, "songs to do"),
        "songs_per_hour": (found.songs_per_hour, "rate of the last hour in which a song ended"),
        "eta_seconds": (found.eta_s, "time for what is left at that rate"),
        "worker_seconds_per_song": (found.worker_s_per_song, "time of one worker for a song"),
        "cost_per_song": (cost_per_song, "in the currency of the rate that was given"),
    }
    lines = []
    for name, (value, meaning) in gauges.items():
        if value is not None:
            lines += [*_head(name, "gauge", meaning), f"{_PREFIX}_{name}{{{where}}} {value:.10g}"]
    for name, field, meaning in (
        ("node_songs_total", "done", "songs that a node did"),
        ("node_worker_seconds_total", "worker_s", "time of its workers"),
        ("node_audio_seconds_total", "audio_s", "music that a node did"),
        ("node_bytes_total", "size_bytes", "what a node published"),
    ):
        lines += _head(name, "counter", meaning)
        for node in found.nodes:
            lines.append(f'{_PREFIX}_{name}{{{where},node="{_escaped(node.host)}"}} {getattr(node, field):.10g}')
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {_PREFIX}_{name} {meaning}", f"# TYPE {_PREFIX}_{name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
