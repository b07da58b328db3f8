"""The number chain: figures that anybody can run again, sums that close, forged figures that are found."""

import sqlite3
from dataclasses import replace

import pytest
from evidence_report_sample import HOSTILE, LIST_A, LIST_B, LIST_D, make_scan

from geldspur.errors import GeldspurError
from geldspur.evidence.report import numbers, recheck, write_report
from geldspur.evidence.report.figures import Figure, share
from geldspur.evidence.report.lists import MEANINGS
from geldspur.evidence.store import DATABASE, open_to_read, open_to_write


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path / "scan")


def by_name(folder):
    with open_to_read(folder) as store:
        return {figure.name: figure for figure in numbers(store)}


def change(folder, *statements):
    with open_to_write(folder) as store:
        store.db.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            store.db.execute(statement)


@pytest.mark.assertion("EV-RO-01", "The report's figures are those that a count by hand of the same files gives.")
def test_figures_are_those_counted_by_hand(scan):
    values = {name: figure.value for name, figure in by_name(scan).items()}
    a, b, d = (f"list.{sha256.hex()[:16]}" for sha256 in (LIST_A, LIST_B, LIST_D))
    # 13 names, 12 hostile ones and an archive were read; 5 names were not.
    expected = {
        "files.found": 13 + len(HOSTILE) + 1 + 5, "files.hashed": 26, "files.unreadable": 2, "files.skipped": 3,
        "files.unreadable.error": 1, "files.unreadable.vanished": 1, "files.skipped.encrypted": 1,
        "files.skipped.symlink": 1, "files.skipped.special": 1,
        "files.hard_links": 1, "files.empty": 1, "files.deleted": 2, "files.repeated": 1, "files.members": 1,
        "files.sparse": 1, "archives.found": 1, "archives.refused": 0, "folders.found": 2, "folders.unreadable": 1,
        "contents.unique": 17, "files.duplicates": 9, "videos.unique": 4, "images.unique": 2, "other.unique": 10,
        "unfingerprinted.unique": 1, "unfingerprinted.crashed": 1, "media.not_searchable": 1, "frames.poor": 2,
        "distinct.compared": 5, "distinct.groups": 4, "distinct.videos": 3, "distinct.images": 1,
        "videos.identical": 1, "videos.near": 1, "videos.unknown": 2, "images.near": 1, "images.unknown": 1,
        "contents.benign": 1, "contents.empty": 1, "contents.unknown": 12, "files.identical": 2, "files.near": 2,
        "near.most": 2, "near.some": 0, "near.weak": 1,
        f"{a}.md5": 1, f"{a}.pdq": 3, f"{a}.unmatchable.photodna": 250, f"{b}.md5": 1, f"{d}.identical": 0,
        f"{a}.identical.category.1": 1, f"{b}.identical.category.A": 1,
        "error.pdq.decoy.wrong": 1, "error.pdq.decoy.tried": 5000,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert "50.0 % of the 4 unique videos" in by_name(scan)["videos.unknown"].sentence


@pytest.mark.assertion("EV-RO-02", "Each printed query, run with SQLite alone, gives the printed value.")
def test_every_query_run_elsewhere_gives_its_value(scan):
    figures = by_name(scan).values()
    with sqlite3.connect(f"{(scan / DATABASE).as_uri()}?mode=ro", uri=True) as db:
        assert [db.execute(figure.sql).fetchall() for figure in figures] == [[(figure.value,)] for figure in figures]
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(f"{figure.value:,}" in figure.sentence for figure in figures)


@pytest.mark.assertion("EV-RO-03", "A report whose sums do not close is refused, and the message says what is off.")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entry SET state = 'found', content = NULL WHERE path = x'656d707479'", "files.found 31 is not"),
        ("UPDATE entry SET members = 'pending' WHERE members = 'listed'", "archives.waiting 1"),
        ("UPDATE entry SET state = 'found' WHERE kind = 'directory' AND state = 'listed'", "folders.waiting 1"),
        ("UPDATE entry SET content = NULL WHERE path = x'656d707479'", "files.hashed 26 is not contents.unique"),
        ("UPDATE content SET media = 'pending' WHERE media = 'video'", "contents.pending 4"),
        (
            "INSERT INTO content VALUES (99, 5, x'01', x'02', x'03', x'04', 'other', NULL, NULL, NULL)",
            "contents.stored 18",
        ),
        ("DELETE FROM media WHERE content = 5", "media.unique 5 is not"),
        ("DELETE FROM cluster WHERE content = 5", "media.unique 6 is not distinct.compared"),
    ],
)
def test_numbers_that_do_not_close_are_refused(scan, tmp_path, statement, said):
    change(scan, statement)
    with pytest.raises(GeldspurError, match="do not close") as refused:
        write_report(scan, tmp_path / "out", pdf=False)
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.assertion(
    "EV-RO-04", "A changed value, sentence or query of a stated figure is found when figures are re-run."
)
def test_forged_figures_are_found(scan):
    with open_to_read(scan) as store:
        true = numbers(store)
        assert recheck(store, true) == []
        at = next(place for place, figure in enumerate(true) if figure.name == "videos.unknown")
        unknown = true[at]
        for forged, why in (
            (replace(unknown, value=1), "states 1, its query gives 2"),
            (replace(unknown, value=1, sql="SELECT 1"), "states another query"),
            (replace(unknown, sentence="All videos are known."), "its sentence should read"),
            (replace(unknown, sql="DELETE FROM entry"), "states another query"),
            (Figure("videos.harmless", 2, "Harmless: 2.", "SELECT 2"), "is no figure of this scan"),
        ):
            found = recheck(store, [*true[:at], forged, *true[at + 1 :]])
            assert any(why in difference.why for difference in found), why
        assert [(d.name, d.why) for d in recheck(store, true[1:])] == [("files.found", "is missing")]


