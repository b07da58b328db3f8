"""Which of the blocks found are the best chain, in order of height."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geldspur.bitcoin.headers import HEADER_SIZE, double_sha256, parse_header, target_of
from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError
from geldspur.ledger.sources import BlockRef, Chain

__all__ = ["Chain", "CutOff", "Found", "best_chain"]

_PREVIOUS = slice(4, 36)
_BITS = slice(72, 76)


@dataclass(frozen=True, slots=True)
class CutOff:
    """A block whose header is there but whose end is not: only `there` of its bytes are."""

    block: BlockRef
    there: int


@dataclass(slots=True)
class Found:
    """All blocks of a source, in the order in which they were found: one entry of each list a block."""

    network: Network
    names: Sequence[str]
    unit: str = "offset"
    headers: list[bytes] = field(default_factory=list)
    size: "array[int]" = field(default_factory=lambda: array("q"))
    file: "array[int]" = field(default_factory=lambda: array("q"))
    offset: "array[int]" = field(default_factory=lambda: array("q"))
    cut_off: list[CutOff] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What else was met: unreadable stretches between blocks, a file that ends inside a frame."""

    def add(self, header: bytes, size: int, file: int, offset: int) -> None:
        """Note one more block."""
        self.headers.append(header)
        self.size.append(size)
        self.file.append(file)
        self.offset.append(offset)

    def place(self, file: int, offset: int) -> str:
        """An address as messages name it."""
        return f"{self.names[file]}, {self.unit} {offset:,}"

    def ref(self, row: int) -> BlockRef:
        """One block as an object."""
        file, offset = self.file[row], self.offset[row]
        return BlockRef(parse_header(self.headers[row]), self.size[row], file, offset, self.place(file, offset))

    @property
    def records(self) -> list[BlockRef]:
        """All blocks as objects."""
        return [self.ref(row) for row in range(len(self.size))]


def best_chain(
    found: Found,
    to_height: int | None = None,
    from_height: int = 0,
    height_of: Callable[[BlockRef], int | None] = lambda _: None,
) -> Chain:
    """Order the blocks found; the tip with the most work wins, whatever the order of the files.

    Where two tips carry equal work Core keeps the one that it saw first, which the files don't tell; the
    smaller hash decides here, so that the answer depends on the blocks alone.

    A chain that begins at `from_height` > 0 needs no genesis block: `height_of` then tells what height a block
    whose parent is missing claims, and that of the tip must agree with it.

    Raises `GeldspurError` for a header without its work, a chain that doesn't begin at the network's genesis
    block or below `from_height`, or blocks whose ancestor is missing (unless `to_height` lies below the gap).
    """
    hashes, rows, works = _unique(found)
    parent = [rows.get(header[_PREVIOUS], -1) for header in found.headers]
    roots = _roots(found, rows, parent, from_height, height_of)
    height, work = _connect(rows, roots, parent, works)
    reaching = [row for row in rows.values() if height[row] >= from_height]
    if not reaching:
        raise _no_start(found, from_height)
    most = max(work[row] for row in reaching)
    best = sorted((row for row in reaching if work[row] == most), key=lambda row: hashes[row][::-1])
    tip = height[best[0]]
    if from_height and height_of(found.ref(best[0])) not in (None, tip):
        raise GeldspurError("the heights that coinbases claim don't add up", where=found.ref(best[0]).place)
    chain = [best[0]]
    while height[chain[-1]] > from_height:
        chain.append(parent[chain[-1]])
    chain.reverse()
    if to_height is None or to_height > tip:
        _refuse_gaps(found, rows, height, to_height, tip)
    on_chain = set(chain)
    stale = sorted(
        (row for row in reaching if row not in on_chain),
        key=lambda row: (height[row], hashes[row][::-1]),
    )
    if to_height is not None:
        chain = chain[: max(0, to_height + 1 - from_height)]
    order = np.array(chain, np.int64)
    return Chain(
        found.network, from_height,
        np.frombuffer(b"".join([found.headers[row] for row in chain]), np.uint8).reshape(-1, HEADER_SIZE),
        np.frombuffer(b"".join([hashes[row] for row in chain]), np.uint8).reshape(-1, 32),
        np.array(found.size)[order], np.array(found.file)[order].astype(np.uint32),
        np.array(found.offset)[order], found.names, found.unit,
        [found.ref(row) for row in stale], len(hashes) - len(rows), len(best) > 1,
    )  # fmt: skip


