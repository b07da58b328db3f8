"""`geldspur evidence match` on a made scan: what it writes, prints and logs."""

import json
import sqlite3

import numpy as np
import pytest
from matching_hashes import flipped, random_hashes
from matching_scan import made_scan
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import GeldspurError
from geldspur.evidence.lists import make_list
from geldspur.proof.chainlog import breaks

MD5_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.fixture
def case(tmp_path):
    """A scan of six contents, and lists: digests with categories, harmless files, a video's hashes, a foreign one."""
    pictures = random_hashes(np.random.default_rng(23), 12)
    with made_scan(tmp_path / "scan") as scan:
        scan.content(b"")
        scan.content(b"letter")
        scan.content(b"system file")
        scan.content(b"film", "video", [(t, 80, flipped(pictures[t], range(t))) for t in range(6)])
        scan.content(b"copy", "video", [(t, 80, pictures[t]) for t in range(6)])
        scan.content(b"blurred", "image", [(0, 55, flipped(pictures[5], range(20)))])
    digest = "md5,sha1,category\n"
    for data, category in ((b"film", "1"), (b"film", "2"), (b"", "1")):
        digest += f"{_hex('md5', data)},{_hex('sha1', data)},{category}\n"
    (tmp_path / "known.csv").write_text(digest)
    (tmp_path / "harmless.txt").write_text(_hex("sha256", b"system file") + "\n")
    (tmp_path / "video.txt").write_text(
        "".join(f"{t},90,{p.tobytes().hex()},{t}.0\n" for t, p in enumerate(pictures[:6]))
    )
    (tmp_path / "none.txt").write_text(_hex("md5", b"elsewhere") + "\n")
    return tmp_path


def _hex(name, data):
    import hashlib

    return hashlib.new(name, data).hexdigest()


def run(case, *arguments):
    result = CliRunner().invoke(app, ["evidence", "match", str(case / "scan"), "--no-error", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(case, table):
    with sqlite3.connect(case / "scan" / "scan.sqlite") as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


HITS = """
SELECT hash_list.name, hash_list.kind, hit.method, hit.row, hit.category, frames, of_frames, distance, quality, variant
FROM hit JOIN hash_list ON hash_list.id = hit.list JOIN content ON content.id = hit.content
WHERE content.sha256 = ? ORDER BY 1, 2, 3, 4
"""


def hits(case, data):
    import hashlib

    with sqlite3.connect(case / "scan" / "scan.sqlite") as db:
        return db.execute(HITS, (hashlib.sha256(data).digest(),)).fetchall()


def test_each_method_and_list_gives_rows_of_its_own(case):
    run(case, "--list", case / "known.csv", "--list", case / "video.txt")
    run(case, "--list", case / "harmless.txt", "--kind", "benign")
    near = ("video", "material", "pdq", 0, None)
    exact = [("known", "material", m, r, c, *[None] * 5) for m in ("md5", "sha1") for r, c in ((0, "1"), (1, "2"))]
    assert hits(case, b"film") == [*exact, (*near, 6, 6, 0, 80, "plain")]
    assert hits(case, b"copy") == [(*near, 6, 6, 0, 80, "plain")]
    assert hits(case, b"blurred") == [(*near, 1, 1, 20, 55, "plain")]
    assert hits(case, b"system file") == [("harmless", "benign", "sha256", 0, None, *[None] * 5)]
    assert hits(case, b"letter") == hits(case, b"") == []


def test_matching_again_replaces_rows_and_adds_to_a_sound_log(case):
    lists = ["--list", case / "known.csv", "--list", case / "video.txt"]
    run(case, *lists)
    before = {table: rows(case, table) for table in ("hash_list", "hit", "cluster", "method_error")}
    run(case, *lists)
    assert {table: rows(case, table) for table in before} == before
    log = rows(case, "log")
    assert not list(breaks(log))
    events = [json.loads(event) for _, event, _ in log]
    matched = [event for event in events if event["kind"] == "matched"]
    assert len(matched) == 2 * 2 * 4
    assert [(e["list"], e["method"], e["hits"], e["contents"]) for e in matched[:8]] == [
        ("known", "md5", 2, 1), ("known", "sha1", 2, 1), ("known", "sha256", 0, 0), ("known", "pdq", 0, 0),
        ("video", "md5", 0, 0), ("video", "sha1", 0, 0), ("video", "sha256", 0, 0), ("video", "pdq", 3, 3),
    ]  # fmt: skip
    assert sum(path.is_dir() for path in (case / "scan" / "lists").iterdir()) == 2


@pytest.mark.assertion("EV-MA-06", "What was not found, not recorded or is weak is said.")
def test_what_was_not_found_and_what_is_weak_is_said(case):
    text = run(case, "--list", case / "none.txt", "--list", case / "video.txt")
    nothing, video = text.split("\nvideo (")
    assert "nothing in the scan matched this list" in nothing
    assert "the list holds no sha1, sha256, pdq: nothing could be found by them" in nothing
    assert "pdq: 3 contents near, in 3 pairs of content and entry; least distance 0 bits; 1 of them weakly" in video
    assert "nothing in the scan" not in video
    assert "visually distinct: 2 of the 3" in text


def test_the_json_answer_has_the_same_figures(case):
    answer = json.loads(run(case, "--list", case / "known.csv", "--json"))
    assert (answer["compared"], answer["searched"], answer["distinct"]) == (5, 3, 2)
    (known,) = answer["lists"]
    assert [(m["method"], m["contents"], m["hits"]) for m in known["methods"]][:2] == [("md5", 1, 2), ("sha1", 1, 2)]


def test_a_list_named_twice_is_refused(case):
    (case / "again.csv").write_bytes((case / "known.csv").read_bytes())
    lists = ["--list", str(case / "known.csv"), "--list", str(case / "again.csv")]
    result = CliRunner().invoke(app, ["evidence", "match", str(case / "scan"), *lists])
    assert result.exit_code != 0
    assert "named twice" in str(result.exception)


@pytest.mark.parametrize("name", ["md5.prefix", "md5.tail", "md5.rows", "sha1.table"])
def test_a_damaged_list_is_refused_and_nothing_called_unknown_to_it(case, name):
    make_list(case / "known.csv", case / "compiled")
    column = case / "compiled" / name
    data = bytearray(column.read_bytes())
    data[-1] ^= 1
    column.write_bytes(data)
    arguments = ["evidence", "match", str(case / "scan"), "--list", str(case / "compiled"), "--no-error"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, GeldspurError)
    assert not rows(case, "hash_list")
