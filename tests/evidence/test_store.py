"""The scan directory keeps rows and log together."""

import pytest

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.store import new_or_unfinished, open_to_read
from geldspur.proof.chainlog import breaks


@pytest.mark.assertion("EV-CU-01", "Rows and the log's record of them are written together or not at all.")
def test_a_failed_change_leaves_neither_rows_nor_records(tmp_path):
    with new_or_unfinished(tmp_path / "scan") as store:
        with store.change() as db:
            db.execute("INSERT INTO about VALUES ('source', 'x')")
            store.log("begun", source=b"\xff")
        with pytest.raises(ZeroDivisionError), store.change() as db:
            db.execute("INSERT INTO about VALUES ('tool', 'y')")
            store.log("lost")
            raise ZeroDivisionError
        with store.change():
            store.log("next")
    with open_to_read(tmp_path / "scan") as store:
        assert store.about() == {"schema": "1", "source": "x"}
        records = list(store.db.execute("SELECT * FROM log ORDER BY seq"))
        assert [seq for seq, _, _ in records] == [1, 2]
        assert not list(breaks(records))


@pytest.mark.assertion("EV-CU-02", "An edited record of the log is found by its number.")
def test_an_edited_record_is_found_by_its_number(tmp_path):
    with new_or_unfinished(tmp_path / "scan") as store:
        for number in range(5):
            with store.change():
                store.log("event", number=number)
        records = list(store.db.execute("SELECT * FROM log ORDER BY seq"))
    forged = list(records)
    forged[2] = (3, records[2][1].replace('"number":2', '"number":7'), records[2][2])
    assert list(breaks(forged)) == [3]
    assert list(breaks(records[:2] + records[3:])) == [4]


def test_a_second_writer_and_a_foreign_folder_are_refused(tmp_path):
    again = new_or_unfinished(tmp_path / "scan")
    with new_or_unfinished(tmp_path / "scan"), pytest.raises(GeldspurError, match="another process"), again:
        pass
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("kept")
    with pytest.raises(UsageError, match="holds no scan"), new_or_unfinished(tmp_path / "photos"):
        pass
    with pytest.raises(UsageError, match="not a scan directory"), open_to_read(tmp_path):
        pass


def test_a_kill_before_the_database_was_made_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "lock").touch()
    with new_or_unfinished(tmp_path / "scan") as store, store.change():
        store.log("begun")
    (tmp_path / "scan" / "scan.sqlite").write_bytes(b"")
    with new_or_unfinished(tmp_path / "scan") as store:
        assert store.head[0] == 0
