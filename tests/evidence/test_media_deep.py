"""The deep mode decodes what no list knows, in order of copies, and goes on where it was left."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from media_clips import encode, picture, scenes
from scan_trees import PROGRAM, rows

from geldspur.evidence.custody import Against, Sample, seal_after_work, verify
from geldspur.evidence.lists import make_list
from geldspur.evidence.matching.compare import match
from geldspur.evidence.media import frames_sha256
from geldspur.evidence.model import FrameHash
from geldspur.evidence.scan.deep import deepen
from geldspur.evidence.scan.pipeline import scan
from geldspur.evidence.store import open_to_read, open_to_write
from geldspur.proof.chainlog import breaks


@pytest.fixture
def scanned(tmp_path):
    """A clip with two names, one in an archive, one that a list knows, and a picture."""
    source = tmp_path / "source"
    source.mkdir()
    twice = encode(scenes(3), "mp4", "libx264", g=1000, sc_threshold=0)
    (source / "a.mp4").write_bytes(twice)
    (source / "b.mp4").write_bytes(twice)
    (source / "known.mp4").write_bytes(encode(scenes(1), "mp4", "libx264"))
    (source / "p.png").write_bytes(encode([picture(1)], "image2pipe", "png", "rgb24"))
    with zipfile.ZipFile(source / "z.zip", "w") as archive:
        archive.writestr("in/c.mkv", encode(scenes(2), "matroska", "mpeg4", g=1000, sc_threshold=1000000000))
    scan(source, tmp_path / "out", workers=1)
    (tmp_path / "l.txt").write_text(hashlib.md5((source / "known.mp4").read_bytes()).hexdigest())
    with open_to_write(tmp_path / "out") as store:
        match(store, [make_list(tmp_path / "l.txt", tmp_path / "list")], errors=False)
        seal_after_work(store)
    return source, tmp_path / "out"


def state(out):
    """Each path's sampling, and its times by stage."""
    with open_to_read(out) as store:
        deep = dict(store.db.execute("SELECT path, deep FROM entry JOIN content ON content.id = entry.content"))
        times = {}
        for path, stage, at_ms in store.db.execute(
            "SELECT path, stage, at_ms FROM entry JOIN frame USING (content) ORDER BY at_ms"
        ):
            times.setdefault((path, stage), []).append(at_ms)
        assert not list(breaks(store.db.execute("SELECT * FROM log ORDER BY seq")))
        return deep, times


def test_unknown_videos_are_decoded_by_copies_and_a_second_run_does_the_rest(scanned):
    _, out = scanned
    first = deepen(out, limit=1)
    deep, times = state(out)
    assert (first.done, first.left) == (1, 1)
    assert (deep[b"a.mp4"], deep[b"b.mp4"], deep[b"z.zip!in/c.mkv"]) == ("second", "second", None)
    assert times[b"a.mp4", "keyframe"] == [0]
    assert times[b"a.mp4", "second"] == [0, 1000, 2000]

    second = deepen(out)
    assert (second.done, second.failed, second.left) == (1, 0, 0)
    deep, times = state(out)
    assert times[b"z.zip!in/c.mkv", "second"] == [0, 1000]
    assert (deep[b"known.mp4"], deep[b"p.png"]) == (None, None)
    assert deepen(out).done == 0

    with open_to_read(out) as store:
        rows = store.db.execute(
            "SELECT stage, at_ms, quality, plain, mirrored, cropped, cropped_mirrored FROM frame JOIN entry"
            " USING (content) WHERE path = ?", (b"a.mp4",)
        )  # fmt: skip
        digest = frames_sha256((stage, FrameHash(*row)) for stage, *row in rows).hex()
        assert any(digest in event for (event,) in store.db.execute("SELECT event FROM log"))


