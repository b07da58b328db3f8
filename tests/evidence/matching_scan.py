"""A scan's database made by hand, and a hash list in memory."""

import hashlib
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from geldspur.evidence.store import ScanStore, new_or_unfinished


def reversed_bits(value: np.ndarray) -> bytes:
    """Stands in for a mirrored picture's hash: far from the hash itself, and the hash again when done twice."""
    return np.packbits(np.unpackbits(value)[::-1]).tobytes()


class MadeScan:
    """Adds contents of stated bytes; each `frames` row: (at_ms, quality, hash) or with the hash of the cropped one."""

    def __init__(self, store: ScanStore) -> None:
        self.store = store

    def content(self, data: bytes, media: str = "other", frames: Iterable[tuple] = (), stage: str = "keyframe") -> int:
        with self.store.change() as db:
            digests = [hashlib.new(name, data).digest() for name in ("md5", "sha1", "sha256")]
            number = db.execute(
                "INSERT INTO content (size, md5, sha1, sha256, blake3, media) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (len(data), *digests, digests[2], media),
            ).fetchone()[0]
            for at_ms, quality, value, *cropped in frames:
                crop = [cropped[0].tobytes(), reversed_bits(cropped[0])] if cropped else [None, None]
                db.execute(
                    "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, stage, at_ms, quality, value.tobytes(), reversed_bits(value), *crop),
                )
        return number


@contextmanager
def made_scan(folder: Path):
    with new_or_unfinished(folder) as store:
        yield MadeScan(store)


def listed(folder: Path, name: str, hashes: np.ndarray):
    """A compiled list of these PDQ hashes."""
    from geldspur.evidence.lists import make_list

    file = folder / f"{name}.txt"
    file.write_text("".join(f"{value.tobytes().hex()}\n" for value in hashes))
    return make_list(file, folder / f"{name}.list", format="pdq")
