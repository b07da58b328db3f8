"""Full disks, sources that change, two builds at once: a clear error, and going on afterwards."""

import fcntl
import os
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

from chains import Branch, write_blocks, write_branches
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index
from geldspur.ledger.build import append, decode, first
from geldspur.ledger.build.compact import compact
from ledger_facts import bytes_of, check, differing, facts_of

pytestmark = pytest.mark.usefixtures("small_steps")


class Full:
    """A disk that is full from the n-th write on, until `free`: by any of the calls that programs write with."""

    def __init__(self, monkeypatch):
        self.left = None
        self.writes = 0
        for name in ("pwrite", "fsync", "mkdir", "rename", "replace"):
            monkeypatch.setattr(os, name, partial(self.use, getattr(os, name)))
        text = Path.write_text
        monkeypatch.setattr(Path, "write_text", lambda *args, **named: self.use(text, *args, **named))

    def use(self, call, *args, **named):
        self.writes += 1
        if self.left is not None:
            if self.left <= 0:
                raise OSError(28, "No space left on device")
            self.left -= 1
        return call(*args, **named)


@pytest.fixture
def full(monkeypatch):
    return Full(monkeypatch)


def stops_and_goes_on(folder, full, start, work, points):
    """Let the disk be full at so many places, one after the other: each time an error, then the whole result."""

    def begin():
        shutil.rmtree(folder / "ledger", ignore_errors=True)
        if start:
            shutil.copytree(start, folder / "ledger")
        return folder / "ledger"

    full.left = None
    work(begin())  # kernels that are compiled now are written too, and not the next time
    ledger, full.writes = begin(), 0
    work(ledger)
    whole, writes = bytes_of(folder / "ledger"), full.writes
    for n in random.Random(writes).sample(range(writes), min(points, writes)):
        ledger = begin()
        full.left = n
        with pytest.raises(GeldspurError, match="No space left"):
            work(ledger)
        full.left = None
        work(ledger)
        assert differing(bytes_of(ledger), whole) == [], n


@pytest.mark.parametrize("how", ["memory", "disk"])
def test_the_disk_is_full_in_a_first_build(tmp_path, full, how, by_way_of_disk):
    if how == "disk":
        by_way_of_disk()
    blocks = write_branches(tmp_path / "blocks", Branch().grow(random.Random(1), 25))
    stops_and_goes_on(tmp_path, full, None, lambda ledger: index(blocks, ledger), 12)


def test_the_disk_is_full_in_an_append_and_in_a_reorg(tmp_path, full):
    branch = Branch().grow(random.Random(1), 25)
    blocks = write_branches(tmp_path / "blocks", branch)
    index(blocks, tmp_path / "start", to_height=20)
    stops_and_goes_on(tmp_path, full, tmp_path / "start", lambda ledger: index(blocks, ledger), 12)
    fork = branch.fork(15).grow(random.Random(2), 20)
    forked = write_branches(tmp_path / "forked", branch, fork)
    stops_and_goes_on(tmp_path, full, tmp_path / "start", lambda ledger: index(forked, ledger), 12)


def test_the_disk_is_full_while_compacting(tmp_path, full):
    blocks = write_branches(tmp_path / "blocks", Branch().grow(random.Random(1), 25))
    for height in (15, 20, None):
        index(blocks, tmp_path / "start", to_height=height)
    stops_and_goes_on(tmp_path, full, tmp_path / "start", compact, 10)


def test_a_disk_that_is_really_full(tmp_path, by_way_of_disk):
    """On a small file system of its own, which takes the rights to mount one."""
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=100k none '{small}' 2>/dev/null"):
        pytest.skip("needs the rights to mount a file system")
    try:
        branch = Branch().grow(random.Random(1), 400, txs=6)
        blocks = write_branches(tmp_path / "blocks", branch)
        index(blocks, tmp_path / "plain")
        for k in range(2):
            if k:
                by_way_of_disk()
            ledger = small / f"ledger{k}"
            sizes = iter(range(100, 20_000, 100 + 300 * k))
            for size in sizes:
                os.system(f"mount -o remount,size={size}k '{small}'")
                try:
                    index(blocks, ledger)
                    break
                except GeldspurError as error:
                    assert "No space left" in error.what, error
            assert size > 300
            assert differing(bytes_of(ledger), bytes_of(tmp_path / "plain")) == []
            shutil.rmtree(ledger)
    finally:
        os.system(f"umount '{small}'")


