"""The near search within 31 bits beside faiss's multi-index hashing as ThreatExchange configures it, and a flat scan.

python benchmarks/near.py [--hashes N] [--queries Q] [--rounds R] [--neighbours K]

Random hashes (with --neighbours in families of K, up to 31 bits round a centre); queries lie 0 to 31 bits, drawn
evenly, from one of the hashes. Each engine runs in a process of its own, on one thread. Every round gives all engines
the same new queries, in turn. Memory is what the process holds after building, over what it held before the hashes
were made, the hashes given freed: index and data. The benchmark fails if any answer differs between the engines.
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np

from geldspur.evidence.matching.mih import MultiIndex

RADIUS = 31
ENGINES = ("geldspur", "faiss MultiHash 16x16", "faiss Flat")


def made_hashes(count: int, neighbours: int) -> np.ndarray:
    """The same in each process."""
    random = np.random.default_rng(1)
    hashes = random.integers(0, 256, (count, 32), dtype=np.uint8)
    if neighbours > 1:
        hashes[:] = hashes[np.arange(count) // neighbours]
        for at in range(0, count, 1 << 20):
            moved(hashes[at : at + (1 << 20)], random)
    return hashes


def moved(hashes: np.ndarray, random: np.random.Generator) -> None:
    """Flip 0 to 31 bits of each."""
    bits = np.argsort(random.random((len(hashes), 256), dtype=np.float32), axis=1)[:, :31].astype(np.uint8)
    wanted = random.integers(0, 32, len(hashes))
    for place in range(31):
        rows = np.flatnonzero(wanted > place)
        hashes[rows, bits[rows, place] >> 3] ^= np.uint8(1) << (bits[rows, place] & 7)


def made_queries(hashes: np.ndarray, count: int, number: int) -> np.ndarray:
    """The queries of one round."""
    random = np.random.default_rng([2, number])
    queries = hashes[random.integers(0, len(hashes), count)].copy()
    moved(queries, random)
    return queries


def held() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most that was resident."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class Geldspur:
    """Ours."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._index = MultiIndex(hashes)

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Rows (query, row, distance) of all pairs."""
        parts = []
        for matches in self._index.search(queries, RADIUS):
            place, row = self._index.spread(matches.hash)
            parts.append(np.stack([matches.query[place], row, matches.distance[place]], axis=1))
        return np.concatenate(parts)


class Faiss:
    """One of faiss's binary indexes; its radius is exclusive."""

    def __init__(self, hashes: np.ndarray, flat: bool) -> None:
        faiss.omp_set_num_threads(1)
        if flat:
            self._index = faiss.IndexBinaryFlat(256)
        else:
            self._index = faiss.IndexBinaryMultiHash(256, 16, 16)
            self._index.nflip = 1
        self._index.add(hashes)

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Rows (query, row, distance) of all pairs."""
        limits, distance, row = self._index.range_search(queries, RADIUS + 1)
        query = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
        return np.stack([query, row, distance.astype(np.int64)], axis=1)


def made_engine(name: str, hashes: np.ndarray) -> Any:
    """The engine of that name."""
    return Geldspur(hashes) if name == "geldspur" else Faiss(hashes, flat=name == "faiss Flat")


def serve(name: str, count: int, neighbours: int) -> None:
    """Build, then answer rounds from standard input, each a line [number, queries]."""
    made_engine(name, made_hashes(1000, 1)).search(made_hashes(10, 1))  # compiled and imported
    before = held()
    hashes = made_hashes(count, neighbours)
    sample = hashes[:: max(1, count // 200_000)].copy()
    began = time.process_time()
    engine = made_engine(name, hashes)
    built = time.process_time() - began
    del hashes
    gc.collect()
    print(json.dumps({"build": built, "held": held() - before - sample.nbytes, "peak": peak()}), flush=True)
    for line in sys.stdin:
        number, asked = json.loads(line)
        queries = made_queries(sample, asked, number)
        began, wall = time.process_time(), time.perf_counter()
        found = engine.search(queries)
        seconds, wall = time.process_time() - began, time.perf_counter() - wall
        found = found[np.lexsort(found.T[::-1])].astype(np.int64)
        digest = hashlib.sha256(np.ascontiguousarray(found).tobytes()).hexdigest()
        print(json.dumps({"seconds": seconds, "wall": wall, "pairs": len(found), "digest": digest}), flush=True)


class Process:
    """An engine at work elsewhere."""

    def __init__(self, name: str, count: int, neighbours: int) -> None:
        command = [sys.executable, __file__, "--serve", name, "--hashes", str(count), "--neighbours", str(neighbours)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.built = self._answer()
        self.rates: list[float] = []

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def ask(self, number: int, queries: int) -> dict[str, Any]:
        """One round."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([number, queries]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Build all engines, ask them in turn, print rates, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=300, help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--batch", type=int, default=30_000, help="queries of the large batch, ours only")
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, asked.hashes, asked.neighbours)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(
        f"{asked.hashes:,} hashes, families of {asked.neighbours}; {asked.rounds} rounds of {asked.queries:,} queries"
    )
    engines = {name: Process(name, asked.hashes, asked.neighbours) for name in ENGINES}
    for number in range(asked.rounds):
        answers = {}
        for name, engine in engines.items():
            answers[name] = engine.ask(number, asked.queries)
            engine.rates.append(asked.queries / answers[name]["seconds"])
        if len({answer["digest"] for answer in answers.values()}) > 1:
            sys.exit(f"the engines' answers differ: {answers}")
        if answers["geldspur"]["pairs"] < asked.queries:
            sys.exit("a planted hash was not found")
    large = [engines["geldspur"].ask(1000 + number, asked.batch)["seconds"] for number in range(asked.rounds)]
    ours = engines["geldspur"]
    for name, engine in engines.items():
        built, rate = engine.built, median(engine.rates)
        print(
            f"{name:22} build {built['build']:6.1f} CPU-s, holds {built['held'] / 1e6:6,.0f} MB, peak "
            f"{built['peak'] / 1e6:6,.0f} MB, {rate:9,.1f} queries/CPU-s; ours {median(ours.rates) / rate:.1f} x "
            f"faster, {ours.built['held'] / built['held']:.3f} x its memory"
        )
        engine.end()
    print(f"geldspur, batches of {asked.batch:,}: {asked.batch / median(large):,.0f} queries/CPU-s; "
          f"load at the end {os.getloadavg()[0]:.1f}; all answers equal")  # fmt: skip


if __name__ == "__main__":
    main()
