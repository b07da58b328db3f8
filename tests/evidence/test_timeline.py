"""The timeline puts each content at its earliest believable time, beside the leads' payments, and claims no link."""

import csv
import json
import os
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from timeline_leads import write_leads
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import UsageError
from geldspur.evidence.timeline.bins import span, span_of
from geldspur.evidence.timeline.events import SECOND, from_utc
from geldspur.evidence.timeline.filetimes import why_implausible
from geldspur.evidence.timeline.picture import Series, draw

SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments):
    return CliRunner().invoke(app, ["evidence", *map(str, arguments)])


def at(text: str) -> int:
    return from_utc(text) // SECOND


def put(path, content: bytes, time: str) -> None:
    path.write_bytes(content)
    os.utime(path, (at(time), at(time)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A made tree beside a made site's money: its scan, and the timeline of both."""
    folder = tmp_path_factory.mktemp("timeline")
    write_leads(folder / "leads")
    source = folder / "source"
    source.mkdir()
    put(source / "=cmd.bin", b"same bytes", "2021-06-20T10:00:00Z")
    put(source / "earlier.bin", b"same bytes", "2021-06-14T10:00:00Z")
    put(source / "<b>\u202e.bin", b"second", "2021-06-15T00:00:00Z")
    put(source / "ancient.bin", b"third", "2003-01-01T00:00:00Z")
    put(source / "unset.bin", b"fourth", "1970-01-01T00:00:00Z")
    put(source / "tomorrow.bin", b"fifth", "2099-01-01T00:00:00Z")
    put(source / "empty.bin", b"", "2021-06-15T00:00:00Z")
    with zipfile.ZipFile(source / "z.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("dos.bin", (2021, 6, 16, 12, 0, 0)), b"sixth")
        archive.writestr(zipfile.ZipInfo("dos-zero.bin"), b"seventh")
    os.utime(source / "z.zip", (at("2021-06-17T00:00:00Z"),) * 2)
    done = run("scan", source, "--out", folder / "scan", "--no-fingerprints")
    assert done.exit_code == 0, done.output
    done = run("timeline", folder / "scan", "--leads", folder / "leads", "--out", folder / "out")
    assert done.exit_code == 0, done.output
    assert "Coincidence in time is not a link" in done.output
    return folder


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files(made):
    return {row["path"]: row for row in table(made / "out" / "timeline.csv") if row["what"] == "file"}


@pytest.mark.assertion("EV-TL-02", "The timeline holds every payment, cash-out and payout of the leads.")
def test_rows_go_by_time_and_hold_every_payment_cashout_and_payout(made):
    rows = table(made / "out" / "timeline.csv")
    times = [from_utc(row["time_utc"][:26].rstrip("Z") + "Z") for row in rows]
    assert times == sorted(times)
    for what, name in (("payment", "leads"), ("cashout", "cashouts"), ("payout", "payouts")):
        lines = (made / "leads" / f"{name}.jsonl").read_text().splitlines()
        stated = sorted(
            (p["txid"], p["vout"], p["value_sat"], p["time"]) for p in (json.loads(x)["payment"] for x in lines)
        )
        own = [row for row in rows if row["what"] == what]
        assert stated
        assert sorted((r["txid"], int(r["vout"]), int(r["value_sat"]), r["time_utc"]) for r in own) == stated


def test_a_content_stands_once_at_the_earliest_time_of_its_names(made):
    found = files(made)
    assert found["earlier.bin"]["time_utc"] == "2021-06-14T10:00:00Z"
    assert found["earlier.bin"]["description"] == "file, 2 names hold these bytes, this one of the earliest time"
    assert not [path for path in found if "cmd" in path]
    assert not [path for path in found if "empty" in path]


def test_a_zip_time_carries_its_unknown_zone(made):
    row = files(made)["z.zip!dos.bin"]
    assert row["time_utc"] == "2021-06-16T12:00:00Z"
    assert row["source_of_time"] == (
        "modified, by zip-dos (local time of an unknown zone, read as if it were UTC: up to 14 hours off)"
    )


@pytest.mark.assertion("EV-TL-01", "Times that can't be true are kept apart, with the reason.")
def test_times_that_cannot_be_true_are_kept_apart_with_the_reason(made):
    kept = {(row["path"], row["reason"].split(":")[0]) for row in table(made / "out" / "implausible.csv")}
    assert kept == {
        ("unset.bin", "1970-01-01 or before"),
        ("z.zip!dos-zero.bin", "1980-01-01"),
        ("tomorrow.bin", "later than the scan"),
    }
    assert "z.zip!dos-zero.bin" not in files(made)


@pytest.mark.parametrize(
    ("time", "believed"),
    [
        ("1969-12-31T12:00:00Z", False),
        ("1970-01-01T14:00:00Z", False),  # an unset time, seen from a zone in the east
        ("1970-01-02T00:00:00Z", True),
        ("1979-12-31T10:00:00Z", False),
        ("1980-01-01T13:59:00Z", False),
        ("1980-01-02T00:00:00Z", True),
        ("2021-06-01T00:00:00Z", True),
        ("2021-06-01T00:00:01Z", False),
    ],
)
def test_a_stored_zero_is_told_in_every_zone_and_the_scan_is_the_end(time, believed):
    assert (why_implausible(from_utc(time), from_utc("2021-06-01T00:00:00Z")) is None) == believed


def test_the_picture_counts_what_the_table_holds_and_loads_nothing(made):
    raw = (made / "out" / "timeline.svg").read_text()
    picture = ElementTree.fromstring(raw)
    titles = [title.text for title in picture.iter(f"{SVG}title")]
    rows = table(made / "out" / "timeline.csv")
    for what, noun in (("payment", "payment"), ("cashout", "cash-out"), ("payout", "payout")):
        drawn = sum(int(found[1]) for title in titles if (found := re.match(rf"(\d+) {noun}s?,", title)))
        own = sum("that investigators made" in row["description"] for row in rows if row["what"] == what)
        assert own == (what == "payment")
        assert drawn == sum(row["what"] == what for row in rows) - own
    words = " ".join(text.text for text in picture.iter(f"{SVG}text"))
    drawn = sum(int(found[1]) for title in titles if (found := re.match(r"(\d+) distinct files?,", title)))
    outside = sum(int(number) for number in re.findall(r"(?:before|after): (\d+) distinct", words))
    assert drawn + outside == len(files(made))
    assert "Coincidence in time is not a link" in words
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {
        "svg",
        "title",
        "desc",
        "rect",
        "line",
        "text",
    }
    assert not re.search(r"href|url\(|@import|<script|on\w+=", raw)
    assert "http" not in raw.replace("http://www.w3.org/2000/svg", "")


def test_names_are_inert_in_the_table_and_masked_on_request(made):
    raw = (made / "out" / "timeline.csv").read_text()
    assert "\u202e" not in raw and "\n=" not in raw and ",=" not in raw
    done = run("timeline", made / "scan", "--leads", made / "leads", "--out", made / "masked", "--mask-names")
    assert done.exit_code == 0, done.output
    for path in (made / "masked").iterdir():
        assert b"earlier.bin" not in path.read_bytes() and b"unset.bin" not in path.read_bytes()


def test_the_same_input_gives_the_same_bytes_and_neither_input_changes(made):
    before = {path: path.read_bytes() for folder in (made / "out", made / "scan") for path in folder.iterdir()}
    run("timeline", made / "scan", "--leads", made / "leads", "--out", made / "out")
    assert {path: path.read_bytes() for path in before} == before


def test_the_output_goes_neither_into_the_scan_nor_over_something_else(made):
    for place in (made / "scan" / "x", made / "source" / "x", made, made / "leads"):
        result = run("timeline", made / "scan", "--leads", made / "leads", "--out", place)
        assert isinstance(result.exception, UsageError), place


def test_a_source_whose_name_is_no_text_is_protected_too(made, tmp_path):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/exhibit-\xff"))
    source.mkdir()
    put(source / "a.bin", b"kept", "2021-06-15T00:00:00Z")
    assert run("scan", source, "--out", tmp_path / "scan", "--no-fingerprints").exit_code == 0
    result = run("timeline", tmp_path / "scan", "--leads", made / "leads", "--out", source / "timeline")
    assert "inside the source" in str(result.exception)
    assert [path.name for path in source.iterdir()] == ["a.bin"]


def test_a_folder_without_leads_is_wrong_use(made):
    result = run("timeline", made / "scan", "--leads", made / "source", "--out", made / "no")
    assert isinstance(result.exception, UsageError) and "not a leads directory" in str(result.exception)
    assert not (made / "no").exists()


def test_a_panel_without_a_bar_says_so():
    drawn = span(datetime(2021, 6, 1, tzinfo=UTC), datetime(2021, 6, 20, tzinfo=UTC))
    bars = [0] * (len(drawn.borders) - 1)
    picture = draw(drawn, Series("file", bars, 0, 6), [Series("payment", [1, *bars[1:]], 0, 0)], [])
    assert picture.count("none in this span") == 1


@pytest.mark.parametrize(
    ("first", "last", "unit"),
    [
        ("2021-06-01T00:00:00Z", "2021-06-02T00:00:00Z", "hour"),
        ("2021-06-01T00:00:00Z", "2021-07-20T00:00:00Z", "day"),
        ("2021-06-01T00:00:00Z", "2022-07-20T00:00:00Z", "week"),
        ("2015-02-03T00:00:00Z", "2021-06-20T00:00:00Z", "month"),
        ("1971-02-03T00:00:00Z", "2021-06-20T00:00:00Z", "year"),
    ],
)
def test_bars_are_whole_units_of_the_calendar_that_cover_the_span_once(first, last, unit):
    begin, end = (datetime.fromisoformat(text).astimezone(UTC) for text in (first, last))
    made = span(begin, end)
    assert made.unit == unit
    assert made.borders[0] <= begin and made.borders[-2] < end <= made.borders[-1]
    assert len(made.borders) <= 93
    counts, before, after = made.count(from_utc(f"{border:%Y-%m-%dT%H:%M:%S}Z") for border in made.borders)
    assert (set(counts), before, after) == ({1}, 0, 1)


def test_files_of_decades_do_not_flatten_the_months_of_the_money():
    money = [from_utc("2021-06-01T00:00:00Z"), from_utc("2021-06-20T00:00:00Z")]
    drawn = span_of([from_utc("1999-01-01T00:00:00Z"), from_utc("2021-06-10T00:00:00Z")], money)
    assert drawn.unit == "day"
    assert drawn.borders[0] >= datetime(2021, 5, 12, tzinfo=UTC) and drawn.borders[-1] >= datetime(
        2021, 6, 20, tzinfo=UTC
    )
