"""The ledger as Parquet, for DuckDB, pandas, Spark and whatever else reads it.

One file a table, its rows in ledger order in groups of bounded size: memory stays bounded, and because heights
and row numbers only rise, the groups' own minima and maxima let a reader skip all but the blocks that it asks
for, which is what a folder a height range would be for. The bytes depend on the ledger and the version of pyarrow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geldspur.errors import UsageError
from geldspur.ledger.columns import coherent, staging, write_json
from geldspur.ledger.exported import FORMAT, SCHEMA, is_export
from geldspur.ledger.store import Ledger
from geldspur.ledger.tables import TABLES, Made, Table, rows_of
from geldspur.progress import SILENT, Progress

GROUP_ROWS = 1 << 17


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export holds: rows and bytes of each table."""

    folder: Path
    rows: dict[str, int]
    bytes: dict[str, int]


def export_parquet(
    ledger: Ledger, folder: Path, tables: Sequence[str] | None = None, progress: Progress = SILENT
) -> ExportReport:
    """Write tables of the ledger (all of `TABLES` by default) into `folder` as `<table>.parquet`, zstd-compressed.

    The folder appears when all is written; an export that stood there is replaced. Raises UsageError for an
    unknown table or a folder that holds something else, GeldspurError where it can't be written.
    """
    chosen = _chosen(tables)
    if not _is_text(folder):
        raise UsageError(f"{str(folder)!a} is no UTF-8 text: Parquet's writers and readers open no such path",
                         todo="choose another folder, or move the ledger")  # fmt: skip
    if folder.exists() and not is_export(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not an export", todo="choose an empty or new folder")
    rows: dict[str, int] = {}
    size: dict[str, int] = {}
    with staging(folder) as work:
        for table in chosen:
            file = work / f"{table.name}.parquet"
            rows[table.name] = _write(ledger, table, file, progress)
            size[table.name] = file.stat().st_size
        write_json(
            work / "manifest.json",
            {
                "format": FORMAT,
                "schema": SCHEMA,
                "ledger": ledger.manifest_sha256,
                "network": ledger.network.name,
                "tip_height": ledger.tip_height,
                "tip_hash": ledger.tip_hash,
                "tables": {name: {"rows": rows[name], "bytes": size[name]} for name in rows},
            },
        )
    return ExportReport(folder, rows, size)


def _is_text(path: Path) -> bool:
    """Can the path be written as UTF-8?"""
    return str(path).encode("utf-8", "ignore").decode() == str(path)


def _chosen(names: Sequence[str] | None) -> list[Table]:
    known = {table.name: table for table in TABLES}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise UsageError(f"there is no table {unknown[0]!a}", todo=f"choose of: {', '.join(known)}")
    return [table for table in TABLES if names is None or table.name in names]


def _write(ledger: Ledger, table: Table, file: Path, progress: Progress) -> int:
    schema = _schema(table)
    dictionaries = [c.name for c in table.columns if c.repeats]
    total = rows_of(ledger, table)
    with (
        progress.task(f"Exporting {table.name}", total, "rows") as task,
        pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=dictionaries) as writer,
    ):
        for first, end in _groups(total):
            with coherent(ledger.folder):
                made = table.read(ledger, first, end)
            arrays = [_arrow(made[c.name], schema.field(c.name).type) for c in table.columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP_ROWS)
            task.advance(end - first)
    return total


def _groups(total: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + GROUP_ROWS, total)) for at in range(0, total, GROUP_ROWS))


def _schema(table: Table) -> Any:
    types = {
        "BIGINT": pa.int64(), "INTEGER": pa.int32(), "UINTEGER": pa.uint32(), "BOOLEAN": pa.bool_(),
        "VARCHAR": pa.string(), "BLOB": pa.binary(), "TIMESTAMP": pa.timestamp("ms"),
    }  # fmt: skip
    return pa.schema([pa.field(c.name, types[c.type], metadata={"meaning": c.meaning}) for c in table.columns])


def _arrow(made: Made, kind: Any) -> Any:
    """An Arrow array of what a table's reader gave."""
    if made.lengths is not None:
        offsets = pa.py_buffer(np.concatenate([[0], np.cumsum(made.lengths)]).astype(np.int32))
        valid = None if made.null is None else pa.py_buffer(np.packbits(~made.null, bitorder="little"))
        return pa.Array.from_buffers(kind, len(made.lengths), [valid, offsets, pa.py_buffer(made.values)])
    values = made.values.astype("datetime64[ms]") if str(kind).startswith("timestamp") else made.values
    return pa.array(values, kind, mask=made.null)
