"""The near search finds what comparing with every hash finds, whatever the hashes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_hashes import by_comparison, by_index, flipped, random_hashes

from geldspur.errors import UsageError
from geldspur.evidence.matching import mih
from geldspur.evidence.matching.mih import MultiIndex

bits = st.integers(0, 255)


@pytest.mark.assertion("EV-MA-01", "The near search finds exactly what comparison of all pairs finds.")
@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    radius=st.integers(0, 31),
    flips=st.lists(st.lists(bits, max_size=40), min_size=1, max_size=40),
    columns=st.lists(st.integers(0, 15), max_size=15),
    repeats=st.integers(0, 3),
)
def test_any_hashes_are_found_as_by_comparison(seed, radius, flips, columns, repeats):
    random = np.random.default_rng(seed)
    base = random_hashes(random, 1)[0]
    strangers = random_hashes(random, 200)
    for column in columns:  # strangers that share whole segments with the base
        strangers[:, 2 * column : 2 * column + 2] = base[2 * column : 2 * column + 2]
    near = np.array([flipped(base, changed) for changed in flips])
    hashes = np.concatenate([strangers, near, *[near[:5]] * repeats])
    queries = np.concatenate([base[None], near, strangers[:3]])
    assert by_index(MultiIndex(hashes), queries, radius) == by_comparison(hashes, queries, radius)


def worst_placed(random, distance):
    """Flips that touch every segment about equally, so that as few tables as possible lead to the pair."""
    inside = [random.permutation(16) for _ in range(16)]
    places = [16 * segment + inside[segment][turn] for turn in range(3) for segment in random.permutation(16)]
    return places[:distance]


@pytest.mark.assertion("EV-MA-02", "A pair at the threshold's distance is found, and one at a bit more is not.")
@pytest.mark.parametrize("radius", [0, 1, 14, 15, 16, 30, 31])
def test_the_last_bit_of_the_radius_counts_however_the_flips_lie(radius):
    random = np.random.default_rng(radius)
    base = random_hashes(random, 1)[0]
    inside = np.array([flipped(base, worst_placed(random, radius)) for _ in range(300)])
    packed = np.array([flipped(base, range(start, start + radius)) for start in range(0, 256 - radius, 5)])
    outside = np.array([flipped(base, worst_placed(random, radius + 1)) for _ in range(300)])
    index = MultiIndex(np.concatenate([outside, inside, packed]))
    found = by_index(index, base[None], radius)
    rows = {row for _, row, _ in found}
    expected = range(len(outside), len(outside) + len(inside) + len(packed))
    assert {distance for _, _, distance in found} == {radius}
    assert rows == set(expected)


def test_hashes_that_agree_in_all_segments_but_one_are_told_apart():
    random = np.random.default_rng(5)
    base = random_hashes(random, 1)[0]
    hashes = np.repeat(base[None], 3000, axis=0)
    hashes[:, 10:12] = random.integers(0, 256, (3000, 2), dtype=np.uint8)  # at most 16 bits apart: all within 31
    hashes[1500:, 20:26] = random.integers(0, 256, (1500, 6), dtype=np.uint8)
    index = MultiIndex(hashes)
    for radius in (0, 8, 24, 31):
        assert by_index(index, hashes[::300], radius) == by_comparison(hashes, hashes[::300], radius)


def test_a_million_equal_hashes_are_one_hash_with_a_million_rows():
    hashes = np.zeros((1_000_000, 32), np.uint8)
    hashes[777_777, 31] = 1
    index = MultiIndex(hashes)
    assert len(index) == 2
    (matches,) = index.search(np.zeros((1, 32), np.uint8))
    assert matches.distance.tolist() == [0, 1]
    assert index.repeats(matches.hash).tolist() == [999_999, 1]
    place, row = index.spread(matches.hash)
    assert row[place == 1].tolist() == [777_777]


def test_a_hundred_thousand_neighbours_come_in_bounded_pieces():
    random = np.random.default_rng(9)
    base = random_hashes(random, 1)[0]
    hashes = np.array([flipped(base, random.integers(0, 256, 3)) for _ in range(100_000)])
    index = MultiIndex(hashes)
    queries = hashes[:40]
    pieces = list(index.search(queries, ends=np.arange(0, 41, 2)))
    assert sum(map(len, pieces)) == 40 * len(index)  # 6 bits apart at most: everything is found
    assert max(map(len, pieces)) <= max(1 << 20, 2 * len(index))
    assert all(piece.query[0] % 2 == 0 and piece.query[-1] % 2 == 1 for piece in pieces)


def test_pieces_and_shards_change_nothing(monkeypatch):
    random = np.random.default_rng(3)
    centres = random_hashes(random, 50)
    hashes = np.array([flipped(centres[k % 50], random.integers(0, 256, k % 37)) for k in range(4000)])
    whole = by_index(MultiIndex(hashes), hashes[:500], 31)
    assert whole == by_comparison(hashes, hashes[:500], 31)
    monkeypatch.setattr(mih, "_SHARD", 700)
    monkeypatch.setattr(mih, "_BATCH", 64)
    monkeypatch.setattr(mih, "_CAPACITY", 100)
    index = MultiIndex(hashes)
    assert by_index(index, hashes[:500], 31) == whole
    assert by_index(index, hashes[:500], 31, ends=np.array([7, 100, 333])) == whole


def test_nothing_to_search_and_a_radius_too_large():
    nothing = np.zeros((0, 32), np.uint8)
    assert not list(MultiIndex(nothing).search(np.zeros((3, 32), np.uint8)))
    assert not list(MultiIndex(np.zeros((3, 32), np.uint8)).search(nothing))
    with pytest.raises(UsageError, match="not in 0 to 31"):
        list(MultiIndex(nothing).search(nothing, 32))
    with pytest.raises(UsageError, match="uint8"):
        MultiIndex(np.zeros((3, 16), np.uint8))