# The source


@pytest.fixture
def files(tmp_path):
    """A chain in three files, and the folder."""
    branch = Branch().grow(random.Random(1), 40)
    for part in range(3):
        write_blocks(tmp_path / "blocks", branch.blocks[part * 14 : part * 14 + 14], f"blk{part:05}.dat")
    return branch, tmp_path / "blocks"


def vanish(path):
    path.unlink()


def shrink(path):
    os.truncate(path, path.stat().st_size // 2)


def change(path):
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [vanish, shrink, change])
@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("with_start", [False, True])
def test_a_file_that_does_not_stay_what_it_was(tmp_path, files, monkeypatch, spoil, part, with_start):
    branch, blocks = files
    path, ledger = blocks / f"blk{part:05}.dat", tmp_path / "ledger"
    kept = path.read_bytes()
    if with_start:
        index(blocks, ledger, to_height=8)
        before = facts_of(Ledger(ledger))
    owner = append if with_start else first
    real, state = owner.add_piece, {"spoiled": False}

    def add(*args):
        if not state["spoiled"]:
            state["spoiled"] = True
            spoil(path)
        real(*args)

    monkeypatch.setattr(owner, "add_piece", add)
    with pytest.raises(GeldspurError) as caught:
        index(blocks, ledger, threads=1)
    assert path.name in f"{caught.value.what} {caught.value.where}"
    if with_start:
        now = facts_of(Ledger(ledger))
        assert now == before or now["tip"][1] > 8
    path.write_bytes(kept)
    index(blocks, ledger)
    check(ledger, branch)


def test_a_source_that_fails_like_a_disk(tmp_path, files, monkeypatch):
    branch, blocks = files
    real, calls = os.preadv, [0]

    def fail_once(*args):
        calls[0] += 1
        if calls[0] == 20:
            raise OSError(5, "Input/output error")
        return real(*args)

    monkeypatch.setattr(os, "preadv", fail_once)
    with pytest.raises(GeldspurError, match="Input/output error"):
        index(blocks, tmp_path / "ledger")
    index(blocks, tmp_path / "ledger")
    check(tmp_path / "ledger", branch)


def test_the_chain_is_another_when_an_unfinished_build_goes_on(tmp_path, monkeypatch):
    branch = Branch().grow(random.Random(1), 40)
    fork = branch.fork(30).grow(random.Random(2), 14)
    longer = fork.fork(44).grow(random.Random(3), 10)
    ledger, real, pieces = tmp_path / "ledger", decode.decoded, [0]

    def stop(*args):
        for piece in real(*args):
            pieces[0] += 1
            if pieces[0] % 4 == 0:
                raise KeyboardInterrupt
            yield piece

    from geldspur.ledger.build import pieces as going_through

    monkeypatch.setattr(going_through, "decoded", stop)
    for now in (branch, fork):
        with pytest.raises(KeyboardInterrupt):
            index(write_branches(tmp_path / f"b{len(now.blocks)}", branch, now), ledger)
    monkeypatch.setattr(going_through, "decoded", real)
    index(write_branches(tmp_path / "longer", branch, longer), ledger)
    check(ledger, longer)
    compact(ledger)
    index(write_branches(tmp_path / "only", longer), tmp_path / "fresh")
    assert differing(bytes_of(ledger), bytes_of(tmp_path / "fresh")) == []


def test_only_one_at_a_time_changes_a_ledger(tmp_path, files):
    _, blocks = files
    ledger = tmp_path / "ledger"
    index(blocks, ledger)
    before = bytes_of(ledger)
    handle = os.open(ledger, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for work in (lambda: index(blocks, ledger), lambda: compact(ledger)):
            with pytest.raises(GeldspurError, match="another command is changing this ledger"):
                work()
        Ledger(ledger)
    finally:
        os.close(handle)
    assert bytes_of(ledger) == before
