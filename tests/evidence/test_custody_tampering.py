"""Whatever cell of a sealed scan is edited, and whatever row is dropped or added, `verify` says so."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from custody_scan import make_scan, make_source
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.custody import Against, seal, verify
from geldspur.evidence.custody.tables import DIGESTS
from geldspur.evidence.store import open_to_write
from geldspur.proof.chainlog import START, next_hash
from geldspur.proof.keys import make_key, read_private, read_public

TABLES = [*DIGESTS, "log"]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A sealed and signed scan; tests copy it before they spoil it."""
    folder = tmp_path_factory.mktemp("custody")
    make_scan(folder / "scan", make_source(folder / "source"))
    make_key(folder / "key.pem")
    with open_to_write(folder / "scan") as store:
        seal(store, read_private(folder / "key.pem", lambda: None))
    return folder


@pytest.fixture
def scan(room, tmp_path):
    shutil.copytree(room / "scan", tmp_path / "scan")
    return tmp_path / "scan"


def spoiler(folder: Path) -> sqlite3.Connection:
    """A connection of somebody whom the schema's rules do not bind."""
    db = sqlite3.connect(folder / "scan.sqlite", isolation_level=None)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA ignore_check_constraints = ON")
    return db


def failed(folder: Path) -> list[str]:
    return [check.name for check in verify(folder).checks if check.state == "failed"]


def other(value):
    """Another value of the same type, and what a careful forger would take: as small a change as there is."""
    if value is None:
        return [1, "x", b"x"]
    if isinstance(value, int):
        return [value + 1, value + 1000, None]
    if isinstance(value, str):
        return [value + "\0", value.upper() if value.upper() != value else value + " ", None]
    return [value[:-1] + bytes([value[-1] ^ 1]) if value else b"\0", value + b"\0"]


def test_an_untouched_scan_has_no_failed_check(scan):
    assert failed(scan) == []


def edits(folder: Path, table: str, where: str = "TRUE"):
    """Edit each cell of a table in turn, give its column and whether `verify` finds it, and put it back."""
    db = spoiler(folder)
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    rows = db.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where}").fetchall()
    key = " AND ".join(f"{column} IS ?" for column in columns)
    for row in rows:
        for number, column in enumerate(columns):
            for value in other(row[number]):
                try:
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE {key}", (value, *row))
                except sqlite3.Error:  # NOT NULL, a key, or the type: SQLite itself refuses
                    continue
                yield column, bool(failed(folder))
                now = [*row[:number], value, *row[number + 1 :]]
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {key}", (row[number], *now))
    db.close()


