"""Kill scans at random moments, damage their files, and check that nothing is lost.

python tools/evidence_kills.py [--kills N] [--seed S] [--work DIR] [--fingerprints]

Each round makes a tree of small files, some of which are damaged archives and cut or garbled videos, scans it once in
peace, and then again while it is killed: the scan itself, or one of its other processes. At the end of a round the
rows must be those of the scan in peace, the log's chain whole and equal to the rows, and the sum closed. One process
forks each scan, so that a kill costs no start of Python.
"""

import argparse
import io
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "evidence"))

import av
import numpy as np
from scan_trees import everything, log_agrees_with_rows, log_of, many_files

from geldspur.evidence.scan.counts import count
from geldspur.evidence.scan.pipeline import scan
from geldspur.evidence.store import open_to_read

KILLS_A_ROUND = 20


def film(seed: int) -> bytes:
    """A short synthetic video."""
    noise, out = np.random.default_rng(seed), io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(8):
            picture = noise.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, or with bytes overwritten."""
    if chance.random() < 0.5:
        return data[: chance.randrange(len(data))]
    garbled = bytearray(data)
    for _ in range(chance.randrange(1, 20)):
        garbled[chance.randrange(len(garbled))] = chance.randrange(256)
    return bytes(garbled)


def tree(root: Path, chance: random.Random) -> Path:
    """What one round scans."""
    many_files(root, 300, chance.randrange(1 << 30))
    archive = (root / "some.zip").read_bytes()
    for number in range(6):
        (root / f"bad{number}.zip").write_bytes(damaged(archive, chance))
        (root / f"film{number}.mp4").write_bytes(damaged(film(number), chance) if number else film(0))
    return root


def in_child(source: Path, out: Path, workers: int, fingerprints: bool) -> int:
    """Begin a scan; returns its process."""
    child = os.fork()
    if child == 0:
        try:
            scan(source, out, workers=workers, fingerprints=fingerprints)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def killed(child: int, chance: random.Random, seconds: float) -> bool:
    """Kill it, or first a worker or what those are forked from, after a while; was it still running?"""
    time.sleep(seconds * chance.random() ** 1.5 * 0.8)
    if chance.random() < 0.3:
        if others := Path(f"/proc/{child}/task/{child}/children").read_text().split():
            os.kill(int(chance.choice(others)), signal.SIGKILL)  # of our own child, which has not waited for it
        time.sleep(chance.uniform(0, seconds / 4))
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def same(calm: list[tuple], other: list[tuple]) -> bool:
    """Equal rows, but for contents whose decoder was killed, which say so."""
    forgiven = ("failed", "crashed")
    return len(calm) == len(other) and all(
        one == two or (one[:16] == two[:16] and two[16:18] == forgiven and one[18:] == two[18:])
        for one, two in zip(calm, other, strict=True)
    )


def one_round(work: Path, chance: random.Random, kills: int, fingerprints: bool) -> int:
    """Returns how many kills hit a running scan."""
    source = tree(work / "seized", chance)
    began = time.monotonic()
    scan(source, work / "calm", workers=2, fingerprints=fingerprints)
    seconds = time.monotonic() - began
    hits = 0
    while hits < kills and killed(
        in_child(source, work / "killed", chance.choice([1, 2]), fingerprints), chance, seconds
    ):
        hits += 1
    scan(source, work / "killed", workers=2, fingerprints=fingerprints)
    assert same(everything(work / "calm"), everything(work / "killed")), f"rows differ, see {work}"
    log_agrees_with_rows(work / "killed")
    assert [record["kind"] for record in log_of(work / "killed")[-2:]] == ["finished", "checkpoint"]
    with open_to_read(work / "killed") as store:
        assert count(store.db).closes
        assert store.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return hits


def main() -> None:
    """Rounds until there were enough kills."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("build/kills"))
    parser.add_argument("--fingerprints", action="store_true")
    wanted = parser.parse_args()
    chance, hits, rounds = random.Random(wanted.seed), 0, 0
    while hits < wanted.kills:
        shutil.rmtree(wanted.work, ignore_errors=True)
        wanted.work.mkdir(parents=True)
        hits += one_round(wanted.work, chance, min(KILLS_A_ROUND, wanted.kills - hits), wanted.fingerprints)
        rounds += 1
        print(f"{hits} kills in {rounds} rounds: no row lost, no break in the chain, every sum closed", flush=True)


if __name__ == "__main__":
    main()