def test_a_scan_verifies_after_a_run_and_an_edited_frame_of_it_is_found(scanned):
    source, out = scanned
    deepen(out)
    verdict = verify(out, Against(source=source, sample=Sample(1, 1)))
    assert verdict.first_failed is None, verdict.first_failed
    words = {check.name: check.words for check in verdict.checks}
    assert "later records" not in words["manifest"]
    with sqlite3.connect(out / "scan.sqlite") as db:
        db.execute("UPDATE frame SET quality = quality - 1 WHERE stage = 'second' AND at_ms = 1000")
    failed = [check.name for check in verify(out, Against()).checks if check.state == "failed"]
    assert failed == ["tables", "fingerprints"]


def test_a_source_is_found_again_by_the_bytes_of_its_name(tmp_path):
    named = os.fsencode(tmp_path) + b"/sei\\zed\xff"
    source, decoy = Path(os.fsdecode(named)), tmp_path / "sei\\\\zed\\xff"  # as its name is shown
    for folder in (source, decoy):
        folder.mkdir()
        (folder / "a.mp4").write_bytes(encode(scenes(2 if folder == source else 1), "mp4", "libx264", g=1000))
    scan(source, tmp_path / "out", workers=1)
    done = deepen(tmp_path / "out")
    assert (done.done, done.failed) == (1, 0)


def test_bytes_that_are_no_longer_those_of_the_scan_are_not_decoded(scanned):
    source, out = scanned
    for name in ("a.mp4", "b.mp4"):
        data = bytearray((source / name).read_bytes())
        data[-1] ^= 1
        (source / name).write_bytes(data)
    result = deepen(out, limit=1)
    assert (result.done, result.failed, result.left) == (0, 1, 2)
    deep, times = state(out)
    assert deep[b"a.mp4"] is None
    assert (b"a.mp4", "second") not in times


KILLS = 3
_CALM = (
    "SELECT hex(sha256), deep, stage, at_ms, quality, hex(plain), hex(mirrored) FROM content JOIN frame ON content = id"
)


@pytest.mark.assertion(
    "EV-SC-16", "The deep mode, killed in mid-decode and run again, ends with the rows of a run that was not killed."
)
def test_a_run_killed_in_mid_decode_again_and_again_ends_as_one_that_was_not(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(KILLS + 2):
        clip = encode(scenes(8 + number), "mp4", "libx264", g=1000, sc_threshold=0)
        (source / f"{number}.mp4").write_bytes(clip)
    scan(source, tmp_path / "killed", workers=1)
    shutil.copytree(tmp_path / "killed", tmp_path / "calm")
    assert deepen(tmp_path / "calm", every="frame").done == KILLS + 2
    command = [*PROGRAM, "evidence", "deep", tmp_path / "killed", "--every", "frame", "--workers", "1"]
    for number in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        worker = _decoding(process, source)
        if number % 2:  # in mid-decode of the second one of a run
            while not rows(tmp_path / "killed", f"SELECT 1 FROM content WHERE deep = 'frame' LIMIT 1 OFFSET {number}"):
                assert process.poll() is None
        process.kill()
        process.wait()
        until = time.monotonic() + 20
        while Path(f"/proc/{worker}").exists():
            assert time.monotonic() < until, "the worker outlived the run"
            time.sleep(0.02)
    left = rows(tmp_path / "killed", "SELECT count(*) FROM content WHERE deep IS NULL")[0][0]
    assert 0 < left < KILLS + 2
    result = deepen(tmp_path / "killed", every="frame")
    assert (result.done, result.failed, result.left) == (left, 0, 0)
    assert sorted(rows(tmp_path / "killed", _CALM)) == sorted(rows(tmp_path / "calm", _CALM))
    verdict = verify(tmp_path / "killed", Against(source=source, sample=Sample(1, 1)))
    assert verdict.first_failed is None, verdict.first_failed


def _decoding(process, source):
    """Wait until a worker has a video open; its number."""
    while process.poll() is None:
        for thread in Path(f"/proc/{process.pid}/task").glob("*/children"):
            for child in thread.read_text().split():
                with suppress(FileNotFoundError):
                    if any(link.resolve().parent == source for link in Path(f"/proc/{child}/fd").iterdir()):
                        return int(child)
        time.sleep(0.01)
    raise AssertionError("the run ended before it decoded")
