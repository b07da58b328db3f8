"""Commands that hand the ledger to other programs: export, sql."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geldspur.cli.output import Json, LedgerDir, console_err, printable, progress, say, show_json
from geldspur.errors import UsageError

if TYPE_CHECKING:
    from geldspur.ledger.sql import Answer

_SHOWN = 100
_NUMBER = re.compile(r"U?(BIGINT|HUGEINT|INTEGER|SMALLINT|TINYINT)|DECIMAL|DOUBLE|FLOAT")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur export tables --parquet --ledger ledger")(export)
    app.command(epilog='Example: geldspur sql "SELECT max(height) FROM blocks" --ledger ledger')(sql)


def export(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The file or folder to write.")],
    ledger: LedgerDir,
    headers: Annotated[
        bool, typer.Option("--headers", help="Write the chain of block headers, 80 bytes each, to a file.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write tables as Parquet files into a folder.")] = False,
    tables: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Only these tables; `geldspur sql --tables` lists them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the ledger for other programs: tables, or the chain of headers."""
    from geldspur.ledger import Ledger

    if headers == parquet:
        raise UsageError("say what to export", todo="give one of --headers and --parquet")
    opened = Ledger(ledger)
    if headers:
        from geldspur.ledger.columns import write_file

        write_file(target, opened.block_header.tobytes())
        count = len(opened.block_header)
        if as_json:
            show_json({"file": str(target), "headers": count})
        else:
            say(f"{count:,} headers written to {target}")
        return
    from geldspur.ledger.export import export_parquet

    chosen = tables.split(",") if tables else None
    report = export_parquet(opened, target, chosen, progress(as_json))
    if as_json:
        show_json(report)
        return
    for name, rows in report.rows.items():
        say(f"  {name:14} {rows:>15,} rows {report.bytes[name]:>15,} bytes")
    say(f"written to {target}")


def sql(
    question: Annotated[str | None, typer.Argument(metavar="SELECT", help="The question, in DuckDB's SQL.")] = None,
    ledger: Annotated[Path | None, typer.Option("--ledger", metavar="DIR", help="The ledger directory.")] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="An export of the ledger to ask, instead of the one kept with it."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Print at most this many rows; {_SHOWN} unless --json or --csv."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, metavar="SECONDS", help="Give up after this time.")
    ] = None,
    tables: Annotated[bool, typer.Option("--tables", help="List the tables and what their columns mean.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Ask the ledger in SQL. The tables are a Parquet export, made at the first question."""
    if tables:
        _show_tables(as_json)
        return
    if question is None or ledger is None:
        raise UsageError("a question needs a SELECT and --ledger", todo="see the tables with: geldspur sql --tables")
    if csv and as_json:
        raise UsageError("--csv and --json exclude each other", todo="give one of them")
    from geldspur.ledger import Ledger
    from geldspur.ledger.exported import open_export
    from geldspur.ledger.sql import Sql, cached_export, ensure_export, is_cached

    opened = Ledger(ledger)
    if parquet is None and not is_cached(opened):
        console_err.print(f"First question: exporting the ledger to {cached_export(opened)} ...", markup=False)
    files = open_export(opened, parquet) if parquet else ensure_export(opened, progress(as_json))
    with Sql(files) as database, database.time_limit(timeout):
        answer = database.ask(question)
        if as_json:
            _print_json(answer, limit)
        elif csv:
            _print_csv(answer, limit)
        else:
            _print_table(answer, limit or _SHOWN)


def _show_tables(as_json: bool) -> None:
    from geldspur.ledger.tables import TABLES

    if as_json:
        show_json(
            {t.name: {"meaning": t.meaning, "columns": [c._asdict() for c in t.columns]} for t in TABLES},
        )
        return
    for table in TABLES:
        say(f"{table.name}: {table.meaning}")
        for column in table.columns:
            say(f"  {column.name:15} {column.type:10} {column.meaning}")


def _print_json(answer: "Answer", limit: int | None) -> None:
    rows, more = _bounded(answer, limit)
    shown = [[_plain(value) for value in row] for row in rows]
    show_json({"columns": answer.columns, "types": answer.types, "rows": shown, "more": more()})


def _print_csv(answer: "Answer", limit: int | None) -> None:
    from csv import writer

    rows, more = _bounded(answer, limit)
    out = writer(sys.stdout, lineterminator="\n")
    out.writerow(answer.columns)
    out.writerows([_text(value) for value in row] for row in rows)
    if more():
        console_err.print(f"only the first {limit:,} rows: give a larger --limit")


def _print_table(answer: "Answer", limit: int) -> None:
    """Columns side by side and never wrapped, so that ids stay whole."""
    rows, more = _bounded(answer, limit)
    shown = [[printable(_text(value)) for value in row] for row in rows]
    names = [printable(name) for name in answer.columns]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    is_number = [bool(_NUMBER.match(kind)) for kind in answer.types]
    for row in [names, *shown]:
        cells = zip(row, widths, is_number, strict=True)
        say("  ".join(text.rjust(width) if number else text.ljust(width) for text, width, number in cells).rstrip())
    note = f"only the first {limit:,} rows: give a larger --limit" if more() else f"{len(shown):,} rows"
    console_err.print(note)


def _bounded(answer: Iterable[tuple[Any, ...]], limit: int | None) -> tuple[Iterator[tuple[Any, ...]], Any]:
    """The first rows, and a function that tells afterwards whether there were more."""
    rows = iter(answer)
    return islice(rows, limit), lambda: limit is not None and next(rows, None) is not None


def _plain(value: Any) -> Any:
    """A value as JSON, CSV and tables show it: times in UTC with Z, bytes in hex, exact decimals as text."""
    from datetime import date, datetime

    from geldspur.times import utc_at

    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None  # JSON has no word for infinity
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return utc_at(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return str(value)


def _text(value: Any) -> str:
    """A value in a cell: nothing for null, JSON for what has parts."""
    plain = _plain(value)
    if plain is None or isinstance(plain, str):
        return plain or ""
    return json.dumps(plain, ensure_ascii=False)
