"""What the owner of a disk may have prepared for whoever examines it costs an entry at most, and is told."""

import io
import os
import shutil
import subprocess
import sys

import pytest
from scan_trees import log_agrees_with_rows, rows, run, scanned

from geldspur.errors import GeldspurError
from geldspur.evidence.scan.digests import Reader, digest_file
from geldspur.evidence.scan.heard import Heard
from geldspur.evidence.scan.messages import Job
from geldspur.evidence.scan.plan import Plan
from geldspur.evidence.scan.walk import record_walk
from geldspur.evidence.sources.folder import LONGEST_PATH, FolderSource
from geldspur.evidence.sources.mounts import mount_of, mounts
from geldspur.evidence.store import new_or_unfinished
from geldspur.progress import SILENT


@pytest.mark.parametrize("year", [1677, 2242, 2286, 2413])
def test_a_file_of_a_time_beyond_what_the_database_holds_is_scanned(year, tmp_path):
    root = tmp_path / "seized"
    root.mkdir()
    (root / "x").write_bytes(b"x")
    seconds = int((year - 1970) * 365.2425 * 86400)
    os.utime(root / "x", (seconds, seconds))
    given = (root / "x").stat().st_mtime_ns  # what the file system made of it
    assert scanned(root, "--out", tmp_path / "scan", "--no-fingerprints")["hashed"] == 1
    held = given if abs(given) < 1 << 63 else None
    assert rows(tmp_path / "scan", "SELECT modified_ns FROM entry") == [(held,)]
    assert not scanned(root, "--out", tmp_path / "scan", "--no-fingerprints")["since"]["changed"]


def _deep(root, levels, name):
    """Folders in folders, by descriptors, for no path reaches that far."""
    at = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_folders_in_folders_are_followed_down_to_a_limit_that_is_told(tmp_path):
    root = tmp_path / "seized"
    root.mkdir()
    try:
        _deep(root, 300, "n" * 255)
        (root / "deep").mkdir()
        _deep(root / "deep", 3000, "d")
        said = scanned(root, "--out", tmp_path / "scan", "--no-fingerprints")
    finally:
        subprocess.run(["rm", "-rf", root], check=True)
    assert said["closes"] and said["hashed"] == 1 and said["directories_skipped"] == 1
    (length, reason), *_ = rows(tmp_path / "scan", "SELECT length(path), reason FROM entry WHERE state = 'skipped'")
    assert reason == "depth" and LONGEST_PATH < length <= LONGEST_PATH + 256
    log_agrees_with_rows(tmp_path / "scan")


class _Endless(io.RawIOBase):
    """A file that a file system makes up while it is read."""

    def readinto(self, buffer):
        return len(buffer)


def test_a_file_without_end_is_left_where_its_size_was():
    for size in (0, 100, 5 << 20):
        outcome, _ = digest_file(_Endless, Job(1, b"x", {}, size, None, None, None), Reader())
        assert outcome.reason == "changed" and outcome.digests is None
        assert outcome.offset <= size + (1 << 20)


def test_passing_over_a_member_is_heard(tmp_path):
    (tmp_path / "x").write_bytes(bytes(1 << 20))
    heard = []
    with (tmp_path / "x").open("rb") as file:
        stream = Heard(file, lambda: heard.append(1))
        assert stream.seek(0, os.SEEK_END) == 1 << 20
        stream.seek(10)
        assert len(stream.read(1000)) == 1000
    assert heard


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0 or not shutil.which("mount"), reason="mounts nothing")
def test_a_scan_directory_in_a_folder_bound_from_the_source_is_refused(tmp_path):
    root, elsewhere = tmp_path / "seized", tmp_path / "elsewhere"
    (root / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    if subprocess.run(["mount", "--bind", root / "sub", elsewhere], check=False).returncode:
        pytest.skip("may not mount")
    try:
        if mount_of(os.fsencode(root.resolve()), mounts()) is None:
            pytest.skip("the kernel doesn't say what the root is a mount of: a root that was changed into")
        refused = run("evidence", "scan", root, "--out", elsewhere / "scan", "--no-fingerprints")
        assert refused.returncode == 2 and "inside the source" in refused.stderr
        assert not list((root / "sub").iterdir())
        assert scanned(root, "--out", tmp_path / "scan", "--no-fingerprints")["closes"]
        refused = run("evidence", "report", tmp_path / "scan", "--out", elsewhere / "report")
        assert refused.returncode == 2 and "inside the source" in refused.stderr
    finally:
        subprocess.run(["umount", elsewhere], check=True)


def test_a_file_of_holes_is_read_after_all_others(tmp_path):
    root = tmp_path / "seized"
    root.mkdir()
    with (root / "a").open("wb") as file:
        file.truncate(2 << 40)
    (root / "b").write_bytes(b"b")
    with new_or_unfinished(tmp_path / "scan") as store:
        record_walk(store, FolderSource(root).walk(), SILENT)
        tasks = iter(Plan(store).next, None)
        assert [[job.path for job in task.jobs] for task in tasks] == [[b"b"], [b"a"]]


def test_a_full_disk_ends_a_scan_with_a_word_and_it_goes_on_when_there_is_room(tmp_path):
    with new_or_unfinished(tmp_path / "scan") as store:
        (pages,) = store.db.execute("PRAGMA page_count").fetchone()
        store.db.execute(f"PRAGMA max_page_count = {pages + 1}")
        before = store.head
        with pytest.raises(GeldspurError, match="no room"), store.change():
            for _ in range(100):
                store.log("file", path=b"x" * 1000)
        assert store.head == before
        store.db.execute("PRAGMA max_page_count = 100000")
        with store.change():
            store.log("file", path=b"x")
        assert store.head[0] == before[0] + 1
