"""What the program costs a person at a shell: whole processes, from start to exit, on the embedded case.

python benchmarks/cli.py [--rounds N]
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from geldspur.accuracy import unpack_case
from geldspur.ledger import Ledger, index

GELDSPUR = Path(sys.executable).parent / "geldspur"


def children_cpu() -> float:
    """CPU seconds of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(command: list[str], rounds: int) -> tuple[list[float], list[float]]:
    """Wall and CPU seconds of each run, after one that fills the caches."""
    # Without this, a shell that forbids bytecode files has Python compile every module at each start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    wall, cpu = [], []
    for _ in range(rounds + 1):
        began, used = time.perf_counter(), children_cpu()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        wall.append(time.perf_counter() - began)
        cpu.append(children_cpu() - used)
    return wall[1:], cpu[1:]


def main() -> None:
    """Print the median and the best of each command, beside Python's own start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index(unpack_case(folder / "case").blocks, folder / "ledger")
        ledger = Ledger(folder / "ledger")
        busiest = max(range(ledger.n_scripts), key=lambda s: (ledger.address(s) is not None, len(ledger.outputs_of(s))))
        place = ["--ledger", str(ledger.folder)]
        program = str(GELDSPUR)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
            "geldspur --help": [program, "--help"],
            "geldspur address": [program, "address", str(ledger.address(busiest)), *place],
            "geldspur tx": [program, "tx", ledger.txid(ledger.n_txs // 2), *place],
            "geldspur block": [program, "block", str(ledger.tip_height // 2), *place],
        }
        versions = "  ".join(f"{package} {version(package)}" for package in ("numpy", "typer"))
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
              f"{platform.release()}, Python {platform.python_version()}  {versions}")  # fmt: skip
        print(f"{rounds} runs each, seconds; load before them {os.getloadavg()[0]:.1f}")
        for what, command in commands.items():
            wall, cpu = measure(command, rounds)
            print(
                f"{what:26} wall: median {statistics.median(wall):.3f}, best {min(wall):.3f}   "
                f"CPU: median {statistics.median(cpu):.3f}, best {min(cpu):.3f}"
            )


if __name__ == "__main__":
    main()
