"""Look-ups in a compiled hash list against SQLite, the same entries and queries, turn by turn.

python benchmarks/lists.py [--entries N] [--queries N] [--rounds N] [--work DIR]

Peers: a table WITHOUT ROWID whose primary key is the MD5 (what Autopsy and TSK keep hash sets in), asked one query at a
time, and, kinder to SQLite, all queries at once by a join with a temporary table. Half of the queries are in the list,
in random order. All answers must be equal. CPU seconds of this process, medians of the rounds; the first use of a
kernel is not counted.
"""

import argparse
import os
import platform
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from geldspur.evidence.lists import HashList, make_list

HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def write_list(path: Path, digests: np.ndarray) -> None:
    """A list of bare MD5s, one a line."""
    with path.open("wb") as file:
        for start in range(0, len(digests), 1 << 20):
            part = digests[start : start + (1 << 20)]
            lines = np.full((len(part), 33), ord("\n"), np.uint8)
            lines[:, 0:32:2], lines[:, 1:32:2] = HEX[part >> 4], HEX[part & 15]
            file.write(lines.tobytes())


def write_sqlite(path: Path, digests: np.ndarray) -> sqlite3.Connection:
    """The same entries under a primary key, inserted in its order, as is quickest for SQLite."""
    order = np.lexsort(digests.view(">u8").T[::-1])
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("CREATE TABLE list (md5 BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID")
    raw = digests.tobytes()
    db.executemany("INSERT INTO list VALUES (?, ?)", ((raw[16 * k : 16 * k + 16], k) for k in order.tolist()))
    db.commit()
    db.execute("PRAGMA mmap_size = 8000000000")
    db.execute("PRAGMA cache_size = -1000000")
    return db


def by_query(db: sqlite3.Connection, queries: list[bytes]) -> list[tuple[int, int]]:
    """One look-up a query."""
    found = []
    for number, digest in enumerate(queries):
        for (row,) in db.execute("SELECT row FROM list WHERE md5 = ?", (digest,)):
            found.append((number, row))
    return found


def by_join(db: sqlite3.Connection) -> list[tuple[int, int]]:
    """All look-ups in one statement, inside SQLite."""
    return db.execute("SELECT q.number, l.row FROM query q JOIN list l ON l.md5 = q.md5 ORDER BY q.number").fetchall()


def ours(found: HashList, queries: np.ndarray) -> np.ndarray:
    """All look-ups in one call."""
    return np.stack(found.find("md5", queries), axis=1)


def cpu_seconds(work: Callable[[], object]) -> tuple[float, float, object]:
    """CPU and wall seconds, and the answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.process_time() - cpu, time.perf_counter() - wall, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000_000)
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=None, help="where the list and the database are made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        run(Path(name), options.entries, options.queries, options.rounds)


def run(work: Path, entries: int, asked: int, rounds: int) -> None:
    """Make both, ask both in turn, compare the answers."""
    rng = np.random.default_rng(20)
    digests = rng.integers(0, 256, (entries, 16), dtype=np.uint8)
    hits = digests[rng.integers(0, entries, asked // 2)]
    queries = np.concatenate([hits, rng.integers(0, 256, (asked - len(hits), 16), dtype=np.uint8)])
    queries = np.ascontiguousarray(queries[rng.permutation(asked)])
    write_list(work / "list.txt", digests)
    db = write_sqlite(work / "list.db", digests)
    del digests
    cpu, wall, found = cpu_seconds(lambda: make_list(work / "list.txt", work / "compiled"))
    assert isinstance(found, HashList)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; SQLite {sqlite3.sqlite_version}"
    )
    print(f"{entries:,} MD5 entries; compiled in {cpu:.1f} CPU s, {wall:.1f} s")
    size = sum(file.stat().st_size for file in (work / "compiled").iterdir())
    print(
        f"bytes an entry on disk: {size / entries:.1f} ours, {(work / 'list.db').stat().st_size / entries:.1f} SQLite"
    )
    blobs = [query.tobytes() for query in queries]
    db.execute("CREATE TEMP TABLE query (number INTEGER PRIMARY KEY, md5 BLOB NOT NULL)")
    db.executemany("INSERT INTO query VALUES (?, ?)", enumerate(blobs))
    ours(found, queries[:1000])
    peers = {
        "ours": lambda: ours(found, queries),
        "SQLite, one by one": lambda: by_query(db, blobs),
        "SQLite, one join": lambda: by_join(db),
    }
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        truth = None
        for peer, work_ in peers.items():
            cpu, _, answer = cpu_seconds(work_)
            times[peer].append(cpu)
            rows = np.asarray(answer, np.int64)
            assert truth is None or np.array_equal(rows, truth), "the answers differ"
            truth = rows
    print(f"{asked:,} queries, {len(truth):,} in the list; equal answers in all {rounds} rounds")
    median = {peer: statistics.median(values) for peer, values in times.items()}
    for peer, seconds in median.items():
        ratio = "" if peer == "ours" else f"  ours is {seconds / median['ours']:.1f} times as quick"
        print(f"{peer:20} {asked / seconds:12,.0f} look-ups a CPU second{ratio}")
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB, all peers")


if __name__ == "__main__":
    main()
