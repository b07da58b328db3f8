"""SQL over the export: right, read-only, and its documentation runs."""

import re
import threading
import time
from pathlib import Path

import pytest

from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import Ledger
from geldspur.ledger.export import export_parquet
from geldspur.ledger.exported import open_export
from geldspur.ledger.history import AddressHistory
from geldspur.ledger.sql import Sql, cached_export, ensure_export, is_cached
from geldspur.ledger.tables import TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
EXAMPLES = re.findall(r"^([^\n]+):\n\n```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files(embedded):
    return ensure_export(embedded.ledger)


@pytest.fixture
def database(files):
    with Sql(files) as opened:
        yield opened


def test_the_page_describes_every_table_and_column():
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert told == [(c.name, c.type, c.meaning) for t in TABLES for c in t.columns]
    assert re.findall(r"^### (\w+): (.*)$", PAGE, re.MULTILINE) == [(t.name, t.meaning) for t in TABLES]


def test_types_are_those_that_are_told(database):
    for table in TABLES:
        answer = database.ask(f"SELECT * FROM {table.name}")
        assert [(c.name, c.type) for c in table.columns] == list(zip(answer.columns, answer.types, strict=True))


@pytest.mark.parametrize(("title", "question"), EXAMPLES)
def test_every_example_on_the_page_gives_rows(database, title, question):
    assert list(database.ask(question)), title


def test_examples_agree_with_the_ledger(database, embedded):
    assert len(EXAMPLES) >= 10
    example = dict(EXAMPLES)
    address = "bcrt1qepr9wm26mult9wrwvx4699p00965az20x36fc4090w6lv8sl8ygs65l8dd"
    history = AddressHistory.of(embedded.ledger, address)
    assert list(database.ask(example["Its balance after block 400"])) == [(history.balance_at(400),)]
    (title,) = (t for t in example if t.startswith("The history"))
    txids = [row[1] for row in database.ask(example[title])]
    assert txids == [embedded.ledger.outpoint(row)[0] for row in history.receipts.tolist()]
    for holder, _, balance in database.ask(example["The richest addresses at the tip"]):
        assert balance == AddressHistory.of(embedded.ledger, holder).balance_sat


@pytest.mark.parametrize(
    "question",
    [
        "COPY blocks TO '{tmp}/out.csv'",
        "COPY (SELECT 1) TO '{blocks}' (USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{blocks}' (USE_TMP_FILE false)",
        "SELECT 1; SELECT 2",
        "CREATE TABLE mine AS SELECT 1",
        "ATTACH '{tmp}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA version",
        "EXPORT DATABASE '{tmp}/all'",
        "CALL pragma_version()",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('https://example.org/a.parquet')",
        "SELECT * FROM query('COPY blocks TO ''{tmp}/out.csv''')",
        "WITH gone AS (DELETE FROM blocks RETURNING *) SELECT * FROM gone",
        "SELECT * FROM secret_rows",
        "",
        "SELEC 1",
    ],
)
def test_nothing_but_reading_the_tables_is_possible(database, files, tmp_path, question):
    secret_rows = [1, 2, 3]  # DuckDB would find it by its name, were Python's variables not shut off
    before = {name: file.read_bytes() for name, file in files.items()}
    with pytest.raises(UsageError):
        list(database.ask(question.format(tmp=tmp_path, blocks=files["blocks"])))
    assert {name: file.read_bytes() for name, file in files.items()} == before
    assert not list(tmp_path.iterdir())
    assert secret_rows


def test_a_question_that_takes_too_long_is_stopped(database):
    began = time.monotonic()
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
    with pytest.raises(GeldspurError, match=r"stopped after 0.2 seconds"), database.time_limit(0.2):
        list(database.ask(endless))
    assert time.monotonic() - began < 30
    assert list(database.ask("SELECT 1")) == [(1,)]
    assert threading.active_count() < 50


def test_the_kept_export_is_made_once_and_again_when_the_ledger_changes(embedded, tmp_path):
    ledger = Ledger(embedded.ledger.folder)
    made = ensure_export(ledger)
    stamps = {name: file.stat().st_mtime_ns for name, file in made.items()}
    assert {name: file.stat().st_mtime_ns for name, file in ensure_export(ledger).items()} == stamps
    export_parquet(ledger, tmp_path / "kept")
    older = cached_export(ledger)
    ledger.manifest_sha256 = "0" * 64
    assert not is_cached(ledger)
    with pytest.raises(GeldspurError, match="another state of the ledger"):
        open_export(ledger, tmp_path / "kept")
    ensure_export(ledger)
    assert not older.exists()
    ensure_export(Ledger(embedded.ledger.folder))


def test_a_damaged_kept_export_is_made_again(embedded):
    files = ensure_export(embedded.ledger)
    with files["blocks"].open("ab") as file:
        file.write(b"x")
    assert not is_cached(embedded.ledger)
    with Sql(ensure_export(embedded.ledger)) as database:
        assert list(database.ask("SELECT count(*) FROM blocks")) == [(embedded.ledger.tip_height + 1,)]
