"""Made hashes, and the plain comparison with every one that an index must equal."""

import numpy as np


def random_hashes(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 256, (count, 32), dtype=np.uint8)


def flipped(value: np.ndarray, bits) -> np.ndarray:
    """A copy of one hash with these bits (0 to 255) the other way."""
    other = value.copy()
    for bit in bits:
        other[bit >> 3] ^= 1 << (bit & 7)
    return other


def by_comparison(hashes: np.ndarray, queries: np.ndarray, radius: int) -> set[tuple[int, int, int]]:
    """(query, row, distance) of every pair at most `radius` bits apart."""
    found = set()
    for q, query in enumerate(queries):
        distances = np.bitwise_count(hashes ^ query).sum(axis=1, dtype=int)
        found |= {(q, int(row), int(distances[row])) for row in np.flatnonzero(distances <= radius)}
    return found


def by_index(index, queries: np.ndarray, radius: int, **options) -> set[tuple[int, int, int]]:
    """The same from an index, each distinct hash led back to the rows it was given in; no pair may come twice."""
    pairs = []
    for matches in index.search(queries, radius, **options):
        place, row = index.spread(matches.hash)
        pairs += zip(matches.query[place].tolist(), row.tolist(), matches.distance[place].tolist(), strict=True)
    assert len(pairs) == len(set(pairs))
    return set(pairs)
