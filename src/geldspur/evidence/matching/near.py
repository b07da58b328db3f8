"""Frames of the scan against the PDQ hashes of a list: which entries a content's pictures lie near."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from geldspur.evidence.matching.frames import LEAST_QUALITY, VARIANTS, Ints, Queries, queries
from geldspur.evidence.matching.mih import MAX_RADIUS, Matches, MultiIndex
from geldspur.evidence.model import Variant
from geldspur.progress import SILENT, Progress, Task

ROWS_KEPT = 1000  # nearest entries of one list that are recorded for one content
_SPREAD = 1 << 22  # pairs of a picture and an entry that are worked on at once


@dataclass(frozen=True, slots=True)
class NearHit:
    """How one content lies to one entry: `frames` of its pictures match, the nearest pair by `distance`.

    Of equally near pairs the one of the highest quality, then the first variant, is told.
    """

    content: int
    row: int
    frames: int
    distance: int
    quality: int
    variant: Variant


@dataclass(frozen=True, slots=True)
class NearHits:
    """Of one content: its hits, nearest first, at most `ROWS_KEPT`; `entries` counts all that matched."""

    content: int
    hits: list[NearHit]
    entries: int


def near_hits(
    db: sqlite3.Connection, index: MultiIndex, rows: Ints, progress: Progress = SILENT, label: str = "near search"
) -> Iterator[NearHits]:
    """Each content of which a picture lies within 31 bits of a hash, in the order of the contents' digests.

    Args:
        rows: int64[n], the entry of each hash that the index was made of; an entry may have several.
    """
    total = db.execute("SELECT count(*) FROM frame WHERE quality >= ?", (LEAST_QUALITY,)).fetchone()[0]
    tally: _Tally | None = None
    with progress.task(label, total, "frames") as task:
        for piece in queries(db):
            for content, frame, row, key in _pairs(index, rows, piece, task):
                if tally is None or tally.content != content:
                    if tally is not None:
                        yield tally.hits()
                    tally = _Tally(content)
                tally.add(frame, row, key)
    if tally is not None:
        yield tally.hits()


def contents_near(
    db: sqlite3.Connection, index: MultiIndex, among: set[int], progress: Progress = SILENT, label: str = "near search"
) -> set[int]:
    """Which of the contents `among`, the first by their digests, have a picture within 31 bits of any hash."""
    near: set[int] = set()
    with progress.task(label, len(among), "contents") as task:
        for piece in queries(db):
            if int(piece.content[0]) not in among:
                break
            for matches in index.search(piece.hashes, MAX_RADIUS, piece.ends):
                near.update(np.unique(piece.content[matches.query]).tolist())
            task.advance(int(np.sum(piece.content[1:] != piece.content[:-1])))
    return near & among


def _pairs(index: MultiIndex, rows: Ints, piece: Queries, task: Task) -> Iterator[tuple[int, Ints, Ints, Ints]]:
    """Matching pairs by content: pictures, entries, and keys that order pairs (see `_Tally`)."""
    for found in index.search(piece.hashes, MAX_RADIUS, piece.ends):
        for matches in _portions(index, piece, found):
            place, given = index.spread(matches.hash)
            query = matches.query[place]
            distance = matches.distance[place].astype(np.int64)
            key = distance << 16 | (100 - piece.quality[query]) << 8 | piece.variant[query]
            content = piece.content[query]
            borders = np.flatnonzero(content[1:] != content[:-1]) + 1
            for start, end in zip([0, *borders], [*borders, len(content)], strict=True):
                part = slice(start, end)
                yield int(content[start]), piece.frame[query[part]], rows[given[part]], key[part]
    task.advance(len(piece.ends))


def _portions(index: MultiIndex, piece: Queries, matches: Matches) -> Iterator[Matches]:
    """Cut so that equal hashes don't multiply beyond bounds, never within a picture."""
    after = np.cumsum(index.repeats(matches.hash))
    if after[-1] <= _SPREAD:
        yield matches
        return
    frame = piece.frame[matches.query]
    ends = np.flatnonzero(np.append(frame[1:] != frame[:-1], True)) + 1
    begin = 0
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        done = after[begin - 1] if begin else 0
        if following is None or after[following - 1] - done > _SPREAD:
            part = slice(begin, end)
            yield Matches(matches.query[part], matches.hash[part], matches.distance[part])
            begin = int(end)


@dataclass(slots=True)
class _Tally:
    """Counts of one content by entry. The least key is the nearest pair: distance, then 100 - quality, then variant."""

    content: int
    row: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    frames: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    key: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, frame: Ints, row: Ints, key: Ints) -> None:
        """Pairs of whole pictures: none of them is in another call."""
        order = np.lexsort((key, frame, row))
        frame, row, key = frame[order], row[order], key[order]
        first = np.append(True, (row[1:] != row[:-1]) | (frame[1:] != frame[:-1]))
        rows = np.concatenate([self.row, row[first]])
        counts = np.concatenate([self.frames, np.ones(int(first.sum()), np.int64)])
        keys = np.concatenate([self.key, key[first]])
        self.row, group = np.unique(rows, return_inverse=True)
        self.frames = np.bincount(group, counts, len(self.row)).astype(np.int64)
        self.key = np.full(len(self.row), np.iinfo(np.int64).max)
        np.minimum.at(self.key, group, keys)

    def hits(self) -> NearHits:
        """The nearest entries."""
        order = np.lexsort((self.row, self.key >> 16))[:ROWS_KEPT]
        hits = [
            NearHit(
                self.content, int(self.row[at]), int(self.frames[at]), int(self.key[at]) >> 16,
                100 - (int(self.key[at]) >> 8 & 0xFF), VARIANTS[int(self.key[at]) & 0xFF],
            )
            for at in order
        ]  # fmt: skip
        return NearHits(self.content, hits, len(self.row))
