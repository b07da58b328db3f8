"""Which contents of one scan look alike: U unique by their bytes, V visually distinct.

Contents are taken by falling number of distinct pictures, then by digest, in blocks. Each joins the leader that it
shares most pictures with, first of the blocks before, then of its own, or becomes a leader itself. So every content is
alike to its leader, and strangers are never chained through a third; two copies that are each alike to a third one only
may count as two.

Alike are two images of which one variant lies within 31 bits of the other, and two videos if of the pictures of the one
that has fewer at least half, and at least two, match the other's. One of two is enough where both last equally long
(within half a second or 2 %), as an encoder puts the keyframes of a short video where it likes. A video of a single
picture is alike only to one of at most two. Pictures of a content that lie within 31 bits of an earlier one of it count
once. A picture found in more than `COMMON` leaders, which are strangers to each other, is a title or a logo: it does
not count, unless the content has no other.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geldspur.evidence.matching import kernels
from geldspur.evidence.matching.frames import Ints, Queries, queries
from geldspur.evidence.matching.mih import MAX_RADIUS, Hashes, MultiIndex
from geldspur.progress import SILENT, Progress

COMMON = 10  # leaders that may share a picture before it says nothing about which video it is from
_BLOCK = 512  # contents that are compared among themselves at once


@dataclass(slots=True)
class _Content:
    id: int
    sha256: bytes
    is_image: bool
    duration_ms: int | None
    hashes: Hashes  # uint8[q, 32]: plain and other variants of its distinct pictures
    picture: Ints  # of each hash
    target: npt.NDArray[np.bool_]  # hashes that others are compared with: those not mirrored
    pictures: int


_Found = defaultdict[int, list[_Content]]  # by picture of one content: contents that have it too


def clusters(db: sqlite3.Connection, progress: Progress = SILENT) -> list[tuple[int, int]]:
    """(content, content of the lowest sha256 in its cluster) for each with a searchable picture, by digest."""
    contents = sorted(_contents(db), key=lambda content: (-content.pictures, content.sha256, content.id))
    leaders = _Leaders()
    leader_of: dict[int, _Content] = {}
    with progress.task("clusters", len(contents), "contents") as task:
        for at in range(0, len(contents), _BLOCK):
            block = contents[at : at + _BLOCK]
            _place(block, leaders, leader_of)
            leaders.take([content for content in block if leader_of[content.id] is content])
            task.advance(len(block))
    lowest: dict[int, _Content] = {}
    by_digest = sorted(contents, key=lambda content: (content.sha256, content.id))
    for content in by_digest:
        lowest.setdefault(leader_of[content.id].id, content)
    return [(content.id, lowest[leader_of[content.id].id].id) for content in by_digest]


def _place(block: list[_Content], leaders: "_Leaders", leader_of: dict[int, _Content]) -> None:
    """Decide for each content of a block whom it joins: a leader of the blocks before, else one of its own block."""
    rest: list[tuple[_Content, _Found]] = []
    for content, found in zip(block, leaders.matches(block), strict=True):
        if leader := _most_alike(content, found):
            leader_of[content.id] = leader
        else:
            rest.append((content, found))
    if not rest:
        return
    fresh = [content for content, _ in rest]
    inner = _Leaders()
    inner.take(fresh)
    for (content, found), near in zip(rest, inner.matches(fresh), strict=True):
        for picture, others in near.items():
            found[picture] += [other for other in others if leader_of.get(other.id) is other]
        leader_of[content.id] = _most_alike(content, found) or content


def _most_alike(content: _Content, found: _Found) -> _Content | None:
    """The leader to join, by the leaders in which each of the content's pictures is found."""
    common = {picture for picture, others in found.items() if len(others) > COMMON}
    if len(common) == content.pictures:
        common = set()
    shared: Counter[int] = Counter()
    leaders: dict[int, _Content] = {}
    for picture, others in found.items():
        if picture not in common:
            for other in others:
                shared[other.id] += 1
                leaders[other.id] = other
    alike = [
        leader
        for leader in leaders.values()
        if _alike(content, leader, shared[leader.id], content.pictures - len(common))
    ]
    return min(alike, key=lambda leader: (-shared[leader.id], -leader.pictures, leader.sha256), default=None)


