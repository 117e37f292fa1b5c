"""What runs did, in parquet parts that are only ever added. Statistics, never the truth: the commits are."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.store import Store

PART_ROWS = 1000
PART_S = 120.0
"""A part is written at the latest after so long, so that others see how a run goes."""
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("mix", pa.string()),
        ("state", pa.string()),
        ("error", pa.string()),
        ("attempt", pa.string()),
        ("elapsed_s", pa.float64()),
        ("worker_s", pa.float64()),
        ("audio_s", pa.float64()),
        ("size_bytes", pa.int64()),
        ("null_depth_db", pa.float64()),
        ("host", pa.string()),
        ("at_unix_s", pa.float64()),
    ]
)


class RunLedger:
    """The rows of one run; `flush` writes what is left."""

    def __init__(self, out: Store, *, part_rows: int = PART_ROWS) -> None:
        self._out, self._part_rows = out, part_rows
        self.run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self._rows: list[dict[str, object]] = []
        self._parts = 0
        self._flushed_s = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Raises OutputError."""
        row = {
            "key": outcome.song.key,
            "shard": outcome.song.shard,
            "mix": outcome.song.mix,
            "at_unix_s": time.time(),
            **{name: getattr(outcome, name) for name in SCHEMA.names if hasattr(outcome, name)},
        }
        self._rows.append(row)
        if len(self._rows) >= self._part_rows or time.monotonic() - self._flushed_s >= PART_S:
            self.flush()

    def flush(self) -> None:
        """Raises OutputError."""
        if self._rows:
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA), buffer, compression="zstd")
            self._out.put(f"ledger/{self.run}/part-{self._parts:06d}.parquet", buffer.getvalue())
            self._parts += 1
            self._rows = []
        self._flushed_s = time.monotonic()


def ledger_tables(out: Store) -> Iterator[pa.Table]:
    """All parts of all runs, in the order of their names. Raises InputError."""
    for key in ledger_parts(out):
        if (table := read_part(out, key)) is not None:
            yield table


def ledger_parts(out: Store) -> list[str]:
    """The keys of all parts. Raises InputError."""
    return sorted(each.key for each in out.list("ledger") if each.key.endswith(".parquet"))


def read_part(out: Store, key: str) -> pa.Table | None:
    """One part; None when it is gone. Raises InputError."""
    data = out.get(key)
    return None if data is None else pq.read_table(io.BytesIO(data))


def latest_failures(out: Store) -> dict[str, str]:
    """Key -> error of the songs whose last row in the ledger says failed."""
    last: dict[str, tuple[float, str, str]] = {}
    for table in ledger_tables(out):
        for row in table.select(["key", "state", "error", "at_unix_s"]).to_pylist():
            if row["state"] in ("done", "failed") and row["at_unix_s"] >= last.get(row["key"], (0.0, "", ""))[0]:
                last[row["key"]] = (row["at_unix_s"], row["state"], row["error"])
    return {key: error for key, (_, state, error) in last.items() if state == "failed"}
