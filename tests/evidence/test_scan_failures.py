"""What can't be read is recorded with what went wrong and where, and never gets the digest of a part."""

import errno
import io
import os
from pathlib import Path

import pytest
from scan_trees import log_agrees_with_rows, many_files, odd_tree, rows, scanned

from geldspur.evidence.scan import pipeline
from geldspur.evidence.scan.digests import BIG, Reader, digest_file
from geldspur.evidence.scan.messages import Job
from geldspur.evidence.sources.folder import FolderSource


class _Stopped(Exception):
    pass


@pytest.fixture
def walked(tmp_path, monkeypatch):
    """A scan that stopped after its walk."""

    def stop(*_):
        raise _Stopped

    root = odd_tree(tmp_path / "seized")
    with monkeypatch.context() as patch, pytest.raises(_Stopped):
        patch.setattr(pipeline.Run, "go", stop)
        pipeline.scan(root, tmp_path / "scan", fingerprints=False)
    return root


def _states(out):
    return {path: values for path, *values in rows(out, "SELECT path, state, reason, errno FROM entry")}


@pytest.mark.assertion("EV-SC-11", "A file that vanishes or is replaced between walk and reading is recorded as such.")
def test_what_happens_between_walk_and_reading_is_told(walked, tmp_path):
    (walked / "a_link").unlink()  # the first of three names: the next one is read for both
    (walked / "back\\slash").write_bytes(b"not what was walked")
    (walked / "line\nbreak").unlink()
    (walked / "line\nbreak").symlink_to("/etc/passwd")
    (walked / "sparse").unlink()
    os.mkfifo(walked / "sparse")
    (walked / "empty").unlink()
    said = scanned(walked, "--out", tmp_path / "scan", "--no-fingerprints")
    assert said["closes"]
    states = _states(tmp_path / "scan")
    assert states[b"a_link"] == ["unreadable", "vanished", errno.ENOENT]
    assert states[b"empty"] == ["unreadable", "vanished", errno.ENOENT]
    assert states[b"line\nbreak"] == ["unreadable", "vanished", errno.ELOOP]
    assert states[b"sparse"] == ["unreadable", "vanished", errno.ENXIO]
    assert states[b"back\\slash"] == ["unreadable", "changed", None]
    changed = {b"sub/deep/x", b"z_link"}  # one link less: the inode's own time has moved
    assert {states[path][1] for path in changed} == {"changed"}
    assert said["hashed"] == 2
    log_agrees_with_rows(tmp_path / "scan")


def test_a_folder_that_became_a_link_leads_nowhere(walked, tmp_path):
    outside = many_files(tmp_path / "outside" / "deep", 3).parent
    (outside / "deep" / "x").write_bytes(b"not of the source")
    (walked / "sub").rename(tmp_path / "moved")
    (walked / "sub").symlink_to(outside)
    (walked / "a_link").unlink()
    (walked / "z_link").unlink()
    scanned(walked, "--out", tmp_path / "scan", "--no-fingerprints")
    assert _states(tmp_path / "scan")[b"sub/deep/x"][:2] == ["unreadable", "vanished"]


def test_a_folder_that_cannot_be_listed_is_recorded(tmp_path):
    root = tmp_path / "seized"
    (root / "b" / "c").mkdir(parents=True)
    (root / "a").touch()
    walk = FolderSource(root).walk()
    assert next(walk).path == b"a"
    (root / "b").rename(tmp_path / "gone")
    (root / "b").symlink_to("/etc")
    found = next(walk)
    assert (found.path, found.kind) == (b"b", "directory")
    assert found.error is not None and found.error[0] == errno.ENOTDIR
    assert next(walk, None) is None


@pytest.mark.assertion(
    "EV-SC-08", "A file that can't be read is recorded with the error's number and the place of the first bad read."
)
def test_a_bad_read_is_told_with_errno_and_place():
    source = FolderSource(Path(f"/proc/{os.getpid()}"))  # its `mem` can be opened, and not read at 0
    outcome, _ = digest_file(lambda: source.open(b"mem", {}), Job(1, b"mem", {}, None, None, None, None), Reader())
    assert (outcome.digests, outcome.reason, outcome.errno, outcome.offset) == (None, "error", errno.EIO, 0)


class _Bad(io.BytesIO):
    """Gives so many bytes, then an error of the disk."""

    def readinto(self, buffer):
        count = super().readinto(buffer)
        if not count:
            raise OSError(errno.EIO, "bad sector")
        return count


@pytest.mark.assertion("EV-SC-09", "The digest of a part of a file is never given for the file's.")
@pytest.mark.parametrize("good", [5000, BIG + 4096])
def test_the_digest_of_a_part_is_never_told(good):
    job = Job(1, b"x", {}, good + 100, None, None, None)
    outcome, head = digest_file(lambda: _Bad(bytes(good)), job, reader := Reader())
    assert (outcome.digests, outcome.reason, outcome.errno, outcome.offset) == (None, "error", errno.EIO, good)
    assert head == b""
    assert "bytes read before it" in outcome.detail
    whole, _ = digest_file(lambda: io.BytesIO(bytes(10)), job._replace(size=10), reader)
    assert whole.digests.md5.hex() == "a63c90cc3684ad8b0a2176a6a8fe9005"  # ten zero bytes, by md5sum


@pytest.mark.assertion("EV-SC-10", "A file that changes while it is read gets no digest, and is recorded as changed.")
def test_a_file_that_changes_while_it_is_read_gets_no_digest(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(bytes(300_000))
    said = file.stat()

    class Growing(io.FileIO):
        def readinto(self, buffer):
            count = super().readinto(buffer)
            with file.open("ab") as more:
                more.write(b"x")
            return count if self.tell() < 300_000 else 0

    job = Job(1, b"log", {}, said.st_size, said.st_mtime_ns, said.st_ctime_ns, said.st_ino)
    outcome, _ = digest_file(lambda: Growing(file), job, Reader())
    assert (outcome.digests, outcome.reason) == (None, "changed")
    assert "size was 300000" in outcome.detail
