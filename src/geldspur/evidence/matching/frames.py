"""The fingerprints of a scan that are searched, in a fixed order and in pieces that fit in memory."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geldspur.evidence.model import Variant

LEAST_QUALITY = 50  # frames below are not searched: their fingerprints say little
STRONG_QUALITY = 60  # matches of frames from 50 to 59 are weak: where much is flat, rounding decides many bits
VARIANTS: tuple[Variant, ...] = ("plain", "mirrored", "cropped", "cropped_mirrored")
_FRAMES = 1 << 14  # a piece
_ORDER = """
FROM frame JOIN content ON content.id = frame.content
WHERE frame.quality >= ? AND content.media IN ('image', 'video')
ORDER BY content.sha256, content.size, frame.at_ms, frame.stage
"""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Queries:
    """Hashes to search for, all of a frame's one after another, frames in order of content and time.

    `content`: its id, `frame`: the number of its picture (the same for fingerprints taken at one time at two stages),
    `quality` and `variant` (place in `VARIANTS`) of each; `ends`: one more than the last place of each picture.
    """

    hashes: npt.NDArray[np.uint8]
    content: Ints
    frame: Ints
    quality: Ints
    variant: Ints
    ends: Ints

    def part(self, begin: int, end: int) -> "Queries":
        """The hashes from `begin` to before `end`; both lie between pictures."""
        part = slice(begin, end)
        ends = self.ends[(self.ends > begin) & (self.ends <= end)] - begin
        return Queries(
            self.hashes[part], self.content[part], self.frame[part], self.quality[part], self.variant[part], ends
        )

    def then(self, other: "Queries") -> "Queries":
        """These and others after them."""
        return Queries(
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.content, other.content]),
            np.concatenate([self.frame, other.frame]),
            np.concatenate([self.quality, other.quality]),
            np.concatenate([self.variant, other.variant]),
            np.concatenate([self.ends, other.ends + len(self.content)]),
        )


def searchable(db: sqlite3.Connection) -> dict[int, int]:
    """How many pictures of each content are searched, by content id, in the order of their digests."""
    rows = db.execute(
        "SELECT content.id, count(DISTINCT frame.at_ms) FROM content JOIN frame ON frame.content = content.id "
        "WHERE frame.quality >= ? AND content.media IN ('image', 'video') "
        "GROUP BY content.id ORDER BY content.sha256, content.size",
        (LEAST_QUALITY,),
    )
    return dict(rows.fetchall())


def queries(db: sqlite3.Connection, frames: int = _FRAMES) -> Iterator[Queries]:
    """Everything that is searched; a piece ends after a picture, not always after a content."""
    rows = db.execute("SELECT content.id, at_ms, quality, plain, mirrored, cropped, cropped_mirrored " + _ORDER,
                      (LEAST_QUALITY,))  # fmt: skip
    number, last = -1, None
    piece: list[tuple[int, int, int, list[bytes | None]]] = []
    for content, at_ms, quality, *hashes in rows:
        if (content, at_ms) != last:
            number, last = number + 1, (content, at_ms)
            if len(piece) >= frames:
                yield _queries(piece)
                piece = []
        piece.append((content, number, quality, hashes))
    if piece:
        yield _queries(piece)


def _queries(piece: list[tuple[int, int, int, list[bytes | None]]]) -> Queries:
    content, frame, quality, variant = [], [], [], []
    data = bytearray()
    for of_content, number, of_quality, hashes in piece:
        for kind, value in enumerate(hashes):
            if value is not None:
                content.append(of_content)
                frame.append(number)
                quality.append(of_quality)
                variant.append(kind)
                data += value
    frames = np.array(frame, np.int64)
    return Queries(
        np.frombuffer(data, np.uint8).reshape(-1, 32), np.array(content, np.int64), frames,
        np.array(quality, np.int64), np.array(variant, np.int64),
        np.flatnonzero(np.append(frames[1:] != frames[:-1], True)) + 1,
    )  # fmt: skip
