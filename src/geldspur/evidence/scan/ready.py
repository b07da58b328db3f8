"""Kernels are compiled once, by one process, before all workers need them at the same time."""

import subprocess

from geldspur import kernelcache
from geldspur.errors import GeldspurError
from geldspur.evidence.scan.nest import environment, python

_COMPILE = """
from geldspur.evidence.media.pdq import warm
from geldspur.evidence.scan.lanes import Lanes
from geldspur.evidence.scan.sha.both import can
warm()
can()
Lanes()
"""
_LAST = ("transform", "write_bits", "md5_many")  # what is compiled at the end


def is_ready() -> bool:
    """Are the kernels of a scan compiled?"""
    return all(kernelcache.is_warm(kernel) for kernel in _LAST)


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
