"""Exact search among 256-bit hashes: every one within a Hamming distance of up to 31, and no other.

Multi-index hashing (Norouzi, Punjani, Fleet 2012) over 16 tables, one for each segment of 16 bits. Give each segment a
quota, the quotas' sum being radius + 1. If two hashes differ in at most `radius` bits, then somewhere on the ring of
segments begins a chain whose first segment differs in fewer bits than its quota, whose first two together differ in
fewer than their two quotas, and so on (the cycle lemma; as a search principle: "pigeonring", Qin and Xiao 2018, VLDB
12(1)). A radius of 31 gives each segment the quota 2: 17 buckets a table, in which an entry is passed on only if the
segment after it, kept beside the entry as a 16-bit tag, differs in so few bits as well. Some 0.26 % of the entries
are, and each is compared in full. So the tables decide how fast an answer comes, never what it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geldspur.errors import UsageError
from geldspur.evidence.matching import kernels

MAX_RADIUS = 31
_SHARD = 1 << 24  # rows whose number three bytes hold
_BATCH = 8192  # queries that pass through a table together: neighbours then meet the same buckets in the cache
_CAPACITY = 1 << 20  # matches that a batch may have before it is halved
_EVERYTHING = 1 << 62

Hashes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs in order of (query, hash): numbers int64[k], and their Hamming distances uint8[k]."""

    query: Rows
    hash: Rows
    distance: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.query)


@dataclass(frozen=True, slots=True)
class _Shard:
    first: int
    words: npt.NDArray[np.uint64]  # [n, 4]
    offsets: npt.NDArray[np.uint32]  # [16, 65537]
    tags: list[npt.NDArray[np.uint16]]
    ids: list[npt.NDArray[np.uint8]]


class MultiIndex:
    """The distinct hashes of a set, in the order of their words, ready to be searched.

    Takes 112 bytes a distinct hash, its own 32 included, and 4 a hash given. Numbers of hashes in answers are those
    of distinct hashes; `spread` leads to the rows that they were given in.

    Args:
        hashes: uint8[n, 32]; read once, not kept.
    """

    def __init__(self, hashes: Hashes) -> None:
        _check(hashes)
        if len(hashes) >= 1 << 32:
            raise UsageError(f"{len(hashes):,} hashes are more than an index holds", todo="split the list")
        self._words, self._order, self._starts = _distinct(hashes)
        self._shards = [_shard(at, self._words[at : at + _SHARD]) for at in range(0, len(self._words), _SHARD)]

    def __len__(self) -> int:
        """How many distinct hashes."""
        return len(self._words)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, data included."""
        tables = sum(
            shard.offsets.nbytes + sum(a.nbytes for a in shard.tags) + sum(a.nbytes for a in shard.ids)
            for shard in self._shards
        )
        starts = 0 if self._starts is None else self._starts.nbytes
        return self._words.nbytes + self._order.nbytes + starts + tables

    def spread(self, distinct: Rows) -> tuple[Rows, Rows]:
        """The rows in which distinct hashes were given: (place in `distinct`, row), int64[k] each, rows ascending."""
        if self._starts is None:
            return np.arange(len(distinct)), self._order[distinct].astype(np.int64)
        first = self._starts[distinct].astype(np.int64)
        count = self.repeats(distinct)
        place = np.repeat(np.arange(len(distinct)), count)
        within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return place, self._order[first[place] + within].astype(np.int64)

    def repeats(self, distinct: Rows) -> Rows:
        """In how many rows each of these distinct hashes was given, int64."""
        if self._starts is None:
            return np.ones(len(distinct), np.int64)
        return self._starts[distinct + 1].astype(np.int64) - self._starts[distinct]

    def search(self, queries: Hashes, radius: int = MAX_RADIUS, ends: Rows | None = None) -> Iterator[Matches]:
        """All pairs of a query and a distinct hash at most `radius` bits apart.

        They come in pieces of about a million at most, each with everything about a range of queries, in order. A
        piece ends only after a query whose number plus one is in `ends` (ascending; default: after any query). One
        range that can't be divided gives one piece, however large.

        Raises:
            UsageError: a radius above 31: other tables would be needed.
        """
        _check(queries)
        if not 0 <= radius <= MAX_RADIUS:
            raise UsageError(f"a radius of {radius} bits is not in 0 to {MAX_RADIUS}", todo="choose one that is")
        words = np.require(queries, requirements=["C", "A", "W"]).view(np.uint64)  # else kernels are compiled again
        borders = (
            np.arange(len(queries) + 1) if ends is None else np.unique(np.concatenate([[0], ends, [len(queries)]]))
        )
        outputs = _Outputs(_CAPACITY)
        at = 0
        step = _BATCH
        while at < len(borders) - 1:
            last = max(at + 1, int(np.searchsorted(borders, borders[at] + step, side="right")) - 1)
            begin, end = int(borders[at]), int(borders[last])
            divisible = last - at > 1
            found = self._search(words[begin:end], radius, outputs, outputs.capacity if divisible else _EVERYTHING)
            if found > outputs.capacity and divisible:
                step = max(1, (end - begin) // 2)
                continue
            if found > outputs.capacity:
                large = _Outputs(found)
                self._search(words[begin:end], radius, large, found)
                yield large.matches(found, begin)
            elif found:
                yield outputs.matches(found, begin)
            at = last
            step = min(_BATCH, step * 2)

    def _search(self, queries: npt.NDArray[np.uint64], radius: int, outputs: "_Outputs", stop: int) -> int:
        """Fill the outputs; more matches than they hold are counted only, and more than `stop` are not looked for."""
        quota = _quotas(radius)
        segments = queries.view(np.uint16)
        found = 0
        weights = np.empty(len(queries), np.int64)
        for shard in self._shards:
            kernels.weigh(shard.offsets, quota, segments, weights)
            heavy = weights > len(shard.words)
            found = kernels.scan(
                shard.words, shard.first, radius, queries, np.flatnonzero(heavy), *outputs.columns, found, stop
            )
            light = np.flatnonzero(~heavy)
            for k in np.flatnonzero(quota):
                order = light[np.argsort(segments[light, k], kind="stable")]
                found = kernels.search_table(
                    shard.words, shard.offsets[k], shard.tags[k], shard.ids[k], shard.first, int(k), quota, radius,
                    queries, segments, order, *outputs.columns, found, stop,
                )  # fmt: skip
        return int(found)


class _Outputs:
    """Room for matches, used again for each batch."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.columns = np.empty(capacity, np.uint32), np.empty(capacity, np.uint32), np.empty(capacity, np.uint8)

    def matches(self, found: int, first_query: int) -> Matches:
        """A sorted copy."""
        query, row, distance = self.columns[0][:found], self.columns[1][:found], self.columns[2][:found]
        order = np.argsort(query.astype(np.uint64) << np.uint64(32) | row)
        return Matches(query[order].astype(np.int64) + first_query, row[order].astype(np.int64), distance[order])