def test_what_lies_between_two_levels_is_told(scan):
    known, unknown = (
        "(SELECT content FROM hit WHERE method = 'sha1')",
        "(SELECT content FROM hit WHERE method = 'sha256')",
    )
    assert by_name(scan)["unknown.alike"].value == by_name(scan)["contents.contested"].value == 0
    change(
        scan,
        f"UPDATE cluster SET cluster = {known} WHERE content NOT IN (SELECT content FROM hit)",
        f"UPDATE hit SET content = {known} WHERE content = {unknown}",
    )
    assert by_name(scan)["unknown.alike"].value == 2
    assert by_name(scan)["contents.contested"].value == 1
    assert by_name(scan)["contents.identical"].value == 1


def test_what_a_list_itself_calls_non_pertinent_is_never_counted_as_reported_material(scan):
    a = f"list.{LIST_A.hex()[:16]}"
    only_a = f"(SELECT id FROM hash_list WHERE sha256 = x'{LIST_A.hex()}')"
    change(scan, f"DELETE FROM hit WHERE list <> {only_a}", "UPDATE hit SET category = '0'")

    change(scan, "UPDATE hash_list SET scheme = 'ZZ'")  # a scheme that is not known: printed, not interpreted
    figures = by_name(scan)
    assert (figures["contents.identical"].value, figures["contents.near"].value) == (1, 2)
    assert "category “0” (scheme ZZ)" in figures[f"{a}.identical.category.0"].sentence

    change(scan, "UPDATE hash_list SET scheme = 'US'")
    figures = by_name(scan)
    assert (figures["contents.identical"].value, figures["contents.near"].value) == (0, 0)
    assert (figures["contents.benign"].value, figures["unknown.near_benign"].value) == (1, 2)
    assert "category “0” (scheme US: non-pertinent)" in figures[f"{a}.benign.category.0"].sentence
    assert f"{a}.identical.category.0" not in figures
    with open_to_read(scan) as store:
        (row,) = (row for row in store.db.execute("SELECT says FROM statement WHERE method = 'md5'"))
    assert row == ("benign",)
    assert all((scheme, category) in (("US", "0"),) for scheme, category in MEANINGS)  # the view knows these only


def test_without_a_list_nothing_is_said_of_known_and_unknown(tmp_path):
    figures = by_name(make_scan(tmp_path / "scan", matched=False))
    assert figures["contents.unique"].value == 17
    assert not [name for name in figures if name.endswith((".unknown", ".identical", ".near"))]
    assert "distinct.groups" not in figures


def test_a_share_is_never_rounded_to_all_or_nothing():
    assert share(452, 1000) == "45.2 %"
    assert share(1, 250_000) == "less than 0.1 %"
    assert share(249_999, 250_000) == "more than 99.9 %"
    assert share(0, 3) == "0.0 %"
    assert share(3, 3) == "100.0 %"
