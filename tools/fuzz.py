"""Fuzz a decoder, starting from the corpus in tests/corpus.

python tools/fuzz.py TARGET [--seconds N] [--seed N] [--guided]

TARGET: address, script, transaction, block or undo. By default inputs of the corpus are mutated by structure: bytes,
lengths, pieces moved, cut and doubled. `--guided` has atheris (`pip install atheris`) follow the coverage of the Python
code. A failing input is written to the working directory. Set NUMBA_BOUNDSCHECK=1 to have kernels check each access;
give NUMBA_CACHE_DIR a folder of its own then.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
INTERESTING = (0, 1, 2, 75, 76, 77, 127, 128, 252, 253, 254, 255)


def mutated(seeds: list[bytes], draw: random.Random) -> bytes:
    """A seed with a few changes of the kinds that lengths and counts are sensitive to."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.randrange(1, 6)):
        if not data:
            break
        at = draw.randrange(len(data))
        match draw.randrange(7):
            case 0:
                data[at] = draw.choice(INTERESTING)
            case 1:
                data[at] ^= 1 << draw.randrange(8)
            case 2:
                del data[at : at + draw.randrange(1, 40)]
            case 3:
                data[at:at] = data[at : at + draw.randrange(1, 40)]
            case 4:
                other = draw.choice(seeds)
                start = draw.randrange(len(other) + 1)
                data[at:at] = other[start : start + draw.randrange(200)]
            case 5:
                data[at:at] = b"\xff" + draw.choice((0, 1, 2**31, 2**32, 2**63 - 1, 2**63)).to_bytes(8, "little")
            case _:
                del data[at:]
    return bytes(data)


def by_structure(target: Callable[[bytes], None], seeds: list[bytes], seconds: float, seed: int) -> int:
    """Run mutations for a while; returns how many."""
    draw, end, runs = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = mutated(seeds, draw)
        try:
            target(data)
        except BaseException:
            Path(f"crash-{target.__name__}-{seed}-{runs}").write_bytes(data)
            raise
        runs += 1
    return runs


def main() -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description="Fuzz a decoder.")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true")
    arguments = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    corpus = TESTS / "corpus" / arguments.target
    if arguments.guided:
        import atheris

        with atheris.instrument_imports(include=["geldspur"]):
            from fuzz_targets import TARGETS
        options = [sys.argv[0], str(corpus), f"-max_total_time={int(arguments.seconds)}", "-artifact_prefix=crash-"]
        atheris.Setup(options, TARGETS[arguments.target])
        atheris.Fuzz()
        return
    from fuzz_targets import TARGETS

    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())]
    runs = by_structure(TARGETS[arguments.target], seeds, arguments.seconds, arguments.seed)
    print(f"{arguments.target}: {runs:,} mutations of {len(seeds)} seeds in {arguments.seconds:.0f} s, none failed")


if __name__ == "__main__":
    main()
