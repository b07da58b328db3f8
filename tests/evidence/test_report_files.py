"""The report's files: equal twice, deaf to hostile names, honest in three levels, readable by other programs."""

import csv
import hashlib
import io
import json
import re
import sqlite3
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime

import ijson
import pytest
from evidence_report_sample import CLOCK, HOSTILE, LIST_A, LIST_D, make_scan
from pypdf import PdfReader

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.names import raw, shown
from geldspur.evidence.report import write_report
from geldspur.evidence.store import DATABASE, open_to_read, open_to_write

NAMES = {
    "case-uco.jsonld", "files.csv", "hits.csv", "lists.csv", "manifest.json", "numbers.csv", "report.json",
    "report.pdf", "unreadable.csv", "vics.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report = write_report(make_scan(folder / "scan"), folder / "out")
    masked = write_report(folder / "scan", folder / "masked", mask_names=True)
    return folder, report, masked


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def table(folder, name):
    return list(csv.DictReader(io.StringIO((folder / name).read_text(), newline="")))


def pdf_text(folder):
    return "\n".join(page.extract_text() for page in PdfReader(folder / "report.pdf").pages)


def test_the_shares_of_a_level_row_are_shares_of_its_sum(made):
    folder, _, _ = made
    text = " ".join(pdf_text(folder / "out").split())
    row = text.partition("Files by name ")[2].split()[:20]
    shares = [float(row[at - 1]) for at, word in enumerate(row) if word == "%"][:5]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert '"filesystem"' not in text  # what the scan recorded as JSON is told in words


@pytest.mark.assertion(
    "EV-RO-05", "Two reports on one state of a scan are equal in every byte; none tells when it was made."
)
def test_a_second_report_has_the_same_bytes(made, tmp_path):
    folder, report, _ = made
    write_report(folder / "scan", tmp_path / "again")
    assert content(tmp_path / "again") == content(folder / "out")
    assert set(content(folder / "out")) == NAMES
    assert report.made_time == CLOCK
    today = datetime.now(UTC).date().isoformat()
    assert not [name for name, data in content(folder / "out").items() if today.encode() in data]
    assert today not in pdf_text(folder / "out")


@pytest.mark.assertion(
    "EV-RO-06", "The order in which files were found or read changes nothing in the report's tables."
)
def test_the_order_of_finding_leaves_no_trace(made, tmp_path):
    folder, _, _ = made
    scan = make_scan(tmp_path / "scan")
    db = sqlite3.connect(scan / DATABASE, isolation_level=None)
    db.execute("PRAGMA foreign_keys = OFF")
    for table_name, columns in (
        ("entry", ("id", "parent")), ("hash_list", ("id",)),
    ):  # fmt: skip
        for column in columns:
            db.execute(f"UPDATE {table_name} SET {column} = -{column}")
    for table_name, columns in (
        ("content", ("id",)), ("entry", ("content",)), ("media", ("content",)), ("frame", ("content",)),
        ("hit", ("content", "list")), ("cluster", ("content", "cluster")),
    ):  # fmt: skip
        for column in columns:
            db.execute(f"UPDATE {table_name} SET {column} = -{column}")
    db.close()
    write_report(scan, tmp_path / "out")
    assert content(tmp_path / "out") == content(folder / "out")


@pytest.mark.assertion(
    "EV-RO-07", "The manifest lists every file of the report, and the scan's log holds the same digests."
)
def test_manifest_and_log_hold_every_file(made):
    folder, report, _ = made
    files = content(folder / "out")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    listed = {entry["path"]: entry["sha256"] for entry in json.loads(files["manifest.json"])["files"]}
    assert listed == {name: value for name, value in digests.items() if name != "manifest.json"}
    with open_to_read(folder / "scan") as store:
        events = [json.loads(event) for (event,) in store.db.execute("SELECT event FROM log")]
    assert digests in [event["files"] for event in events if event["kind"] == "report"]
    assert report.files == digests
    assert {path.stat().st_mode & 0o777 for path in (folder / "out").iterdir()} == {0o600}


@pytest.mark.assertion("EV-RO-08", "No file name runs as a formula, turns the reading order or is lost in any output.")
def test_hostile_names_are_shown_and_do_nothing(made):
    folder, _, _ = made
    rows = table(folder / "out", "files.csv")
    assert set(HOSTILE) < {raw(row["path"]) for row in rows}
    assert all(raw(row["path"]) == bytes.fromhex(row["path_hex"]) for row in rows if row["path_hex"])
    assert all(row["path"].encode() == raw(row["path"]) for row in rows if not row["path_hex"])
    assert [row["path"] for row in rows] == sorted((row["path"] for row in rows), key=raw)
    for name in ("files.csv", "hits.csv", "unreadable.csv", "numbers.csv", "lists.csv"):
        text = (folder / "out" / name).read_text()
        cells = [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]
        assert not [cell for cell in cells if re.search(r"(^|;)\s*[=+\-@\t\r]", cell)], name
        assert not [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")], name
    media = json.loads((folder / "out" / "vics.json").read_text())["value"][0]["Media"]
    assert {file["FilePath"] for one in media for file in one["MediaFiles"]} >= {"videos/near.mp4"}


def test_the_pdf_sets_a_hostile_name_as_it_stands(tmp_path):
    scan = make_scan(tmp_path / "scan")
    name = '#image("x.png") $x$ *b* <label> rtl\u202egpj.mp4'.encode()
    with sqlite3.connect(scan / DATABASE) as db:
        db.execute("UPDATE entry SET path = ? WHERE path = ?", (name, b"videos/near.mp4"))
        db.execute("UPDATE hash_list SET name = '=A*b*#c\u202e' WHERE name = 'Agency A'")
    write_report(scan, tmp_path / "out")
    text = pdf_text(tmp_path / "out").replace("\n", "")
    assert shown(name).replace(" ", "") in text.replace(" ", "")
    assert "=A*b*#c\\u{202e}" in text
    assert "\u202e" not in text


@pytest.mark.assertion("EV-RO-09", "With --mask-names no name of a file stands in any output.")
def test_masked_names_stand_nowhere(made):
    folder, _, _ = made
    with open_to_read(folder / "scan") as store:
        paths = [path for (path,) in store.db.execute("SELECT path FROM entry")]
    parts = {part for path in paths for part in re.split(rb"[/!]", path) if len(part) > 4} - {b"image"}
    parts -= {b"videos", b"empty", b"known", b"locked"}  # words that the report itself uses
    outputs = {name: data for name, data in content(folder / "masked").items() if name != "report.pdf"}
    outputs["report.pdf"] = pdf_text(folder / "masked").encode()
    for name, data in outputs.items():
        found = [part for part in parts if part in data or shown(part).encode() in data or part.hex().encode() in data]
        assert not found, (name, found)
    rows = table(folder / "masked", "files.csv")
    assert len({row["path"] for row in rows}) == len(rows)
    known = [row["path"] for row in rows if row["level"] == "identical"]
    assert known == [f"{hashlib.sha256(b'known').hexdigest()[:16]}-{number}" for number in (1, 2)]


@pytest.mark.assertion(
    "EV-RO-10", "Identical, near and unknown are never merged; each match names list, version and scheme."
)
def test_the_levels_stay_apart(made):
    folder, _, _ = made
    hits = table(folder / "out", "hits.csv")
    assert {(hit["level"], hit["method"]) for hit in hits} == {
        ("identical", "md5"), ("identical", "sha1"), ("near", "pdq"), ("benign", "sha256"),
    }  # fmt: skip
    sentences = [hit["sentence"] for hit in hits]
    assert (
        "Same video by 2 of 2 searchable frames as entry 40 of list “Agency A”, version 2025-11: nearest pair at "
        "distance 14, quality 95, mirrored; reported there as category “2” (scheme US)."
    ) in sentences
    assert (
        "Identical file by MD5 to entry 3 of list “Agency B”, version 7; reported there as category “A” (scheme UK)."
    ) in sentences
    levels = {row["path"]: row["level"] for row in table(folder / "out", "files.csv")}
    assert levels["videos/known.mp4"] == "identical"  # although frames match too
    assert levels["videos/near.mp4"] == "near"
    assert levels["videos/alike.mp4"] == "unknown"
    assert levels["bad sector.mp4"] == ""


def test_a_page_that_shows_a_report_of_a_file_also_shows_who_calls_it_harmless(tmp_path):
    scan = make_scan(tmp_path / "scan")
    with open_to_write(scan) as store:
        known, harmless = (f"(SELECT content FROM hit WHERE method = '{method}')" for method in ("sha1", "sha256"))
        store.db.execute(f"UPDATE hit SET content = {known} WHERE content = {harmless}")
    write_report(scan, tmp_path / "out")
    text = pdf_text(tmp_path / "out")
    assert "listed there as known harmless" in text
    graph = (tmp_path / "out" / "case-uco.jsonld").read_text()
    assert "listed there as known harmless" in graph


@pytest.mark.assertion("EV-RO-11", "A list that matched nothing is told, and so is what no method could find.")
def test_negative_results_and_gaps_are_told(made):
    folder, _, _ = made
    document = json.loads((folder / "out" / "report.json").read_text())
    nothing = next(one for one in document["lists"] if one["sha256"] == LIST_D.hex())
    assert nothing["result"] == "matched nothing"
    assert next(one for one in document["lists"] if one["sha256"] == LIST_A.hex())["unmatchable"] == {"photodna": 250}
    told = " ".join(document["not_searched"])
    for part in ("cropped", "photodna 250", "quality 50", "encrypted", "Videos sampled at keyframes only: 2"):
        assert part in told
    text = pdf_text(folder / "out")
    assert "Nothing found" in text and "matched nothing" in text
    assert "presumed innocent" in text
    for page in PdfReader(folder / "out" / "report.pdf").pages:
        assert "not reviewed" in page.extract_text()


@pytest.mark.assertion(
    "EV-RO-12", "Error rates stand with counts, Wilson's 95 % interval and population, or as not measured."
)
def test_errors_have_their_interval(made, tmp_path):
    folder, _, _ = made
    errors = json.loads((folder / "out" / "report.json").read_text())["errors"]
    cropped = next(error for error in errors if "cropped" in error["trial"])
    assert (cropped["error"], cropped["wrong"], cropped["tried"]) == ("miss", 40, 40)
    assert cropped["wilson95"] == [pytest.approx(0.9124, abs=1e-4), 1.0]
    assert "made clips" in cropped["population"]
    scan = make_scan(tmp_path / "scan")
    with sqlite3.connect(scan / DATABASE) as db:
        db.execute("DELETE FROM method_error")
    write_report(scan, tmp_path / "out", pdf=False)
    told = json.loads((tmp_path / "out" / "report.json").read_text())["errors_not_measured"]
    assert "Same video or image by frames (PDQ): rate of chance matches not measured." in told
    assert "Same video or image by frames (PDQ): rate of misses not measured." in told


def test_vics_can_be_streamed_and_claims_nothing(made):
    folder, _, _ = made
    with (folder / "out" / "vics.json").open("rb") as file:
        media = list(ijson.items(file, "value.item.Media.item"))
    case = json.loads((folder / "out" / "vics.json").read_text())
    assert case["@odata.context"].endswith("/CUSTOM/$metadata#Cases")
    assert "no compliance claimed" in case["value"][0]["SourceApplicationName"]
    assert case["value"][0]["TotalMediaFiles"] == len(media) == 6
    assert {(one["Category"], one["IsPrecategorized"]) for one in media} == {(None, False)}
    known = next(one for one in media if one["MD5"] == hashlib.md5(b"known").hexdigest().upper())
    assert len(known["MediaFiles"]) == 2
    assert "category “1” (scheme US)" in known["Comments"] and "category “A” (scheme UK)" in known["Comments"]


@pytest.mark.assertion("EV-RO-13", "The CASE/UCO graph conforms to the ontology by case_validate.")
def test_the_graph_conforms(made):
    from case_utils.case_validate import validate

    folder, _, _ = made
    result = validate(str(folder / "out" / "case-uco.jsonld"))
    assert result.conforms, result.text
    graph = json.loads((folder / "out" / "case-uco.jsonld").read_text())["@graph"]
    ids = [node["@id"] for node in graph]
    assert len(set(ids)) == len(ids)
    inventory = hashlib.sha256((folder / "out" / "files.csv").read_bytes()).hexdigest().upper()
    assert inventory in json.dumps(graph)


@pytest.mark.assertion("EV-RO-14", "The report is refused inside its source and never replaces anything but a report.")
def test_the_report_goes_to_a_place_of_its_own(tmp_path):
    source = tmp_path / "exhibit"
    source.mkdir()
    scan = make_scan(tmp_path / "scan")
    with sqlite3.connect(scan / DATABASE) as db:
        db.execute("UPDATE about SET value = ? WHERE key = 'source'", (str(source),))
    with pytest.raises(UsageError, match="inside the source"):
        write_report(scan, source / "report")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("kept")
    with pytest.raises(UsageError, match="holds no report"):
        write_report(scan, tmp_path / "photos")
    with pytest.raises(UsageError, match="replace the scan"):
        write_report(scan, tmp_path)
    with open_to_write(scan), pytest.raises(GeldspurError, match="another process is writing"):
        write_report(scan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list(source.iterdir()) == []
    assert (tmp_path / "photos" / "a.txt").read_text() == "kept"


def test_the_command_prints_the_chain(made, tmp_path):
    folder, _, _ = made
    start = [sys.executable, "-c", "from geldspur.cli import main; main()"]
    command = [*start, "evidence", "report", str(folder / "scan"), "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, "--no-pdf"], capture_output=True, text=True, check=True)
    assert "Unique by bytes (same SHA-256 and size counted once): 17" in done.stdout
    done = subprocess.run([*command, "--no-pdf", "--json"], capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert printed["figures"]["videos.unknown"] == 2
    assert "report.pdf" not in printed["files"]
