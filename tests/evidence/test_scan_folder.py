"""A scan accounts for everything in a folder, by names, times, links and digests, and touches nothing."""

import hashlib
import json
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from blake3 import blake3
from scan_trees import (
    everything,
    log_agrees_with_rows,
    log_of,
    many_files,
    odd_tree,
    rows,
    run,
    scanned,
)

from geldspur.evidence.custody import Against, verify
from geldspur.evidence.names import raw


@pytest.fixture
def odd(tmp_path):
    return odd_tree(tmp_path / "seized")


@pytest.mark.assertion(
    "EV-SC-01", "Every file found is hashed, unreadable or skipped for a reason, and the sum closes."
)
def test_everything_is_counted_and_the_sum_closes(odd, tmp_path):
    said = scanned(odd, "--out", tmp_path / "scan", "--no-fingerprints")
    assert (said["found"], said["hashed"], said["skipped"]) == (14, 9, {"special": 2, "symlink": 3})
    assert (said["unreadable"], said["not_read"], said["closes"]) == ({}, 0, True)
    assert (said["directories"], said["hard_links"], said["empty"], said["sparse"]) == (2, 2, 1, 1)
    assert said["contents"] == 7
    assert rows(tmp_path / "scan", "SELECT count(*) FROM entry WHERE state = 'found'") == [(0,)]
    log_agrees_with_rows(tmp_path / "scan")
    text = run("evidence", "status", tmp_path / "scan").stdout
    assert "9 + 0 + 5 = 14; the sum closes" in text
    assert "(2 special, 3 symlink)" in text


@pytest.mark.assertion("EV-SC-02", "Digests, sizes and times are those that independent tools give.")
def test_digests_sizes_and_times_are_those_of_independent_tools(odd, tmp_path):
    scanned(odd, "--out", tmp_path / "scan", "--no-fingerprints")
    query = """SELECT path, md5, sha1, sha256, blake3, entry.size, allocated, modified_ns, accessed_ns, changed_ns,
                      born_ns, times_from FROM entry JOIN content ON content.id = entry.content"""
    found = {Path(os.fsdecode(os.fsencode(odd) + b"/" + row[0])): row[1:] for row in rows(tmp_path / "scan", query)}
    stats = {file: file.stat() for file in found}  # before reading here moves a time
    for file, (*digests, size, allocated, modified, accessed, changed, born, times_from) in found.items():
        said, data = stats[file], file.read_bytes()
        assert digests == [getattr(hashlib, name)(data).digest() for name in ("md5", "sha1", "sha256")] + [
            blake3(data).digest()
        ]
        assert (size, allocated) == (said.st_size, said.st_blocks * 512)
        assert (modified, accessed, changed) == (said.st_mtime_ns, said.st_atime_ns, said.st_ctime_ns)
        birth = subprocess.run(["stat", "-c", "%W", file], capture_output=True, check=True).stdout
        assert times_from == "statx"
        assert born // 10**9 == int(birth)


@pytest.mark.assertion("EV-SC-03", "A file of several names is read once, and each name is a row.")
def test_hard_links_are_read_once_and_each_name_is_a_row(odd, tmp_path):
    scanned(odd, "--out", tmp_path / "scan", "--no-fingerprints")
    same = {record["path"]: record["same_as"] for record in log_of(tmp_path / "scan") if "same_as" in record}
    assert same == {b"sub/deep/x".hex(): b"a_link".hex(), b"z_link".hex(): b"a_link".hex()}


@pytest.mark.assertion("EV-SC-04", "Reading a source moves no time of last access in it.")
def test_reading_moves_no_time_of_last_access(odd, tmp_path):
    files = [odd, *odd.rglob("*")]
    for file in files:
        os.utime(file, ns=(10**18, 10**18), follow_symlinks=False)
    scanned(odd, "--out", tmp_path / "scan", "--no-fingerprints")
    assert {file.lstat().st_atime_ns for file in files} == {10**18}


def test_outputs_are_private_and_lie_apart_from_the_source(odd, tmp_path):
    out = tmp_path / "scan"
    scanned(odd, "--out", out, "--no-fingerprints")
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {0o600}
    inside = run("evidence", "scan", odd, "--out", odd / "sub" / "scan")
    assert (inside.returncode, "lies inside the source" in inside.stderr) == (2, True)
    (tmp_path / "link").symlink_to(odd)
    through_link = run("evidence", "scan", odd, "--out", tmp_path / "link" / "scan")
    assert through_link.returncode == 2
    around = run("evidence", "scan", odd, "--out", tmp_path)
    assert around.returncode == 2
    assert not (odd / "sub" / "scan").exists()