def _check(hashes: Hashes) -> None:
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != 32:
        raise UsageError(f"hashes are uint8[n, 32], not {hashes.dtype}{list(hashes.shape)}")


def _quotas(radius: int) -> npt.NDArray[np.int64]:
    """How many bits less one each segment may differ in: radius + 1 in all, spread evenly round the ring."""
    steps = np.arange(kernels.SEGMENTS + 1) * (radius + 1) // kernels.SEGMENTS
    return np.diff(steps).astype(np.int64)


def _distinct(
    hashes: Hashes,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], npt.NDArray[np.uint32] | None]:
    """The distinct hashes as uint64[d, 4] in order, all rows by hash, and each hash's first place among those rows.

    The places are None where all hashes are distinct.
    """
    given = np.ascontiguousarray(hashes).view(np.uint64)
    n = len(given)
    leading = np.ascontiguousarray(given[:, 0])
    order = np.argsort(leading).astype(np.uint32)
    leading = leading[order]
    same = leading[1:] == leading[:-1]
    tied = np.flatnonzero(np.concatenate([[False], same]) | np.concatenate([same, [False]])) if n else np.arange(0)
    if len(tied):  # equal in their first 64 bits: by the rest, and by row where all of it is equal
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, *given[rows].T[::-1]))]
    del leading, same
    words = np.empty((n, 4), np.uint64)
    np.take(given, order, axis=0, out=words)
    new = np.ones(n, bool)
    if len(tied):
        later = tied[tied > 0]
        new[later] = (words[later] != words[later - 1]).any(axis=1)
    if new.all():
        return words, order, None
    starts = np.append(np.flatnonzero(new), n).astype(np.uint32)
    return words[new], order, starts


def _shard(first: int, words: npt.NDArray[np.uint64]) -> _Shard:
    segments = words.view(np.uint16)
    offsets = np.zeros((kernels.SEGMENTS, kernels.BUCKETS + 1), np.uint32)
    kernels.count_segments(segments, offsets)
    np.cumsum(offsets, axis=1, out=offsets)
    tags, ids = [], []
    for k in range(kernels.SEGMENTS):
        tag, number = np.zeros(len(words) + kernels.LANES, np.uint16), np.zeros(3 * len(words) + 1, np.uint8)
        kernels.scatter_table(segments, k, offsets[k, :-1].copy(), tag, number)
        tags.append(tag)
        ids.append(number)
    return _Shard(first, words, offsets, tags, ids)
