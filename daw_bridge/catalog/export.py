"""The ledger of all runs as one file for a spreadsheet or a data frame."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from daw_bridge.catalog.ledger import SCHEMA, ledger_tables
from daw_bridge.catalog.store import Store
from daw_bridge.errors import UsageError
from daw_bridge.files import atomic_path, output_errors


def export_ledger(out: Store, table: Path) -> int:
    """Write `table` (.csv or .parquet) a part at a time; the number of rows. Raises UsageError, OutputError."""
    suffix = table.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError(f"{table}: the ledger is exported as .csv or .parquet")
    rows = 0
    with output_errors(table), atomic_path(table) as part:
        writer = pq.ParquetWriter(part, SCHEMA) if suffix == ".parquet" else pa.csv.CSVWriter(part, SCHEMA)
        with writer:
            for found in ledger_tables(out):
                writer.write_table(found)
                rows += found.num_rows
    return rows