def _unique(found: Found) -> tuple[list[bytes], dict[bytes, int], list[int]]:
    """Hash of every block found, the first row of each hash, and the work behind each row's header."""
    hashes: list[bytes] = []
    works: list[int] = []
    rows: dict[bytes, int] = {}
    targets: dict[bytes, tuple[int, int]] = {}
    for row, header in enumerate(found.headers):
        name = double_sha256(header)
        bits = header[_BITS]
        if bits not in targets:
            target = target_of(int.from_bytes(bits, "little"))
            # Source of the work: Core's GetBlockProof.
            targets[bits] = (target if target <= found.network.pow_limit else 0, (1 << 256) // (target + 1))
        target, work = targets[bits]
        if int.from_bytes(name, "little") > target:
            raise GeldspurError(
                "a block header does not carry the work that it claims: the file is damaged or foreign",
                where=found.ref(row).place,
                todo="copy the file again from the node",
            )
        hashes.append(name)
        works.append(work)
        rows.setdefault(name, row)
    return hashes, rows, works


def _roots(
    found: Found,
    rows: dict[bytes, int],
    parent: list[int],
    from_height: int,
    height_of: Callable[[BlockRef], int | None],
) -> dict[int, int]:
    """Heights of the rows that a chain may begin at."""
    genesis = rows.get(found.network.genesis_hash)
    roots = {} if genesis is None else {genesis: 0}
    if not from_height:
        if genesis is None:
            raise _no_genesis(found)
        return roots
    for row in rows.values():
        if parent[row] < 0 and row != genesis:
            height = height_of(found.ref(row))
            if height is not None and height <= from_height:
                roots[row] = height
    return roots


def _connect(
    rows: dict[bytes, int], roots: dict[int, int], parent: list[int], works: list[int]
) -> tuple[list[int], list[int]]:
    """Height and work, summed from its root on, of every row; -1 and 0 where a row connects to none."""
    unknown, apart = -2, -1
    height, total = [unknown] * len(parent), [0] * len(parent)
    for row, begin in roots.items():
        height[row], total[row] = begin, works[row]
    for row in rows.values():
        waiting, at = [], row
        while at >= 0 and height[at] == unknown:
            waiting.append(at)
            at = parent[at]
        for child in reversed(waiting):
            if at < 0 or height[at] == apart:
                height[child] = apart
            else:
                height[child] = height[at] + 1
                total[child] = total[at] + works[child]
            at = child
    return height, total


def _refuse_gaps(found: Found, rows: dict[bytes, int], height: list[int], to_height: int | None, tip: int) -> None:
    """A ledger that silently ends before its blocks do would hide payments."""
    cut = [c for c in found.cut_off if c.block.header.hash not in rows]
    if cut:
        raise GeldspurError(
            f"a file is cut off: block {cut[0].block.header.hash[::-1].hex()} has {cut[0].block.size:,} bytes, "
            f"of which {cut[0].there:,} are there",
            where=cut[0].block.place,
            todo=f"copy the file again, or index what is whole with --to-height {tip}",
        )
    orphans = [row for row in rows.values() if height[row] < 0]
    if orphans:
        parents = {found.headers[row][_PREVIOUS] for row in orphans}
        missing = sorted(name[::-1].hex() for name in parents if name not in rows)
        raise GeldspurError(
            f"the chain has a gap: {len(orphans):,} blocks wait for block {missing[0] if missing else '?'}, "
            "which is in none of the files",
            where="; ".join([found.ref(orphans[0]).place, *found.notes[:3]]),
            todo=f"add the missing file, or index the part before it with --to-height {tip}",
        )
    if to_height is not None and to_height > tip:
        raise GeldspurError(
            f"the files end at height {tip:,}; --to-height asks for {to_height:,}",
            todo="add files or lower it",
        )


def _no_genesis(found: Found) -> GeldspurError:
    blocks = [*(found.ref(row) for row in range(min(len(found.size), 1000))), *(c.block for c in found.cut_off)]
    first = min(blocks, key=lambda block: block.header.time)
    return GeldspurError(
        f"the {found.network.name} genesis block {found.network.genesis_id} is in none of the files",
        where=first.place,
        todo="a ledger begins at the genesis block: add blk00000.dat (and its xor.dat), or check --network",
    )


def _no_start(found: Found, from_height: int) -> GeldspurError:
    return GeldspurError(
        f"the files hold no chain that begins at height {from_height:,} or below and reaches it",
        where=found.names[0],
        todo="add the files before, or ask for a later height",
    )
