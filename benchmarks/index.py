"""What indexing a chain costs: the whole process, beside the limits of the machine in the same run.

python benchmarks/index.py BLOCKS [--memory SIZE] [--append N] [--threads N] [--cold] [--work DIR]

Prints CPU seconds (user and system) a transaction, peak memory, size of the store, the time to append the last N
blocks to a store of all the others, and with `--cold` how decoding from files that are not in memory compares with
reading them alone. Peers: `openssl speed sha256` and plain reading, on the same machine in the same run. Kernels are
compiled by a first run on the embedded case, which is not counted.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from geldspur.accuracy import unpack_case
from geldspur.ledger.build.decode import decoded
from geldspur.ledger.core_files import CoreFiles

GELDSPUR = Path(sys.executable).with_name("geldspur")


def run(*command: str) -> tuple[dict, float, float, int]:
    """Run a command: its JSON, wall seconds, CPU seconds, and the most memory that it held, in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed: {output.decode()}")
    return json.loads(output), time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def store_bytes(ledger: Path) -> int:
    """Bytes of columns and look-ups."""
    return sum(p.stat().st_size for part in ("columns", "lookup") for p in (ledger / part).rglob("*.bin"))


def openssl_speed() -> float:
    """Bytes a second of OpenSSL's SHA-256 in pieces of 16 KiB, on one core."""
    printed = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "-bytes", "16384", "sha256"], capture_output=True, text=True, check=True
    )
    return float(re.findall(r"([\d.]+)k\s*$", printed.stdout.strip())[-1]) * 1000


def drop(files: list[Path]) -> None:
    """Have the system forget what it holds of files."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def cold(blocks: Path, threads: int) -> tuple[float, float]:
    """Wall seconds to read the files, and to decode them with txids, both from the disk; medians of three turns."""
    files = sorted(blocks.glob("blk*.dat"))
    buffer = np.empty(8 << 20, np.uint8)
    reading, decoding = [], []
    for _ in range(3):
        drop(files)
        began = time.perf_counter()
        for path in files:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
        reading.append(time.perf_counter() - began)
        source = CoreFiles(blocks)
        chain = source.chain()
        drop(files)
        began = time.perf_counter()
        for _ in decoded(source, chain, 8 << 20, threads):
            pass
        decoding.append(time.perf_counter() - began)
    return statistics.median(reading), statistics.median(decoding)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="What indexing a chain costs.")
    parser.add_argument("blocks", type=Path)
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--append", type=int, default=0, metavar="N")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="geldspur-bench-", dir=arguments.work))
    options = ("--memory", arguments.memory, "--threads", str(arguments.threads))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"numpy {np.__version__}, numba {version('numba')}; load {os.getloadavg()[0]:.1f}")  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(str(GELDSPUR), "index", str(unpack_case(Path(folder)).blocks), "--ledger", f"{folder}/ledger")
        limit = openssl_speed()
        ledger = work / "ledger"
        report, wall, cpu, peak = run(str(GELDSPUR), "index", str(arguments.blocks), "--ledger", str(ledger), *options)
        n = report["transactions"]
        hashing = report["bytes_read"] / limit
        print(f"{n:,} transactions, {report['inputs'] / n:.2f} inputs and {report['outputs'] / n:.2f} outputs each, "
              f"{report['bytes_read'] / n:.0f} bytes; --memory {arguments.memory}")  # fmt: skip
        print(f"index           {cpu * 1e6 / n:8.3f} us CPU a transaction, {wall:.1f} s, peak {peak / 1e9:.2f} GB, "
              f"anonymous {report['peak_anonymous_bytes'] / 1e9:.2f} GB")  # fmt: skip
        print(f"  beside        {cpu / hashing:8.2f} x OpenSSL's SHA-256 of as many bytes ({limit / 1e6:,.0f} MB/s)")
        print(f"store           {store_bytes(ledger) / n:8.1f} bytes a transaction")
        if arguments.append:
            shutil.rmtree(ledger)
            tip = report["tip_height"]
            command = (str(GELDSPUR), "index", str(arguments.blocks), "--ledger", str(ledger), *options)
            run(*command, "--to-height", str(tip - arguments.append))
            more, wall, cpu, peak = run(*command)
            print(f"append          {wall:8.2f} s for {arguments.append} blocks, {cpu:.2f} s CPU, peak "
                  f"{peak / 1e9:.2f} GB, {more['blocks_added']} added")  # fmt: skip
        if arguments.cold:
            reading, decoding = cold(arguments.blocks, arguments.threads)
            size = report["bytes_read"]
            print(f"cold            reading {size / reading / 1e6:,.0f} MB/s, decoding with txids")
            print(f"                on {arguments.threads} threads {size / decoding / 1e6:,.0f} MB/s: "
                  f"{reading / decoding:.2f} of it")  # fmt: skip
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"(this program itself held {own:.0f} MiB at most)")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
