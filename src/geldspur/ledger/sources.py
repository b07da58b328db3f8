"""Where blocks come from, behind one small interface.

A source names the blocks of its best chain and reads them. Nothing else that it says is believed: the build
decodes each block, hashes its transactions and compares the Merkle root with the header, and each header is
the hash that the next one names. What a source can't give is told in docs/sources.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import Header, parse_header
from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
MAX_BLOCK = 4_000_000
"""No valid block is larger: a block's weight is at most 4,000,000, and each byte weighs at least one."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block of a source. `file` and `offset` are the source's own address of it; `place` is for people.

    `size` is how many bytes `Source.read` may write for it: the block's size where the source knows it.
    """

    header: Header
    size: int
    file: int
    offset: int
    place: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Blocks in order of height, as columns: a million of them take 150 MB less than as objects.

    Row k is the block of height `first_height + k`.
    """

    network: Network
    first_height: int
    header: Bytes
    """uint8[n, 80]"""
    hash: Bytes
    """uint8[n, 32], in the byte order of the wire."""
    size: Rows
    """int64[n]: see `BlockRef.size`."""
    file: npt.NDArray[np.uint32]
    offset: Rows
    names: Sequence[str]
    """What `file` counts: paths, or where the node is."""
    unit: str = "offset"
    """What `offset` counts."""
    stale: list[BlockRef] = field(default_factory=list)
    """Blocks that connect to the genesis block but are not on the best chain."""
    duplicates: int = 0
    tied: bool = False
    """Two tips carried the most work; the one with the smaller hash was taken."""

    def __len__(self) -> int:
        """How many blocks."""
        return len(self.size)

    def ref(self, row: int) -> BlockRef:
        """The block of one row."""
        file, offset = int(self.file[row]), int(self.offset[row])
        header = parse_header(self.header[row].tobytes())
        return BlockRef(header, int(self.size[row]), file, offset, f"{self.names[file]}, {self.unit} {offset:,}")

    def refs(self, first: int, end: int) -> list[BlockRef]:
        """The blocks of rows `first` up to `end`."""
        return [self.ref(row) for row in range(first, min(end, len(self)))]

    @property
    def records(self) -> list[BlockRef]:
        """All blocks as objects."""
        return self.refs(0, len(self))

    @property
    def tip_height(self) -> int:
        """The height of the last block."""
        return self.first_height + len(self) - 1

    def between(self, first: int, last: int) -> "Chain":
        """The blocks of heights `first` to `last`."""
        rows = slice(first - self.first_height, last + 1 - self.first_height)
        return replace(
            self, first_height=first, header=self.header[rows], hash=self.hash[rows], size=self.size[rows],
            file=self.file[rows], offset=self.offset[rows],
        )  # fmt: skip

    def behind(self, known: Bytes | None) -> "Chain":
        """What follows the last block that the caller knows too.

        `known` uint8[m, 32] are hashes of a chain that begins at the same height. The rest begins at the first
        height where the two differ: a reorg, if some of `known` are not below it.
        """
        if known is None:
            return self
        both = min(len(known), len(self))
        differ = np.flatnonzero((np.asarray(known[:both]) != self.hash[:both]).any(axis=1))
        cut = int(differ[0]) if len(differ) else both
        return Chain(
            self.network, self.first_height + cut, self.header[cut:], self.hash[cut:], self.size[cut:],
            self.file[cut:], self.offset[cut:], self.names, self.unit, self.stale, self.duplicates, self.tied,
        )  # fmt: skip


class Source(Protocol):
    """Somebody who has blocks."""

    @property
    def network(self) -> Network:
        """The network whose blocks these are."""

    @property
    def notes(self) -> list[str]:
        """What was met that a user should know and that stops nothing."""

    def chain(self, to_height: int | None = None, known: Bytes | None = None, from_height: int = 0) -> Chain:
        """The best chain from `from_height` to `to_height`, or what of it lies behind `known`.

        `known` is as in `Chain.behind`: with it a source need not look at what the caller has already.
        Raises `GeldspurError` where the chain has a gap, is foreign, or ends below `to_height`.
        """

    def read(self, refs: Sequence[BlockRef], buf: Bytes, starts: Rows) -> Rows:
        """Write block k to `buf[starts[k]:]` and return how long each is, int64[len(refs)].

        No block is longer than its ref's `size`. May be called from any thread. Each block begins with the
        ref's header; raises `GeldspurError` where it no longer does, or where the source is gone.
        """

    def sizes(self, refs: Sequence[BlockRef]) -> npt.NDArray[np.uint32] | None:
        """Sizes of the blocks' transactions with their witnesses, in order, where `read` gives none.

        None from a source whose blocks are whole: what `read` gives has the sizes.
        """

    def describe(self) -> dict[str, Any]:
        """What `reopen` needs to find the blocks again. No secrets."""


def reopen(description: dict[str, Any]) -> Source:
    """The source that `describe` told of, for reading blocks by refs whose `file` and `offset` were kept."""
    kind = description.get("kind")
    if kind == "core-files":
        from geldspur.ledger.core_files import CoreFiles

        return CoreFiles.from_description(description)
    if kind == "node":
        from geldspur.ledger.node import Node

        return Node.from_description(description)
    if kind == "parquet":
        from geldspur.ledger.parquet_source import ParquetTables

        return ParquetTables.from_description(description)
    raise GeldspurError(
        f"the ledger's record of its source names a kind that this version doesn't know: {kind!r}",
        todo="index the blocks again",
    )


def read_block(source: Source, ref: BlockRef) -> bytes:
    """One block as the source has it."""
    buf = np.empty(ref.size, np.uint8)
    sizes = source.read([ref], buf, np.zeros(1, np.int64))
    return buf[: int(sizes[0])].tobytes()
