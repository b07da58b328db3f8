"""The keyframe pass against vpdq at one frame a second: CPU, and which edited copies are found.

python benchmarks/keyframes.py --peer PYTHON [--seconds N] [--gop FRAMES] [--clips N] [--edits-seconds N] [--work DIR]

PYTHON is an interpreter with vpdq 0.2.5 (it has no wheel; it builds with cmake and the headers of libav). Ten clips and
ten edits of each are made (`clips.py`). The list holds vpdq's hashes of the clips; a copy is found when one of its
frames lies within 31 bits of one of its clip's, both of quality 50 or more.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from clips import EDITS, write_clip, write_edit

from geldspur import kernelcache

PEER = """
import json, resource, sys, time, vpdq
files, out = sys.argv[1:-1], sys.argv[-1]
began, wall, hashes = time.process_time(), time.perf_counter(), {}
for file in files:
    hashes[file] = [(f.quality, f.hex) for f in vpdq.computeHash(file, seconds_per_hash=1, thread_count=1)]
json.dump({"cpu": time.process_time() - began, "wall": time.perf_counter() - wall, "hashes": hashes}, open(out, "w"))
"""


def peer(python: str, files: list[Path], work: Path) -> dict:
    """vpdq over some files, in one process."""
    out = work / "peer.json"
    subprocess.run([python, "-c", PEER, *map(str, files), str(out)], check=True, stderr=subprocess.DEVNULL)
    return json.loads(out.read_text())


def ours(files: list[Path]) -> dict:
    """The keyframe pass over some files."""
    from geldspur.evidence.media.keyframes import fingerprint  # noqa: PLC0415  # after the kernels' place is set
    from geldspur.evidence.media.pdq import warm  # noqa: PLC0415

    warm()
    began, wall, results = time.process_time(), time.perf_counter(), {}
    for file in files:
        with file.open("rb") as stream:
            results[str(file)] = fingerprint(stream)
    return {"cpu": time.process_time() - began, "wall": time.perf_counter() - wall, "results": results}


def bits(hashes: list[bytes]) -> np.ndarray:
    """uint64[n, 4]."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32).view(np.uint64)


def is_found(queries: list[bytes], listed: list[bytes]) -> bool:
    """Whether any pair lies within 31 bits."""
    if not queries or not listed:
        return False
    apart = np.bitwise_count(bits(queries)[:, None] ^ bits(listed)[None]).sum(axis=2)
    return bool((apart <= 31).any())


def of_peer(hashes: list) -> list[bytes]:
    return [bytes.fromhex(text) for quality, text in hashes if quality >= 50]


def of_ours(result, variants: bool) -> list[bytes]:
    names = ["plain", "mirrored", "cropped", "cropped_mirrored"] if variants else ["plain"]
    found = [getattr(frame, name) for frame in result.frames if frame.quality >= 50 for name in names]
    return [value for value in found if value]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--peer", required=True)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--edits-seconds", type=float, default=15)
    arguments.add_argument("--gop", type=int, default=250)
    arguments.add_argument("--clips", type=int, default=10)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--work", type=Path, default=Path("build/bench/media"))
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    clips = [given.work / f"clip{seed}-{given.seconds:g}-{given.gop}.mp4" for seed in range(given.clips)]
    for seed, clip in enumerate(clips):
        if not clip.exists():
            write_clip(clip, seed, given.seconds, given.gop)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    size = sum(clip.stat().st_size for clip in clips) / 1e6
    print(f"{len(clips)} clips of {given.seconds:g} s, 1280x720, a keyframe every {given.gop} frames, {size:.0f} MB")
    rounds = [(peer(given.peer, clips, given.work), ours(clips)) for _ in range(given.rounds)]
    theirs, own = (statistics.median(r[side]["cpu"] for r in rounds) for side in (0, 1))
    walls = [statistics.median(r[side]["wall"] for r in rounds) for side in (0, 1)]
    ratio = statistics.median(r[0]["cpu"] / r[1]["cpu"] for r in rounds)
    frames = sum(len(result.frames) for result in rounds[-1][1]["results"].values())
    print(f"vpdq 1/s: {theirs:.2f} CPU-s, {walls[0]:.2f} s; keyframes: {own:.3f} CPU-s, {walls[1]:.3f} s "
          f"({frames} frames); {ratio:.1f} x less CPU (median of {given.rounds} pairs)")  # fmt: skip

    listed = {str(clip): of_peer(hashes) for clip, hashes in zip(clips, rounds[-1][0]["hashes"].values(), strict=True)}
    tallies = {}
    for edit in EDITS:
        copies = []
        for clip in clips:
            copy = given.work / f"{clip.stem}-{edit.name.replace(' ', '_').replace('%', '')}.mp4"
            if not copy.exists():
                write_edit(clip, copy, edit, given.edits_seconds)
            copies.append(copy)
        hashes, results = peer(given.peer, copies, given.work)["hashes"], ours(copies)["results"]
        sides = {
            "vpdq 1/s": [of_peer(hashes[str(copy)]) for copy in copies],
            "keyframes": [of_ours(results[str(copy)], False) for copy in copies],
            "with variants": [of_ours(results[str(copy)], True) for copy in copies],
        }
        tallies[edit.name] = {
            side: (
                sum(is_found(q, listed[str(clip)]) for q, clip in zip(queries, clips, strict=True)),
                sum(is_found(q, listed[str(c)]) for at, q in enumerate(queries) for c in clips if c != clips[at]),
            )
            for side, queries in sides.items()
        }
    print(f"{'found of ' + str(len(clips)):<16}" + "".join(f"{side:>16}" for side in sides))
    for name, tally in tallies.items():
        print(f"{name:<16}" + "".join(f"{found:>16}" for found, _ in tally.values()))
    for title, chosen in (("plain copies", [e.name for e in EDITS if e.plain]), ("all", list(tallies))):
        print(f"{title:<16}" + "".join(f"{sum(tallies[name][side][0] for name in chosen):>16}" for side in sides))
    print(f"{'false pairs':<16}" + "".join(f"{sum(t[side][1] for t in tallies.values()):>16}" for side in sides))


if __name__ == "__main__":
    kernelcache.prepare()
    main()
