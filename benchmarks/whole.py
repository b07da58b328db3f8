"""The whole pass over a tree of videos, against the tools that one would run one after the other.

python benchmarks/whole.py --peer PYTHON [--clips N] [--seconds N] [--copies N] [--gop N] [--rounds N]
       [--work DIR]

`geldspur evidence scan` (four digests, fingerprints of keyframes with their variants, database and log; all its
processes, their start included) takes turns with `hashdeep -j2 -c md5,sha1,sha256 -r` followed by vpdq 0.2.5 at one
frame a second, whose start is not counted. PYTHON is an interpreter with vpdq. Each clip is also packed anew a few
times, so that the tree has more files than clips were encoded: other bytes, the same pictures, all of them decoded.
"""

import argparse
import os
import platform
import shutil
import statistics
import sys
from pathlib import Path

import av
import clips
from inventory import PROGRAM, of_hashdeep, of_scan, timed
from keyframes import peer


def pack_anew(clip: Path, copy: Path, number: int) -> None:
    """The same packets in a new container that says which copy it is."""
    with av.open(str(clip)) as source, av.open(str(copy), "w") as target:
        target.metadata["comment"] = f"copy {number}"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def make_tree(given: argparse.Namespace) -> Path:
    """The clips and their copies, made once."""
    tree: Path = given.work / f"tree-{given.clips}-{given.seconds:g}-{given.copies}-{given.grain:g}-{given.gop}"
    tree.mkdir(parents=True, exist_ok=True)
    for seed in range(given.clips):
        clip = tree / f"clip{seed:02}.mp4"
        if not clip.exists():
            clips.write_clip(clip, seed, given.seconds, given.gop)
        for number in range(given.copies):
            copy = tree / f"clip{seed:02}-{number}.mp4"
            if not copy.exists():
                pack_anew(clip, copy, number)
    os.sync()
    return tree


def main() -> None:
    """Make the tree, let both sides run in turn, print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer", required=True)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument(
        "--gop", type=int, default=250, help="most frames from one keyframe to the next; 250 is x264's own"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("build/bench/whole"))
    parser.add_argument("--grain", type=float, default=2.0, help="noise of each frame; it sets the clips' bit rate")
    given = parser.parse_args()
    clips.GRAIN = given.grain
    tree = make_tree(given)
    files = sorted(tree.iterdir())
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(
        f"{len(files)} videos of {given.seconds:g} s, 1280x720, {size:.0f} MB, "
        f"{8 * size / len(files) / given.seconds:.1f} Mb/s"
    )
    rounds = []
    for _ in range(given.rounds):
        out = given.work / "scan"
        shutil.rmtree(out, ignore_errors=True)
        wall, cpu, printed = timed(["hashdeep", "-j2", "-c", "md5,sha1,sha256", "-r", tree])
        video = peer(given.peer, files, given.work)
        ours = timed([*PROGRAM, "evidence", "scan", tree, "--out", out])
        assert of_scan(out) == of_hashdeep(printed), "the digests differ"
        rounds.append((cpu, video["cpu"], ours[1], wall + video["wall"], ours[0]))
    hashing, video, ours, wall, our_wall = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median((one[0] + one[1]) / one[2] for one in rounds)
    print(f"hashdeep {hashing:.2f} + vpdq 1/s {video:.2f} CPU-s, {wall:.1f} s; geldspur {ours:.2f} CPU-s, "
          f"{our_wall:.1f} s; {ratio:.1f} x less CPU (median of {given.rounds})")  # fmt: skip


if __name__ == "__main__":
    main()
