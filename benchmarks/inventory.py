"""How fast a tree is inventoried, against hashdeep and against reading alone.

python benchmarks/inventory.py [--work DIR] [--rounds N] [--files N] [--big MB] [--cold] [--rate 300M]

`hashdeep -j2 -c md5,sha1,sha256 -r` and `geldspur evidence scan --no-fingerprints --workers 2` take turns over the same
trees (small files of 200 kB, and one big file), from the page cache. Ours computes BLAKE3 besides, writes a database
and a log, and starts its workers, all within the time. Digests are compared. CPU is user and system time of all
processes. `cat` over the same files tells what reading alone takes.

With --cold the files leave the page cache before each run, so that they come from the storage under --work (names and
inodes stay known). With --rate 300M besides, Linux lets all three read that many bytes a second from its disk and no
more, by a control group of their own (as root).
"""

import argparse
import os
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from throttle import bytes_of, read_at_most

PROGRAM = [sys.executable, "-c", "from geldspur.cli import main; main()"]
SMALL = 200_000


def make_trees(work: Path, files: int, big_mb: int) -> dict[str, Path]:
    """Random bytes, once."""
    small, big = work / "small", work / "big"
    for number in range(files):
        folder = small / f"{number % 50:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}").write_bytes(os.urandom(SMALL))
    big.mkdir(parents=True, exist_ok=True)
    with (big / "big").open("wb") as file:
        for _ in range(big_mb):
            file.write(os.urandom(1_000_000))
    os.sync()  # else the first program that syncs waits for all of this
    return {f"{files} files of 200 kB": small, f"one file of {big_mb} MB": big}


def timed(command: list[str | Path]) -> tuple[float, float, bytes]:
    """Wall and CPU seconds of a command, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def of_hashdeep(printed: bytes) -> set[tuple[str, ...]]:
    """Size and three digests of each file."""
    lines = [line for line in printed.decode().splitlines() if line and line[0] not in "%#"]
    return {tuple(line.split(",")[:4]) for line in lines}


def of_scan(out: Path) -> set[tuple[str, ...]]:
    """The same, from the scan's database."""
    db = sqlite3.connect(out / "scan.sqlite")
    rows = db.execute("SELECT size, lower(hex(md5)), lower(hex(sha1)), lower(hex(sha256)) FROM content")
    return {(str(size), *digests) for size, *digests in rows}


def leave_cache(tree: Path) -> None:
    """Let the kernel forget what the files hold; they must have been written back."""
    for path in tree.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compare(name: str, tree: Path, work: Path, rounds: int, *, cold: bool) -> None:
    """Let both run in turn; print medians and their ratios."""
    out = work / "scan"
    commands: dict[str, list[str | Path]] = {
        "read": ["sh", "-c", f"find '{tree}' -type f -exec cat {{}} + > /dev/null"],
        "hashdeep": ["hashdeep", "-j2", "-c", "md5,sha1,sha256", "-r", tree],
        "geldspur": [*PROGRAM, "evidence", "scan", tree, "--out", out, "--no-fingerprints", "--workers", "2"],
    }
    times: dict[str, list[tuple[float, float]]] = {who: [] for who in commands}
    for _ in range(rounds):
        shutil.rmtree(out, ignore_errors=True)
        printed: dict[str, bytes] = {}
        for who, command in commands.items():
            if cold:
                leave_cache(tree)
            wall, cpu, printed[who] = timed(command)
            times[who].append((wall, cpu))
        assert of_scan(out) == of_hashdeep(printed["hashdeep"]), "the digests differ"
    middle = {who: tuple(median(column) for column in zip(*runs, strict=True)) for who, runs in times.items()}
    size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()) / 1e6
    print(f"{name}: digests equal")
    for who, (wall, cpu) in middle.items():
        print(f"  {who:9} {wall:7.2f} s wall {size / wall:7.0f} MB/s   {cpu:7.2f} s CPU {size / cpu:7.0f} MB/CPU-s")
    wall, cpu = (middle["hashdeep"][axis] / middle["geldspur"][axis] for axis in (0, 1))
    print(f"  hashdeep / geldspur: {wall:.2f} x wall, {cpu:.2f} x CPU")
    paired = [ours[0] / alone[0] for ours, alone in zip(times["geldspur"], times["read"], strict=True)]
    print(f"  geldspur / read: {median(paired):.2f} x wall (median of {rounds} pairs, {min(paired):.2f} to "
          f"{max(paired):.2f})")  # fmt: skip


def main() -> None:
    """Make the trees, compare, and say on what machine."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", type=Path, default=Path("build/inventory"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--big", type=int, default=1000, help="megabytes")
    parser.add_argument("--cold", action="store_true", help="read from the storage, not from the page cache")
    parser.add_argument("--rate", type=bytes_of, help="bytes a second that the disk gives, e.g. 300M; implies --cold")
    wanted = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    shutil.rmtree(wanted.work, ignore_errors=True)
    wanted.work.mkdir(parents=True)
    try:
        trees = make_trees(wanted.work, wanted.files, wanted.big)
        with read_at_most(wanted.rate, wanted.work) if wanted.rate else nullcontext():
            for name, tree in trees.items():
                compare(name, tree, wanted.work, wanted.rounds, cold=wanted.cold or wanted.rate is not None)
    finally:
        shutil.rmtree(wanted.work)


if __name__ == "__main__":
    main()
