"""PDQ of a frame against pdqhash, on the same luma, bit for bit.

python benchmarks/pdq.py [--rounds N]

pdqhash 0.2.8 has no wheel, and takes RGB: it is given the luma three times over, which gives the same luma back.
"""

import argparse
import os
import platform
import statistics
import sys
import time

import numpy as np
import pdqhash
from clips import frames_of

from geldspur import kernelcache


def peer(rgb: np.ndarray) -> tuple[bytes, int]:
    bits, quality = pdqhash.compute(rgb)
    return np.packbits(bits.astype(np.uint8)).tobytes(), quality


def timed(work, times: int) -> tuple[float, float]:
    """CPU and wall seconds of one run."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        work()
    return (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    from geldspur.evidence.media.pdq import pdq, warm  # noqa: PLC0415  # after the kernels' place is set

    warm()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for width, height in ((1920, 1080), (1280, 720), (640, 360)):
        equal, pairs = 0, []
        frames = [frame for seed in range(4) for frame in list(frames_of(seed, 2, width, height))[::20]]
        for frame in frames:
            plane = np.ascontiguousarray(frame)
            hashed = pdq(plane)
            equal += (hashed.plain, hashed.quality) == peer(np.repeat(plane[:, :, None], 3, 2))
        rgb = np.repeat(plane[:, :, None], 3, 2)
        for _ in range(rounds):
            pairs.append((timed(lambda: peer(rgb), 3), timed(lambda: pdq(plane), 100)))  # noqa: B023
        theirs, ours = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
        cpu, wall = (statistics.median(pair[0][kind] / pair[1][kind] for pair in pairs) for kind in (0, 1))
        print(f"{width}x{height}: pdqhash {theirs * 1e3:.2f} CPU-ms, here {ours * 1e3:.3f}; "
              f"{cpu:.0f} x by CPU, {wall:.0f} x by wall; {equal} of {len(frames)} equal")  # fmt: skip


if __name__ == "__main__":
    kernelcache.prepare()
    main()
