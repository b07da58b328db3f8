"""Kernels that are kept as machine code run without numba, and are made anew for whatever they were not made for."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geldspur.machinecode import MachineCode

_USE = """
import sys
from geldspur.evidence.scan.lanes import Lanes
lanes = Lanes()
lanes.room(3)[1][:3] = b"abc"
print(lanes.md5([(0, 3)])[0].hex(), "numba" in sys.modules)
"""


def use(folder: Path, **environment: str) -> tuple[str, bool]:
    """MD5 of "abc" by the kernel, and whether that took numba."""
    done = subprocess.run(
        [sys.executable, "-c", _USE], env={**os.environ, "NUMBA_CACHE_DIR": str(folder), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    digest, compiled = done.stdout.split()
    return digest, compiled == "True"


ABC = hashlib.md5(b"abc").hexdigest()


def test_what_is_kept_is_used_without_numba_and_what_is_damaged_is_made_anew(tmp_path):
    assert use(tmp_path) == (ABC, True)
    assert use(tmp_path) == (ABC, False)
    (kept,) = tmp_path.glob("*.code")
    whole = kept.read_bytes()
    for spoilt in (whole[:-1], whole.replace(b"LLVM ", b"LLVM 9", 1)):
        kept.write_bytes(spoilt)
        assert use(tmp_path) == (ABC, True)
        assert kept.read_bytes() == whole


def test_it_is_built_where_numba_is_asked_to_check_bounds(tmp_path):
    assert use(tmp_path, NUMBA_BOUNDSCHECK="1") == (ABC, True)


def needs_python(number):
    return len("x" * number)


def test_a_kernel_that_needs_python_is_refused():
    with pytest.raises(RuntimeError, match="kernels need"):
        MachineCode("none", __name__, {"needs_python": "q"}).build()
