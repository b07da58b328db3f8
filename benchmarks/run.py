"""Print what decoding costs as a ratio to a named limit in the same run: OpenSSL's SHA-256 of the same bytes.

make bench
"""

import hashlib
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from geldspur.accuracy import unpack_case
from geldspur.bitcoin import kernels
from geldspur.ledger.blockfiles import block_of, scan
from geldspur.ledger.build import _empty_part

ROUNDS = 20


def decode_all(buf: np.ndarray, starts: np.ndarray) -> int:
    """Decode every block with its transaction ids; returns the number of transactions."""
    total = 0
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        n_tx, n_in, n_out, largest, fault, _ = kernels.measure_block(buf, start, end)
        assert fault == kernels.OK
        part = _empty_part(n_tx, n_in, n_out)
        kernels.decode_block(buf, start, end, *part.values(), 0, 0, 0, np.empty(largest + 128, np.uint8))
        total += n_tx
    return total


def main() -> None:
    """Measure on the embedded case."""
    with tempfile.TemporaryDirectory() as folder:
        found = scan(unpack_case(Path(folder)).blocks)
        blocks = [block_of(found.files, r.file, r.offset, r.size) for r in found.records]
    buf = np.concatenate(blocks)
    starts = np.cumsum([0] + [len(b) for b in blocks])
    decode_all(buf, starts)  # compiles
    before = time.process_time()
    for _ in range(ROUNDS):
        n_tx = decode_all(buf, starts)
    ours = (time.process_time() - before) / ROUNDS
    before = time.process_time()
    for _ in range(ROUNDS):
        hashlib.sha256(buf).digest()
    openssl = (time.process_time() - before) / ROUNDS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{len(blocks)} blocks, {n_tx} transactions, {len(buf):,} bytes, {ROUNDS} rounds, CPU seconds, one core")
    print(f"decode with txids   {ours * 1e6 / n_tx:8.2f} us a transaction  {len(buf) / ours / 1e6:8.0f} MB/s")
    print(f"OpenSSL SHA-256     {'':8}                    {len(buf) / openssl / 1e6:8.0f} MB/s")
    print(f"ratio               {openssl / ours:8.3f} of the limit; peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