def test_a_finished_scan_run_again_tells_what_has_changed_since(odd, tmp_path):
    first = [odd, "--out", tmp_path / "scan", "--no-fingerprints"]
    scanned(*first)
    before = everything(tmp_path / "scan")
    again = scanned(*first)
    assert (again["already"], again["since"]) == (True, {"changed": [], "gone": 0})
    (odd / "back\\slash").write_text("other")
    (odd / "z_link").unlink()
    (odd / "new").touch()
    changed = run("evidence", "scan", *first, "--json")
    assert changed.returncode == 1
    since = json.loads(changed.stdout)["since"]
    names = {raw(each["path"]) for each in since["changed"]}
    assert names == {b"back\\slash", b"new", b"a_link", b"sub/deep/x"}  # of a link gone, the others' inode changed
    assert since["gone"] == 1
    assert everything(tmp_path / "scan") == before


def test_another_source_or_other_options_are_refused(odd, tmp_path):
    scanned(odd, "--out", tmp_path / "scan", "--no-fingerprints")
    (tmp_path / "other").mkdir()
    other = run("evidence", "scan", tmp_path / "other", "--out", tmp_path / "scan", "--no-fingerprints")
    assert (other.returncode, "another source" in other.stderr) == (2, True)
    options = run("evidence", "scan", odd, "--out", tmp_path / "scan")
    assert (options.returncode, "other options" in options.stderr) == (2, True)


@pytest.mark.assertion("EV-SC-13", "The rows of a scan do not depend on the number of workers.")
def test_rows_do_not_depend_on_the_number_of_workers(tmp_path):
    tree = many_files(tmp_path / "seized", 300)
    for workers in (1, 4):
        scanned(tree, "--out", tmp_path / f"scan{workers}", "--workers", workers)
        log_agrees_with_rows(tmp_path / f"scan{workers}")
    assert everything(tmp_path / "scan1") == everything(tmp_path / "scan4")
    assert len(everything(tmp_path / "scan1")) == 300 + 7 + 3 + 100


def test_digests_side_by_side_are_those_of_one_after_the_other(tmp_path):
    tree = many_files(tmp_path / "seized", 200)
    scanned(tree, "--out", tmp_path / "kernel")  # decoding loads numba anyway
    scanned(tree, "--out", tmp_path / "plain", "--no-fingerprints")
    assert [row[:16] for row in everything(tmp_path / "kernel")] == [row[:16] for row in everything(tmp_path / "plain")]


def test_members_of_archives_are_files_of_their_own(tmp_path):
    tree = tmp_path / "seized"
    tree.mkdir()
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
        inner.writestr("deep.txt", b"deep")
    with zipfile.ZipFile(tree / "outer.zip", "w", zipfile.ZIP_DEFLATED) as outer:
        outer.write(tmp_path / "inner.zip", "inner.zip")
        outer.writestr("same", b"once")
        outer.writestr("other", b"twice")
    (tree / "cut.zip").write_bytes((tree / "outer.zip").read_bytes()[:-30])
    said = scanned(tree, "--out", tmp_path / "scan", "--no-fingerprints")
    assert (said["found"], said["hashed"], said["members"], said["closes"]) == (10, 10, 8, True)
    assert said["archives"] == {"listed": 3, "refused": 1}  # the one cut off gives the members that are there
    assert verify(tmp_path / "scan", Against()).first_failed is None
    (digest,) = rows(
        tmp_path / "scan",
        "SELECT sha256 FROM entry JOIN content ON content.id = entry.content"
        " WHERE path = CAST('outer.zip!inner.zip!deep.txt' AS BLOB)",
    )[0]
    assert digest == hashlib.sha256(b"deep").digest()


def test_a_tree_deeper_than_any_path_may_be_is_walked_to_its_end(tmp_path):
    root = tmp_path / "seized"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(700):  # 4,096 bytes is the longest path that one call takes
        os.mkdir("folder-name", dir_fd=here)
        deeper = os.open("folder-name", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    said = scanned(root, "--out", tmp_path / "scan", "--no-fingerprints")
    assert (said["directories"], said["hashed"], said["closes"]) == (700, 1, True)
    subprocess.run(["rm", "-rf", root], check=True)


def test_what_an_archive_claims_for_its_members_is_no_bytes_found(tmp_path):
    (tmp_path / "source").mkdir()
    with zipfile.ZipFile(tmp_path / "made.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            archive.writestr(name, b"x")
    liar = (tmp_path / "made.zip").read_bytes()
    for at in (k for k in range(len(liar)) if liar[k : k + 4] == b"PK\1\2"):
        liar = liar[: at + 24] + b"\xf0\xff\xff\xff" + liar[at + 28 :]
    (tmp_path / "source" / "liar.zip").write_bytes(liar)
    run("evidence", "scan", tmp_path / "source", "--out", tmp_path / "scan", "--no-fingerprints")
    told = json.loads(run("evidence", "status", tmp_path / "scan", "--json").stdout)
    assert (told["size"], told["claimed_size"], told["members"]) == (len(liar), 2 * 0xFFFFFFF0, 2)
    text = run("evidence", "status", tmp_path / "scan").stdout
    assert f"{len(liar)} bytes outside archives" in text
    assert "2 members of archives, which claim 8,589,934,560 bytes for them" in text
