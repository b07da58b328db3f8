"""`verify` reads the source again, members of archives too, and tells what is no longer as it was scanned."""

import json
import os
import random
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from typer.testing import CliRunner

from geldspur.cli.app import app
from geldspur.errors import GeldspurError


def run(*arguments):
    return CliRunner().invoke(app, ["evidence", *map(str, arguments)])


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A source with nested archives, really scanned."""
    folder = tmp_path_factory.mktemp("source")
    source, made = folder / "source", random.Random(2)
    (source / "sub").mkdir(parents=True)
    for number in range(12):
        (source / "sub" / f"{number}.bin").write_bytes(made.randbytes(1000 + number))
    with tarfile.open(source / "inner.tar", "w") as tar:
        tar.add(source / "sub" / "3.bin", "x/3.bin")
    with zipfile.ZipFile(source / "outer.zip", "w") as archive:
        archive.write(source / "inner.tar", "inner.tar")
        archive.write(source / "sub" / "4.bin", "4.bin")
    done = run("scan", source, "--out", folder / "scan", "--no-fingerprints")
    assert done.exit_code == 0, done.output
    return folder / "scan", source


def verified(scanned, *more) -> dict[str, tuple[str, str]]:
    result = run("verify", scanned[0], "--source", scanned[1], "--json", *more)
    told = json.loads(result.stdout)
    assert told["verified"] == (result.exit_code == 0)
    return {check["name"]: (check["state"], check["words"]) for check in told["checks"]}


def test_all_files_and_members_are_read_again(scanned):
    found = verified(scanned, "--all")
    assert found["digests"] == ("ok", "all read again, 18 files: each has its digests")
    assert found["source"][0] == "ok"


def test_a_file_that_became_a_link_is_told_whatever_the_sample(scanned, spoiled):
    path = spoiled("sub/5.bin")
    path.unlink()
    path.symlink_to("6.bin")
    try:
        state, words = verified(scanned, "--sample", "1%", "--seed", "1")["source"]
    finally:
        path.unlink()
    assert (state, words) == ("failed", "sub/5.bin was of the kind file and is symlink")


@pytest.mark.assertion("EV-CU-08", "A sample is drawn again by its seed, and says how much it shows.")
def test_a_sample_is_drawn_again_by_its_seed_and_says_how_much_it_shows(scanned):
    first, second = (verified(scanned, "--sample", "30%", "--seed", "7")["digests"] for _ in range(2))
    assert first == second
    assert first[1].startswith("6 of 18 files read again (seed 7)")
    assert "fewer than 39.3% of all files differ" in first[1]  # 1 - 0.05 ** (1 / 6)


@pytest.fixture
def spoiled(scanned):
    """The path of a file of the source, put back after the test, and its times with it."""
    kept = {}

    def take(name):
        path = scanned[1] / name
        kept[path] = path.read_bytes(), path.stat()
        return path

    yield take
    for path, (content, was) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.assertion(
    "EV-CU-07", "A changed byte of the source is found on re-reading, though size and times are the same."
)
def test_a_changed_byte_is_found_though_size_and_times_are_the_same(scanned, spoiled):
    path = spoiled("sub/5.bin")
    was = path.stat()
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    found = verified(scanned, "--all")
    assert found["source"][0] == "ok"
    assert found["digests"] == ("failed", "sub/5.bin has another MD5 and SHA-1 and SHA-256 and BLAKE3")


def test_two_files_that_changed_places_are_found(scanned, spoiled):
    one, two = spoiled("sub/6.bin"), spoiled("sub/7.bin")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    state, words = verified(scanned, "--all")["digests"]
    assert state == "failed"
    assert words == "sub/6.bin has 1007 bytes, the scan says 1006; sub/7.bin has 1006 bytes, the scan says 1007"


def test_a_changed_member_of_an_archive_in_an_archive_is_named(scanned, spoiled):
    path = spoiled("outer.zip")
    raw, inside = path.read_bytes(), (scanned[1] / "sub" / "3.bin").read_bytes()
    place = raw.index(inside)  # stored, not compressed
    path.write_bytes(raw[:place] + b"\0" + raw[place + 1 :])
    words = verified(scanned, "--all")["digests"][1]
    assert "outer.zip has another" in words and "outer.zip!inner.tar" in words


def test_new_and_lost_files_are_told(scanned):
    moved = scanned[1] / "sub" / "8.bin"
    moved.rename(scanned[1] / "sub" / "new.bin")
    try:
        found = verified(scanned, "--all")
    finally:
        (scanned[1] / "sub" / "new.bin").rename(moved)
    assert found["source"] == ("failed", "sub/new.bin is new; 1 name of the scan gone")
    assert found["digests"] == ("failed", "sub/8.bin can't be opened: No such file or directory")


def test_a_report_is_checked_against_the_scan_and_a_forged_figure_is_found(scanned, tmp_path):
    made = run("report", scanned[0], "--out", tmp_path / "report", "--no-pdf")
    assert made.exit_code == 0, made.output
    assert verified(scanned, "--report", tmp_path / "report")["report"][0] == "ok"
    path = tmp_path / "report" / "report.json"
    content = json.loads(path.read_bytes())
    content["figures"][0]["value"] += 1
    path.write_text(json.dumps(content, indent=1) + "\n")
    state, words = verified(scanned, "--report", tmp_path / "report")["report"]
    assert state == "failed"
    assert "report.json was changed" in words and content["figures"][0]["name"] in words


def test_the_first_broken_thing_is_named_and_the_exit_code_is_1(scanned, tmp_path):
    (tmp_path / "key.pub.pem").write_bytes(
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAj/UbhHvfVShF1cg+JyVGvVwUBztVgtGy8ozwDuaZylM=\n"
        b"-----END PUBLIC KEY-----\n"
    )
    result = run("verify", scanned[0], "--key", tmp_path / "key.pub.pem")
    assert isinstance(result.exception, GeldspurError)
    assert result.exception.what.startswith("signature: there is no manifest.json.sig")
    assert result.exception.exit_code == 1


@pytest.mark.assertion("EV-CU-14", "An E01's stored digest is compared when all of it is read again.")
@pytest.mark.skipif(not (shutil.which("mkfs.ext4") and shutil.which("ewfacquire")), reason="needs its tools")
def test_an_image_is_read_again_and_its_stored_digest_compared(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one.bin").write_bytes(random.Random(5).randbytes(9000))
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(4 << 20)
    for command in (
        ["mkfs.ext4", "-q", "-d", tmp_path / "files", raw],
        ["ewfacquire", "-u", "-q", "-t", tmp_path / "disk", raw],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert run("scan", tmp_path / "disk.E01", "--out", tmp_path / "scan", "--no-fingerprints").exit_code == 0
    checks = verified((tmp_path / "scan", tmp_path / "disk.E01"), "--all")
    assert checks["digests"][0] == "ok"
    assert checks["image"] == ("ok", "has its stored MD5")
    assert verified((tmp_path / "scan", tmp_path / "disk.E01"), "--sample", "50%")["image"][0] == "not checked"
