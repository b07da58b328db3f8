"""The kernels of PDQ and MD5 stay within what they are given, at sizes below, at and between all that they do in steps.

They run as machine code, which `NUMBA_BOUNDSCHECK` does not reach; here they are compiled with its checks besides.
"""

import os
import subprocess
import sys
from pathlib import Path


def test_planes_and_messages_of_odd_sizes_are_hashed_within_bounds():
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    program = Path(__file__).with_name("kernels_in_bounds.py")
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "checked\n", "")
