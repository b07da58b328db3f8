"""Merkle trees of blocks: the root, and the branch that ties one transaction to it.

Hashes are 32 bytes in the byte order of the wire. A level with an odd number of nodes repeats its last one
(Bitcoin Core, src/consensus/merkle.cpp). The verifier climbs branches by its own code, so that it can travel
alone.
"""

import hashlib
from collections.abc import Sequence

HASH_SIZE = 32


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the tree, from the leaves to the root's level of one; ValueError for no leaves."""
    if not leaves:
        raise ValueError("a block has at least one transaction")
    tree = [list(leaves)]
    while len(tree[-1]) > 1:
        below = tree[-1]
        if len(below) % 2:
            below = [*below, below[-1]]
        tree.append([double_sha256(below[i] + below[i + 1]) for i in range(0, len(below), 2)])
    return tree


def root(leaves: Sequence[bytes]) -> bytes:
    """The root that the block's header holds."""
    return levels(leaves)[-1][0]


def branch_of(tree: Sequence[Sequence[bytes]], position: int) -> list[bytes]:
    """The siblings on the way from the leaf at `position` to the root, lowest first; `tree` is from `levels`.

    A node without a right neighbour is its own sibling. IndexError where the tree has no such leaf.
    """
    if not 0 <= position < len(tree[0]):
        raise IndexError(f"no transaction at position {position} of {len(tree[0])}")
    siblings = []
    for level in tree[:-1]:
        siblings.append(level[min(position ^ 1, len(level) - 1)])
        position >>= 1
    return siblings


def branch(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """`branch_of` for one transaction of a block."""
    return branch_of(levels(leaves), position)


def climb(leaf: bytes, siblings: Sequence[bytes], position: int) -> bytes:
    """The root that a branch leads to. It says nothing about the tree's depth; the verifier looks at that."""
    node = leaf
    for level, sibling in enumerate(siblings):
        node = double_sha256(sibling + node if position >> level & 1 else node + sibling)
    return node
