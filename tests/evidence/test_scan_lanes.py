"""MD5 of many files side by side is MD5, and both SHA computed together are those of hashlib."""

import hashlib

import numpy as np
import pytest

from geldspur.evidence.scan.lanes import CAPACITY, Lanes
from geldspur.evidence.scan.sha import both


def test_many_md5_at_once_are_those_of_hashlib():
    lanes, chance = Lanes(), np.random.default_rng(5)
    edges = [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129]
    for sizes in (edges, edges * 3, [200_000] * 17, [], [0] * 40, list(chance.integers(0, 70_000, 100))):
        lanes.clear()
        parts, wanted = [], []
        for size in map(int, sizes):
            start, view = lanes.room(size)
            content = chance.bytes(size)
            view[:size] = content
            parts.append((start, size))
            wanted.append(hashlib.md5(content).digest())
        assert lanes.md5(parts) == wanted


def test_parts_outside_the_buffer_are_refused():
    lanes = Lanes()
    assert lanes.room(CAPACITY) is None
    for part in ((CAPACITY, 1), (-1, 3), (0, -1)):
        with pytest.raises(IndexError):
            lanes.md5([part])


@pytest.mark.skipif(not both.can(), reason="the processor has no SHA instructions")
def test_both_sha_together_are_those_of_hashlib():
    chance = np.random.default_rng(6)
    for size in [*range(200), 70_000, 1_000_003]:
        content, hashes = bytearray(chance.bytes(size)), both.Together()
        rest = memoryview(content)
        while rest:  # in pieces that end anywhere in a block, or hold many
            piece = int(chance.choice([1, 5, 63, 64, 65, 1000, 50_000]))
            hashes.update(rest[:piece])
            rest = rest[piece:]
        assert hashes.digests() == (hashlib.sha1(content).digest(), hashlib.sha256(content).digest())
