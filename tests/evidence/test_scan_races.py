"""A source that changes while it is scanned leads nowhere else: no folder or file swapped for a link is followed."""

import subprocess
import sys
import time

import pytest
from scan_trees import log_agrees_with_rows, rows, scanned

from geldspur.evidence.sources.folder import FolderSource

INSIDE, OUTSIDE = b"evidence", b"secret, outside the source"
# each pair changes places in one step (renameat2 with RENAME_EXCHANGE), without end
SWAPPER = """
import ctypes, os, sys
libc, pairs = ctypes.CDLL(None, use_errno=True), [word.encode() for word in sys.argv[1:]]
print(flush=True)
while True:
    for one, other in zip(pairs[::2], pairs[1::2]):
        if libc.renameat2(-100, one, -100, other, 2):
            sys.exit(os.strerror(ctypes.get_errno()))
"""


@pytest.fixture
def swapped(tmp_path):
    """A tree in which, all the time, a folder, a folder's folder and a file change places with links to the outside."""
    outside, source = tmp_path / "outside", tmp_path / "source"
    for root, content in ((outside, OUTSIDE), (source, INSIDE)):
        for folder in ("a", "a/inner", "b"):
            (root / folder).mkdir(parents=True)
            for number in range(20):
                (root / folder / f"f{number:02}").write_bytes(content)
    (source / "b/inner").mkdir()
    (source / "b/inner/f00").write_bytes(INSIDE)
    pairs = []
    for path, link in (("b/inner", "b/link"), ("b/f05", "link-to-file"), ("a", "link")):
        (source / link).symlink_to(outside / path.replace("b/inner", "a/inner"))
        pairs += [source / path, source / link]
    command = [sys.executable, "-c", SWAPPER, *map(str, pairs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield source
        assert process.poll() is None, "the swapping ended early"
        process.kill()


@pytest.mark.assertion(
    "EV-SC-15", "A folder or file swapped for a link while a scan runs leads to no byte outside the source."
)
def test_what_is_swapped_for_a_link_in_mid_scan_is_never_followed(swapped, tmp_path):
    until = time.monotonic() + 2.5
    read, refused = 0, 0
    while time.monotonic() < until:
        source = FolderSource(swapped)
        for found in source.walk():
            refused += found.error is not None
            if found.kind != "file":
                continue
            try:
                with source.open(found.path, found.place) as stream:
                    assert stream.read() == INSIDE, found.path
                read += 1
            except OSError:
                refused += 1
    assert read > 100 and refused > 10, "the swaps were not met"
    said = scanned(swapped, "--out", tmp_path / "scan", "--workers", 2, "--no-fingerprints")
    assert said["closes"]
    assert rows(tmp_path / "scan", "SELECT DISTINCT size FROM content") == [(len(INSIDE),)]
    log_agrees_with_rows(tmp_path / "scan")
