"""The kernels under numba's bounds checking, which they otherwise do without, on cut and mutated blocks."""

import ast
import os
import subprocess
import sys
from pathlib import Path

CHECK = """
import random
import numpy as np
from made_blocks import In, Tx, decode, make_block
from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.words import load_u64

try:
    load_u64(np.zeros(8, np.uint8), 1)
except IndexError:
    print("checked")

draw = random.Random(3)
batch = Batch(200_000)
KEY = b"\\2" * 33
SCRIPTS = [
    b"", b"\\x6a", b"\\0\\x14" + bytes(20), b"\\x76\\xa9\\x14" + bytes(20) + b"\\x88\\xac",
    b"\\xa9\\x14" + bytes(20) + b"\\x87", b"\\x51\\x20" + bytes(32), b"\\x21" + KEY + b"\\xac",
    b"\\x51\\x21" + KEY + b"\\x51\\xae",
]
WITNESS = [b"\\x30\\x44\\2\\x20" + bytes(67), KEY]

def spent():
    script = draw.randbytes(draw.choice([0, 1, 2, 30, 107, 1_100]))
    return In(script, WITNESS[: draw.randrange(3)], draw.randbytes(36))

def transaction():
    outputs = [(1, draw.choice(SCRIPTS)) for _ in range(draw.randrange(5))]
    return Tx([spent() for _ in range(draw.randrange(1, 5))], outputs)

faults = set()
for turn in range(4_000):
    block = bytearray(make_block([transaction() for _ in range(draw.choice([1, 2, 3, 9]))]))
    for _ in range(draw.randrange(4)):
        block[draw.randrange(80, len(block))] = draw.choice([0, 1, 75, 76, 252, 253, 254, 255, draw.randrange(256)])
    if draw.randrange(3) == 0:
        del block[draw.randrange(len(block)) :]
    # Nothing lies behind the last block: whoever reads on leaves the array.
    sizes = np.array([len(block)], np.int64)
    faults.add(batch.decode(np.frombuffer(bytes(block), np.uint8), np.zeros(1, np.int64), sizes)[0])
print(sorted(faults))
"""


def test_mutated_blocks_are_decoded_within_bounds(tmp_path):
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    checked, faults = done.stdout.splitlines()
    assert checked == "checked"
    assert {0, 1, 2, 4, 8} <= set(ast.literal_eval(faults))