def _alike(content: _Content, leader: _Content, shared: int, pictures: int) -> bool:
    """By the rule above; the leader has at least as many pictures."""
    if content.is_image or leader.is_image:
        return content.is_image and leader.is_image
    if pictures == 1:
        return leader.pictures <= 2
    enough = 1 if _last_equally_long(content, leader) else 2
    return shared >= enough and 2 * shared >= pictures


def _last_equally_long(one: _Content, other: _Content) -> bool:
    if one.duration_ms is None or other.duration_ms is None:
        return False
    return abs(one.duration_ms - other.duration_ms) <= max(500, one.duration_ms // 50)


class _Leaders:
    """Contents to compare with, in indexes of which each is at least twice as large as the next."""

    def __init__(self) -> None:
        self._levels: list[tuple[MultiIndex, list[_Content], Ints]] = []

    def take(self, contents: list[_Content]) -> None:
        """Add some."""
        held = list(contents)
        while self._levels and sum(c.pictures for c in self._levels[-1][1]) < 2 * sum(c.pictures for c in held):
            held = self._levels.pop()[1] + held
        if held:
            owner = np.repeat(np.arange(len(held)), [int(content.target.sum()) for content in held])
            hashes = np.concatenate([content.hashes[content.target] for content in held])
            self._levels.append((MultiIndex(hashes), held, owner))

    def matches(self, block: list[_Content]) -> list[_Found]:
        """For each content of the block, by picture: the contents held that it is near to, each once."""
        found: list[_Found] = [defaultdict(list) for _ in block]
        hashes = np.concatenate([content.hashes for content in block])
        place = np.repeat(np.arange(len(block)), [len(content.hashes) for content in block])
        picture = np.concatenate([content.picture for content in block])
        for index, held, owner in self._levels:
            for query, other in _near(index, hashes, owner, place << 32 | picture):
                found[query >> 32][query & 0xFFFFFFFF].append(held[other])
        return found


def _near(index: MultiIndex, hashes: Hashes, owner: Ints, key: Ints) -> Iterator[tuple[int, int]]:
    """Distinct pairs of a picture's key and an owner of a hash near it."""
    ends = np.flatnonzero(np.append(key[1:] != key[:-1], True)) + 1
    for matches in index.search(hashes, MAX_RADIUS, ends):
        at, row = index.spread(matches.hash)
        pairs = np.unique(np.stack([key[matches.query[at]], owner[row]], axis=1), axis=0)
        yield from map(tuple, pairs.tolist())


def _contents(db: sqlite3.Connection) -> Iterator[_Content]:
    """Every image and video with a searchable picture, its distinct pictures only."""
    about = {
        number: (sha256, media == "image", duration)
        for number, sha256, media, duration in db.execute(
            "SELECT id, sha256, content.media, duration_ms FROM content LEFT JOIN media ON media.content = content.id"
            " WHERE content.media IN ('image', 'video')"
        )
    }
    rest: Queries | None = None
    for piece in queries(db):
        joined = piece if rest is None else rest.then(piece)
        last = int(np.max(np.flatnonzero(joined.content[1:] != joined.content[:-1]) + 1, initial=0))
        if last:
            yield from _distinct(joined.part(0, last), about)
        rest = joined.part(last, len(joined.content))
    if rest is not None:
        yield from _distinct(rest, about)


def _distinct(found: Queries, about: dict[int, tuple[bytes, bool, int | None]]) -> Iterator[_Content]:
    """The contents of whole contents' hashes."""
    plain = np.flatnonzero(found.variant == 0)
    of_content = found.content[plain]
    ends = np.flatnonzero(np.append(of_content[1:] != of_content[:-1], True)) + 1
    keep = np.zeros(len(plain), bool)
    kernels.thin(np.ascontiguousarray(found.hashes[plain]).view(np.uint64), ends, MAX_RADIUS, keep)
    kept = np.isin(np.cumsum(found.variant == 0) - 1, np.flatnonzero(keep))  # each plain one leads its variants
    begin = 0
    for end in ends:
        start = plain[begin]
        stop = plain[end] if end < len(plain) else len(found.content)
        part = np.arange(start, stop)[kept[start:stop]]
        variant, content = found.variant[part], int(found.content[start])
        picture = np.cumsum(variant == 0) - 1
        hashes, target = found.hashes[part], variant % 2 == 0
        yield _Content(content, *about[content], hashes, picture, target, int(picture[-1]) + 1)
        begin = int(end)
