"""What each method gets wrong, measured: chance matches with decoy lists, misses with spike-ins.

Decoys are lists of hashes that belong to nothing, as large as the list that they stand for: of uniform random bits,
and of the list's own hashes with their 256 positions permuted from a seed, which keeps how they crowd together. A
content that lies near one was matched by chance. Spike-ins are clips made here, edited, fingerprinted as the scan
does it and searched with the same threshold; a clip of which nothing is found was missed.
"""

import io
import json
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import md5, sha1, sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import numpy as np

from geldspur import __version__
from geldspur.evidence.lists import HashList
from geldspur.evidence.matching import spikes
from geldspur.evidence.matching.exact import METHODS
from geldspur.evidence.matching.frames import LEAST_QUALITY, VARIANTS, searchable
from geldspur.evidence.matching.mih import MAX_RADIUS, Hashes, MultiIndex
from geldspur.evidence.matching.near import contents_near
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.progress import SILENT, Progress
from geldspur.rules import ErrorRate

SEED = 20190516
DECOYS = 2  # of each kind a list
MOST_CONTENTS = 20_000  # searched in each decoy, the first by their digests, which is as good as at random
CLIPS = 10
NEAR = "pdq"
_THREADS = 2  # clips at once; the answers don't depend on it


@dataclass(frozen=True, slots=True)
class Trial:
    """`wrong` of `tried`; `detail` says what was done."""

    method: str
    trial: str
    tried: int
    wrong: int
    detail: dict[str, Any]


def interval(wrong: int, tried: int) -> tuple[float, float]:
    """Wilson's 95 % interval of the rate; 0 to 1 where nothing was tried."""
    low, high = ErrorRate(tried - wrong, tried, "", "").interval
    return 1 - high, 1 - low


def decoys(
    db: sqlite3.Connection, lists: Sequence[HashList], progress: Progress = SILENT, seed: int = SEED
) -> Trial | None:
    """Chance matches of the near search over this scan's frames; None without frames or without PDQ hashes."""
    among = set(list(searchable(db))[:MOST_CONTENTS])
    tried, wrong, told = 0, 0, []
    for hashes in sorted(lists, key=lambda one: one.sha256):
        listed, _ = hashes.pdq()
        if not (among and len(listed)):
            continue
        for number in range(DECOYS):
            random = np.random.default_rng([seed, number, *hashes.sha256])
            for kind, decoy in (("random", _random(random, len(listed))), ("permuted", _permuted(random, listed))):
                label = f"decoy of {hashes.name}"[:26]
                near = len(contents_near(db, MultiIndex(decoy), among, progress, label))
                tried, wrong = tried + len(among), wrong + near
                told.append({"list": hashes.sha256.hex(), "hashes": len(listed), "kind": kind, "wrong": near})
    if not tried:
        return None
    detail = {
        "seed": seed,
        "contents": len(among),
        "radius": MAX_RADIUS,
        "least_quality": LEAST_QUALITY,
        "decoys": told,
    }
    return Trial(NEAR, "decoy", tried, wrong, detail)


def _random(random: np.random.Generator, count: int) -> Hashes:
    return random.integers(0, 256, (count, 32), dtype=np.uint8)


def _permuted(random: np.random.Generator, hashes: Hashes, piece: int = 1 << 16) -> Hashes:
    """The hashes with their bits' positions permuted, the same way in each."""
    order = random.permutation(256)
    out = np.empty((len(hashes), 32), np.uint8)
    for at in range(0, len(hashes), piece):
        out[at : at + piece] = np.packbits(np.unpackbits(hashes[at : at + piece], axis=1)[:, order], axis=1)
    return out


def spike_key(seed: int = SEED, clips: int = CLIPS) -> dict[str, Any]:
    """What the result of `spike_ins` depends on: while it stays the same, so do they."""
    return {
        "seed": seed, "clips": clips, "size": [spikes.WIDTH, spikes.HEIGHT], "frames": spikes.FRAMES,
        "radius": MAX_RADIUS, "least_quality": LEAST_QUALITY, "version": __version__, "sources_sha256": _sources(),
        "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])), "machine": platform.machine(),
        **{name: metadata.version(name) for name in ("av", "numba", "numpy")},
    }  # fmt: skip


@cache
def _sources() -> str:
    """One digest over all that makes fingerprints and compares them."""
    digest = sha256()
    for part in ("matching", "media"):
        for source in sorted(Path(__file__).parent.parent.joinpath(part).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def spike_ins(progress: Progress = SILENT, seed: int = SEED, clips: int = CLIPS) -> list[Trial]:
    """Misses of every method for each edit, and for copies without any, in order of method and edit."""
    missed: dict[tuple[str, str], int] = {}
    with progress.task("spike-ins", clips, "clips") as task, ThreadPoolExecutor(_THREADS) as pool:
        for verdicts in pool.map(lambda number: _spike(seed, number), range(clips)):
            for method, edit, found in verdicts:
                missed[method, edit] = missed.get((method, edit), 0) + (not found)
            task.advance(1)
    key = spike_key(seed, clips)
    return [Trial(method, f"spike: {edit}", clips, wrong, key) for (method, edit), wrong in sorted(missed.items())]


def _spike(seed: int, number: int) -> list[tuple[str, str, bool]]:
    """(method, edit, found) of one clip. Its list holds its digests, and PDQ once a second, as vPDQ lists do."""
    clip = spikes.original(seed, number)
    index = MultiIndex(np.array([list(h) for h in _hashes(clip, "second", ("plain",))], np.uint8).reshape(-1, 32))
    found: list[tuple[str, str, bool]] = []
    for edit, copy in [(spikes.UNCHANGED, clip), *spikes.edited(clip)]:
        for method, digest in zip(METHODS, (md5, sha1, sha256), strict=True):
            found.append((method, edit, digest(copy).digest() == digest(clip).digest()))
        queries = np.array([list(h) for h in _hashes(copy, "keyframe", VARIANTS)], np.uint8).reshape(-1, 32)
        found.append((NEAR, edit, any(len(matches) for matches in index.search(queries))))
    return found


def _hashes(clip: bytes, stage: Any, variants: tuple[str, ...]) -> Iterator[bytes]:
    for frame in fingerprint(io.BytesIO(clip), stage=stage).frames:
        if frame.quality >= LEAST_QUALITY:
            yield from (value for name in variants if (value := getattr(frame, name)) is not None)


def kept_spikes(db: sqlite3.Connection) -> bool:
    """Does the database hold spike-ins that would come out the same?"""
    found = [json.loads(row[0]) for row in db.execute("SELECT detail FROM method_error WHERE trial LIKE 'spike: %'")]
    return bool(found) and all(detail == spike_key() for detail in found)
