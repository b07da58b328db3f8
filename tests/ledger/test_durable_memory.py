"""A build keeps within the memory that it was given: the system refuses it any more."""

import resource
import subprocess
import sys

import pytest

from geldspur.ledger.build.memory import LEAST
from geldspur.ledger.build.partitions import deal, match
from geldspur.progress import SILENT

WORK = """
import resource, sys
from pathlib import Path
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from geldspur.ledger import index
from geldspur.ledger.build import first, tables
if sys.argv[2] == "disk":
    def refuse(*_): raise tables.TablesTooLarge
    first.Tables = refuse
if sys.argv[2] == "memory":  # tables as large as the budget lets them be
    tables._expected = lambda have, share: 1 << 40
report = index(Path(sys.argv[3]), Path(sys.argv[4]), memory=limit, threads=int(sys.argv[5]))
print(report.peak_anonymous_bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts all private memory as data")
@pytest.mark.parametrize(
    ("way", "limit", "threads"), [("memory", 1 << 30, 2), ("disk", 1 << 30, 2), ("memory", LEAST, 4)]
)
def test_a_build_within_its_budget(tmp_path, unpacked, way, limit, threads):
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(limit), way, str(unpacked("A")), str(tmp_path / "ledger"), str(threads)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < int(done.stdout) <= limit


def test_the_limit_is_one(tmp_path, unpacked):
    """So that the test above can fail: with less than the program itself takes, it does."""
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(90 << 20), "disk", str(unpacked("A")), str(tmp_path / "ledger"), "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != 90 << 20


def test_numbering_the_scripts_of_a_partition_takes_little_more_than_they_do(tmp_path):
    """Three times their bytes, by which threads are counted out."""
    import tracemalloc

    import numpy as np

    n = 1_000_000
    records = np.random.default_rng(1).integers(0, 256, (n, 21), dtype=np.uint8)
    records[:, 0] = 4
    records.tofile(deal.path_of(tmp_path, "out", 0))
    del records
    key = np.array([1, 2], np.uint64)
    streams = {"out": [21 * n], "out_rows": [n]}
    with SILENT.task("", None, "B") as task:
        match.match_scripts(tmp_path, key, streams, 1, task)  # what is loaded and compiled at first does not count
        tracemalloc.start()
        assert match.match_scripts(tmp_path, key, streams, 1, task) == [n]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3 * 21 * n + (32 << 20)
