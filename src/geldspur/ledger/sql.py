"""SQL over the ledger: DuckDB on the Parquet export, which it can only read.

The database itself lives in memory and holds nothing but views of the export's files. Before a question is put to
it, DuckDB is shut off from all other files, from the network and from extensions, its settings are locked, and
only a single SELECT is taken.
"""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.exported import open_export
from geldspur.ledger.store import Ledger
from geldspur.ledger.tables import TABLES
from geldspur.progress import SILENT, Progress

_FETCH = 10_000
_NAME = 16  # hex digits of the ledger's manifest hash


def cached_export(ledger: Ledger) -> Path:
    """Where the export of this state of a ledger lies, or will lie, inside the ledger's directory."""
    return ledger.folder / "export" / ledger.manifest_sha256[:_NAME]


def is_cached(ledger: Ledger) -> bool:
    """Does `ensure_export` find an export of this state of the ledger?"""
    try:
        return {t.name for t in TABLES} == set(open_export(ledger, cached_export(ledger)))
    except GeldspurError:
        return False


def ensure_export(ledger: Ledger, progress: Progress = SILENT) -> dict[str, Path]:
    """Table name -> Parquet file, of the export kept with the ledger.

    It is made where there is none of the ledger's present state, and those of earlier states are removed.
    """
    from geldspur.ledger.export import export_parquet

    folder = cached_export(ledger)
    if not is_cached(ledger):
        for old in folder.parent.glob("[0-9a-f]" * _NAME):
            shutil.rmtree(old, ignore_errors=True)
        export_parquet(ledger, folder, progress=progress)
    return open_export(ledger, folder)


class Answer:
    """What a question gave: names and SQL types of the columns, and the rows, fetched as they are asked for."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.columns: list[str] = [column[0] for column in cursor.description]
        self.types: list[str] = [str(column[1]) for column in cursor.description]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The rows, once."""
        with _duckdb_errors():
            while rows := self._cursor.fetchmany(_FETCH):
                yield from rows


class Sql:
    """An in-memory database with a view for each table of an export. Close it, or use it in a `with`."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._spill = tempfile.TemporaryDirectory(prefix="geldspur-sql-")
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                "temp_directory": self._spill.name,
            },
        )
        for name, file in files.items():
            self._connection.from_parquet(str(file.resolve())).create_view(name)
        paths = ", ".join(_literal(file) for file in files.values())
        self._connection.execute(f"SET allowed_paths = [{paths}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give back memory and temporary files."""
        self._connection.close()
        self._spill.cleanup()

    def ask(self, question: str, parameters: Sequence[Any] = ()) -> Answer:
        """Run one SELECT, with values for its `?` or `$1`. UsageError for anything else and for SQL that can't be run.

        Ctrl-C while it runs is a KeyboardInterrupt, as elsewhere.
        """
        with _duckdb_errors():
            statements = self._connection.extract_statements(question)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError(
                    "only a single SELECT is run: the export can be read, nothing can be changed",
                    todo="see the tables with: geldspur sql --tables",
                )
            return Answer(self._stoppable(lambda: self._connection.execute(statements[0], list(parameters))))

    def _stoppable(self, work: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
        """Run a question in a thread of its own: Python sees Ctrl-C only while its main thread is not in DuckDB."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(work)
            try:
                while not running.done():
                    wait([running], timeout=0.2)
            except KeyboardInterrupt:
                while not running.done():  # one that comes before the question has begun would be lost
                    self._connection.interrupt()
                    wait([running], timeout=0.05)
                raise
            return running.result()

    @contextlib.contextmanager
    def time_limit(self, seconds: float | None) -> Iterator[None]:
        """Stop what runs inside once `seconds` have passed, with a GeldspurError."""
        if seconds is None:
            yield
            return
        passed = threading.Event()

        def stop() -> None:
            passed.set()
            self._connection.interrupt()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            if passed.is_set():
                raise GeldspurError(
                    f"stopped after {seconds:g} seconds", todo="ask for less, or give more time with --timeout"
                ) from None
            raise
        finally:
            timer.cancel()


@contextlib.contextmanager
def _duckdb_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        # DuckDB takes the signal of Ctrl-C for itself, and tells of it in this way.
        if "interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise GeldspurError(
            f"DuckDB could not answer: {_in_a_line(error)}", todo="ask for less, or free memory or disk"
        ) from error
    except duckdb.Error as error:
        raise UsageError(
            f"DuckDB does not run this: {_in_a_line(error)}", todo="see the tables with: geldspur sql --tables"
        ) from error


def _in_a_line(error: Exception) -> str:
    """DuckDB's message without its drawing of where in the question it stumbled."""
    return " ".join(str(error).split("\n\nLINE")[0].split())


def _literal(file: Path) -> str:
    return "'" + str(file.resolve()).replace("'", "''") + "'"
