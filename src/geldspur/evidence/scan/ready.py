"""Kernels are compiled once, by one process, before all workers need them at the same time."""

import subprocess

from geldspur.errors import GeldspurError
from geldspur.evidence.media import pdq
from geldspur.evidence.scan import lanes
from geldspur.evidence.scan.nest import environment, python
from geldspur.evidence.scan.sha import both

_COMPILE = """
from geldspur.evidence.media import pdq
from geldspur.evidence.scan import lanes
from geldspur.evidence.scan.sha import both
pdq.CODE.build()
lanes.CODE.build()
if both.has_instructions():
    both.CODE.build()
"""


def is_ready() -> bool:
    """Are the kernels of a scan compiled?"""
    return pdq.CODE.is_built() and lanes.CODE.is_built() and (both.CODE.is_built() or not both.has_instructions())


def compile_kernels() -> None:
    """Compile them, in a process that ends with it: the scan itself needs neither numba nor the decoders.

    Raises:
        GeldspurError: it did not work.
    """
    done = subprocess.run(  # noqa: S603
        python(_COMPILE),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise GeldspurError("the kernels can't be compiled", where=last, todo="try --no-fingerprints, or install again")
