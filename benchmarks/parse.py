"""Print what decoding with txids costs, as ratios to OpenSSL's SHA-256 of as many bytes and to another decoder.

python benchmarks/parse.py [FOLDER]

FOLDER holds `blk*.dat` files, not obfuscated; without it, case A's file (or else the embedded case's) is repeated. All
figures are CPU seconds, user and system, of one core in one run: medians of rounds in which every part takes its turn.
Needs `blockchain-parser` (python-bitcoin-blockchain-parser) for the second ratio.
"""

import argparse
import hashlib
import platform
import resource
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from geldspur.accuracy import unpack_case
from geldspur.bitcoin import kernels, sha256
from geldspur.bitcoin.batch import Batch

CASE_A = Path(__file__).parents[2] / "shared" / "cases" / "A.tar.xz"
LEAST_BYTES, MOST_BYTES, BATCH_BYTES, PEER_BYTES = 256 << 20, 1 << 30, 32 << 20, 12 << 20
ROUNDS = 7
PIECE = bytes(16_384)


def blocks_of(data: bytes) -> list[bytes]:
    """The blocks of a file, until its magic bytes are no more."""
    found, at = [], 0
    while data[at : at + 4] == data[:4] and at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return found


def read(folder: Path) -> list[bytes]:
    blocks: list[bytes] = []
    for path in sorted(folder.glob("blk*.dat")):
        blocks += blocks_of(path.read_bytes())
        if sum(map(len, blocks)) > MOST_BYTES:
            break
    return blocks


def repeated_case() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        if CASE_A.exists():
            with tarfile.open(CASE_A) as archive:
                archive.extract("A/blocks/blk00000.dat", folder, filter="data")
            blocks = read(Path(folder) / "A" / "blocks")
        else:
            blocks = read(unpack_case(Path(folder)).blocks)
    return blocks * (LEAST_BYTES // sum(map(len, blocks)) + 1)


class Decoder:
    """All blocks in one buffer, decoded batch by batch."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.sizes = np.array([len(b) for b in blocks], np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.buf = np.frombuffer(b"".join(blocks), np.uint8)
        group = self.starts // BATCH_BYTES
        self.cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(blocks)]
        self.batch = Batch(2 * BATCH_BYTES)

    def decode(self) -> int:
        """Returns the number of transactions."""
        total = 0
        for first, last in zip(self.cuts[:-1], self.cuts[1:], strict=True):
            fault, block, _ = self.batch.decode(self.buf, self.starts[first:last], self.sizes[first:last])
            assert fault == kernels.OK, f"block {first + block}: {kernels.FAULTS[fault]}"
            total += self.batch.n_tx
        return total


def by_peer(blocks: list[bytes]) -> int:
    """The same fields by python-bitcoin-blockchain-parser: txids, outpoints spent, values."""
    from blockchain_parser.block import Block  # noqa: PLC0415 - needed only here, and may be absent

    total = 0
    for raw in blocks:
        for tx in Block(raw).transactions:
            _ = tx.txid
            for spent in tx.inputs:
                _ = spent.transaction_hash, spent.transaction_index
            for paid in tx.outputs:
                _ = paid.value
            total += 1
    return total


def cpu_seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def openssl_speed() -> float:
    """Bytes a CPU second, by OpenSSL's own measure."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", "16384", "sha256"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1].rstrip("k")) * 1000


def hashlib_speed() -> float:
    return 8_000 * len(PIECE) / cpu_seconds(lambda: [hashlib.sha256(PIECE).digest() for _ in range(8_000)])


def main() -> None:
    parser = argparse.ArgumentParser(description="What decoding with txids costs on one core.")
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of blk*.dat files")
    folder = parser.parse_args().folder
    blocks = read(folder) if folder else repeated_case()
    peer_blocks = blocks[: max(1, int(np.searchsorted(np.cumsum([len(b) for b in blocks]), PEER_BYTES)))]
    decoder = Decoder(blocks)
    n_tx = decoder.decode()  # compiles, and touches the memory for the first time
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ours, openssl, pieces, peer = [], [], [], []
    for _ in range(ROUNDS):
        ours.append(len(decoder.buf) / cpu_seconds(decoder.decode))
        openssl.append(openssl_speed())
        pieces.append(hashlib_speed())
        peer.append(sum(map(len, peer_blocks)) / cpu_seconds(lambda: by_peer(peer_blocks)))
    speed, limit, piecewise, other = map(statistics.median, (ours, openssl, pieces, peer))
    print(f"{cpu_name()}; Python {platform.python_version()}, numba {version('numba')}, numpy {np.__version__},")
    print(f"{openssl_version()}, blockchain-parser {version('blockchain-parser')}; SHA-256 by: {sha256.engine()}")
    print(f"{len(blocks):,} blocks, {n_tx:,} transactions, {len(decoder.buf):,} bytes, {len(decoder.cuts) - 1} batches")
    print(f"one core, CPU seconds, medians of {ROUNDS} rounds (least and most)")
    per_tx = len(decoder.buf) / n_tx * 1e9
    print(f"decode, txids, roots   {mb(ours)}   {per_tx / speed:8.1f} ns a transaction (best {per_tx / max(ours):.1f})")
    print(f"openssl speed sha256   {mb(openssl)}   ratio {speed / limit:7.2f}  (target 0.9)")
    print(f"hashlib, 16 KiB pieces {mb(pieces)}   ratio {speed / piecewise:7.2f}")
    print(f"blockchain-parser      {mb(peer)}   ratio {speed / other:7.1f}  (target 45)")
    print(f"peak memory {peak:,.0f} MiB, of which the blocks take {len(decoder.buf) / 2**20:,.0f}, twice while joined")


def mb(speeds: list[float]) -> str:
    low, middle, high = (value / 1e6 for value in (min(speeds), statistics.median(speeds), max(speeds)))
    return f"{middle:8,.1f} MB/s ({low:,.1f} to {high:,.1f})"


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def openssl_version() -> str:
    return (
        subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split("(")[0].strip()
    )


if __name__ == "__main__":
    main()
