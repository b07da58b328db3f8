"""A tree of made files, scanned, matched and reported by the real commands."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import zipfile

import pytest

from geldspur.evidence.matching import spikes
from geldspur.evidence.report import numbers, recheck
from geldspur.evidence.report.figures import Figure
from geldspur.evidence.store import open_to_read


def geldspur(*arguments):
    start = [sys.executable, "-c", "from geldspur.cli import main; main()", "evidence"]
    done = subprocess.run([*start, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    tree = folder / "exhibit"
    tree.mkdir()
    known, unknown = (spikes.original(7, number) for number in (0, 1))
    mirrored = dict(spikes.edited(known))["mirror"]
    (tree / "known.mp4").write_bytes(known)
    os.link(tree / "known.mp4", tree / "again.mp4")
    (tree / "mirrored.mp4").write_bytes(mirrored)
    (tree / "empty").write_bytes(b"")
    (tree / "link").symlink_to("known.mp4")
    (tree / os.fsdecode(b"na\xefve.txt")).write_bytes(b"some text")
    with zipfile.ZipFile(tree / "box.zip", "w") as box:
        box.writestr("in/unknown.mp4", unknown)
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
    entry = {"MediaID": 1, "Category": 1, "MD5": hashlib.md5(known).hexdigest().upper()}
    (folder / "agency.json").write_text(json.dumps({"@odata.context": context, "value": [entry]}))
    geldspur("scan", tree, "--out", folder / "scan")
    with open_to_read(folder / "scan") as store:
        frames = store.db.execute(
            "SELECT lower(hex(plain)) FROM frame JOIN content ON content.id = frame.content WHERE md5 = ?",
            (hashlib.md5(known).digest(),),
        ).fetchall()
    (folder / "frames.txt").write_text("".join(f"{frame}\n" for (frame,) in frames))
    geldspur("match", folder / "scan", "--list", folder / "agency.json", "--no-error")
    geldspur("match", folder / "scan", "--list", folder / "frames.txt", "--format", "pdq", "--no-error")
    geldspur("report", folder / "scan", "--out", folder / "out")
    return folder


@pytest.mark.assertion("EV-RO-15", "Scan, match and report of a made tree give the counts that went into it.")
def test_a_made_tree_comes_out_as_it_was_made(case):
    document = json.loads((case / "out" / "report.json").read_text())
    values = {figure["name"]: figure["value"] for figure in document["figures"]}
    expected = {
        "files.found": 8, "files.hashed": 7, "files.skipped.symlink": 1, "files.hard_links": 1, "files.empty": 1,
        "files.members": 1, "archives.found": 1, "contents.unique": 6, "videos.unique": 3, "videos.identical": 1,
        "videos.near": 1, "videos.unknown": 1, "files.identical": 2,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    with (case / "out" / "files.csv").open(newline="") as file:
        levels = {row["path"]: row["level"] for row in csv.DictReader(file)}
    assert levels == {
        "again.mp4": "identical", "known.mp4": "identical", "mirrored.mp4": "near", "box.zip!in/unknown.mp4": "unknown",
        "box.zip": "unknown", "na\\xefve.txt": "unknown", "empty": "empty", "link": "",
    }  # fmt: skip
    with (case / "out" / "hits.csv").open(newline="") as file:
        near = [row for row in csv.DictReader(file) if row["path"] == "mirrored.mp4"]
    assert {row["variant"] for row in near} == {"mirrored"}


def test_the_written_figures_hold_against_the_database(case):
    document = json.loads((case / "out" / "report.json").read_text())
    stated = [Figure(**figure) for figure in document["figures"]]
    with open_to_read(case / "scan") as store:
        assert recheck(store, stated) == []
        assert numbers(store) == stated


@pytest.mark.assertion("EV-RO-16", "No file of the report holds 64 consecutive bytes of any scanned file's content.")
def test_no_output_holds_a_piece_of_a_file(case):
    pieces = {
        data[at : at + 64]
        for path in (case / "exhibit").iterdir()
        if path.suffix in (".mp4", ".zip")
        for data in [path.read_bytes()]
        for at in range(0, len(data) - 64, 64)
    }
    assert len(pieces) > 1000
    for path in (case / "out").iterdir():
        data = path.read_bytes()
        assert not any(data[at : at + 64] in pieces for at in range(len(data) - 63)), path.name