@pytest.mark.assertion("EV-CU-03", "Every edited cell of a sealed scan is found.")
@pytest.mark.parametrize("table", TABLES)
def test_every_edited_cell_of_a_sealed_scan_is_found(scan, table):
    tried = list(edits(scan, table))
    with sqlite3.connect(scan / "scan.sqlite") as db:
        assert {column for column, _ in tried} == {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    assert [column for column, found in tried if not found] == []
    assert failed(scan) == []


def test_without_a_seal_the_log_alone_covers_what_the_page_says(room, tmp_path):
    """The list in docs/custody.md of what only a seal protects."""
    scan = make_scan(tmp_path / "scan", room / "source")
    of_files = {"entry": "kind <> 'directory'"}
    unfound = {
        f"{table}.{column}"
        for table in DIGESTS
        for column, found in edits(scan, table, of_files.get(table, "TRUE"))
        if not found
    }
    page = (Path(__file__).parents[2] / "docs" / "custody.md").read_text()
    block = page.split("<!-- only a seal -->")[1].split("<!-- end -->")[0]
    told = {
        f"{table}.{column}"
        for table, columns in re.findall(r"`(\w+)`: ([^;.]+)[;.]", block)
        for column in re.findall(r"\w+", columns)
    }
    assert unfound == told


@pytest.mark.assertion("EV-CU-04", "Every deleted and every doubled row of a sealed scan is found.")
@pytest.mark.parametrize("table", TABLES)
def test_every_deleted_and_every_doubled_row_is_found(scan, table):
    db = spoiler(scan)
    rows = db.execute(f"SELECT * FROM {table}").fetchall()
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    key = " AND ".join(f"{column} IS ?" for column in columns)
    marks = ", ".join("?" for _ in columns)
    for row in rows:
        db.execute(f"DELETE FROM {table} WHERE {key}", row)
        assert failed(scan), f"deleted {row}"
        db.execute(f"INSERT INTO {table} VALUES ({marks})", row)
        assert not failed(scan)
        for number in range(len(row)):  # SQLite refuses the second row until what makes its key differs
            added = [*row[:number], other(row[number])[0], *row[number + 1 :]]
            try:
                db.execute(f"INSERT INTO {table} VALUES ({marks})", added)
            except sqlite3.Error:
                continue
            assert failed(scan), f"added {added}"
            db.execute(f"DELETE FROM {table} WHERE {key}", added)
    assert not failed(scan)


def states(folder: Path, key=None) -> dict[str, str]:
    return {check.name: check.state for check in verify(folder, Against(key=key)).checks}


def rechain(folder: Path, db: sqlite3.Connection) -> None:
    """What a forger who knows the program does after an edit of the log: compute every hash anew."""
    before = START
    for seq, event in db.execute("SELECT seq, event FROM log ORDER BY seq").fetchall():
        before = next_hash(before, event)
        db.execute("UPDATE log SET hash = ? WHERE seq = ?", (before, seq))


@pytest.mark.assertion("EV-CU-05", "A log that was cut off is found by its manifest.")
def test_a_log_that_was_cut_off_is_found_by_its_manifest(scan):
    db = spoiler(scan)
    db.execute("DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)")
    check = next(check for check in verify(scan).checks if check.name == "manifest")
    assert check.state == "failed" and "the log was cut off: the manifest was made at record" in check.words
    (scan / "manifest.json").unlink()
    assert states(scan)["manifest"] == "not checked"


def test_a_record_edited_with_every_later_hash_made_anew_is_found_by_the_manifest(scan):
    db = spoiler(scan)
    db.execute("UPDATE log SET event = replace(event, 'geldspur 0', 'geldspur 9') WHERE seq = 1")
    assert states(scan)["log"] == "failed"
    rechain(scan, db)
    found = states(scan)
    assert (found["log"], found["manifest"]) == ("ok", "failed")


def test_who_makes_everything_anew_is_found_by_the_key_that_is_known_and_by_nothing_else(room, scan):
    """Rows, log, manifest and signature, all by the program itself: that is what a signature is for."""
    db = spoiler(scan)
    db.execute("UPDATE entry SET modified_ns = 7 WHERE path = CAST('four.bin' AS BLOB)")
    db.execute("DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)")
    db.close()
    (scan / "manifest.json.sig").unlink()
    make_key(scan.parent / "forger.pem")
    with open_to_write(scan) as store:
        seal(store, read_private(scan.parent / "forger.pem", lambda: None))
    assert "failed" not in states(scan).values()
    assert states(scan)["signer"] == "not checked"
    assert states(scan, read_public(room / "key.pub.pem"))["signer"] == "failed"
    (scan / "manifest.json.sig").unlink()
    assert states(scan)["signature"] == "not checked"
    assert states(scan, read_public(room / "key.pub.pem"))["signature"] == "failed"


def test_a_seal_refuses_rows_that_changed_without_a_record(scan):
    spoiler(scan).execute("UPDATE media SET width = 63")
    again = open_to_write(scan)
    with again as store, pytest.raises(GeldspurError, match="rows changed that no record of the log tells of: media"):
        seal(store)


def test_work_after_a_seal_is_said_and_not_taken_for_tampering(room, scan):
    with open_to_write(scan) as store:
        with store.change() as db:
            db.execute("DELETE FROM hit WHERE method = 'pdq'")
            store.log("matched", list="L", sha256=bytes(range(32)), method="pdq", hits=0)
        with pytest.raises(UsageError, match="the last seal is signed, and the scan changed since"):
            seal(store)
    found = states(scan)
    assert "failed" not in found.values()
    assert found["tables"] == "not checked"
    with open_to_write(scan) as store:
        seal(store, read_private(room / "key.pem", lambda: None))
    assert states(scan, read_public(room / "key.pub.pem"))["tables"] == "ok"


def test_sealing_again_changes_no_byte_and_two_scans_of_a_source_agree(room, scan, tmp_path):
    before = {path.name: path.read_bytes() for path in scan.iterdir() if path.suffix in {".json", ".jsonl", ".sig"}}
    with open_to_write(scan) as store:
        seal(store)
    assert {name: (scan / name).read_bytes() for name in before} == before
    second = make_scan(tmp_path / "second", room / "source")
    with open_to_write(second) as store:
        seal(store)
    tables = [json.loads((folder / "manifest.json").read_bytes())["tables"] for folder in (scan, second)]
    assert tables[0] == tables[1]


def test_anyone_can_run_a_digest_again_with_sqlite_alone(scan):
    stated = json.loads((scan / "manifest.json").read_bytes())["tables"]
    db = sqlite3.connect(scan / "scan.sqlite")
    for table in stated.values():
        lines = "".join(line + "\n" for (line,) in db.execute(table["query"]))
        assert hashlib.sha256(lines.encode()).hexdigest() == table["sha256"]


@pytest.mark.assertion("EV-CU-06", "Verifying writes nothing.")
def test_verifying_writes_nothing(scan):
    def picture():
        return {
            path.relative_to(scan).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino)
            for path in [scan, *scan.rglob("*")]
        }

    before = picture()
    verify(scan)
    assert picture() == before


def test_a_trigger_that_somebody_added_is_found(scan):
    spoiler(scan).execute("CREATE TRIGGER t AFTER INSERT ON hit BEGIN DELETE FROM hit; END")
    assert "database" in failed(scan)


COMMANDS = (
    ("status",), ("report", "--out", "report", "--no-pdf"), ("match", "--list", "list.txt", "--no-error"),
    ("scan",), ("deep",), ("seal",), ("verify",),
)  # fmt: skip
SPOILT = {
    "cut": None,
    "no table": "DROP TABLE hit",
    "a log of no JSON": "UPDATE log SET event = '{' WHERE seq = 2",
    "no JSON": "UPDATE about SET value = '{' WHERE key IN ('describe', 'options')",
    "an archive in itself": "UPDATE entry SET parent = id",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_no_command_stumbles_over_a_database_that_was_edited(room, scan, tmp_path, monkeypatch, spoilt):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("0" * 31 + "1\n")
    for name in ("manifest.json", "manifest.json.sig"):
        (scan / name).unlink()
    if SPOILT[spoilt] is None:
        os.truncate(scan / "scan.sqlite", (scan / "scan.sqlite").stat().st_size // 2)
    else:
        with spoiler(scan) as db:
            db.execute(SPOILT[spoilt])
    for command, *options in COMMANDS:
        where = [str(room / "source"), "--out", str(scan)] if command == "scan" else [str(scan)]
        more = ["--source", str(room / "source"), "--all"] if command == "verify" else options
        result = CliRunner().invoke(app, ["evidence", command, *where, *more])
        assert isinstance(result.exception, GeldspurError | SystemExit | None), (command, result.exception)
        assert command != "verify" or result.exit_code
