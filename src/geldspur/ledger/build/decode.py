"""Reading and decoding ahead: batches of blocks, in order of height, by several threads at once."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.errors import GeldspurError
from geldspur.ledger.columnfile import Array
from geldspur.ledger.sources import BlockRef, Chain, Source

AGAIN = "copy the file again from the node, and check the node's own block files"


@dataclass(frozen=True, slots=True)
class Piece:
    """Blocks of a chain that are decoded together: `first` is their first row in it."""

    first: int
    refs: list[BlockRef]
    batch: Batch

    @property
    def bytes(self) -> int:
        """How much of the source they are."""
        return sum(ref.size for ref in self.refs)

    @property
    def block_sizes(self) -> Array:
        """Sizes of the blocks with all witnesses, int64[blocks]: header, number of transactions, transactions."""
        first = self.batch.block_tx[: len(self.refs)]
        count = np.diff(self.batch.block_tx[: len(self.refs) + 1])
        prefix = np.select([count < 253, count < 1 << 16], [1, 3], 5)
        return 80 + prefix + np.add.reduceat(self.batch.size[: self.batch.n_tx].astype(np.int64), first)


def decoded(source: Source, chain: Chain, batch_bytes: int, threads: int) -> Iterator[Piece]:
    """Decode the chain's blocks; each piece's batch is valid until the next one is asked for.

    Raises `GeldspurError` with file and offset for what can't be read or is damaged.
    """
    largest = int(chain.size.max()) if len(chain) else 0
    ranges = iter(_ranges(chain, batch_bytes))
    room = max(batch_bytes, largest)
    free = [Batch(room) for _ in range(threads + 1)]
    buffers = [np.empty(room, np.uint8) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    running: deque[Future[Piece]] = deque()
    try:
        while True:
            while free and (piece := next(ranges, None)) is not None:
                running.append(pool.submit(_decode, source, chain, piece, buffers, free.pop()))
            if not running:
                return
            done = running.popleft().result()
            yield done
            free.append(done.batch)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ranges(chain: Chain, batch_bytes: int) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(chain.size)
    first = 0
    while first < len(chain):
        before = int(ends[first - 1]) if first else 0
        end = max(first + 1, int(np.searchsorted(ends, before + batch_bytes, side="right")))
        yield first, end
        first = end


def _decode(source: Source, chain: Chain, rows: tuple[int, int], buffers: list[Array], batch: Batch) -> Piece:
    buf = buffers.pop()  # as many as threads: one is free
    try:
        return _decode_into(batch, source, chain, rows, buf)
    finally:
        buffers.append(buf)


def _decode_into(batch: Batch, source: Source, chain: Chain, rows: tuple[int, int], buf: Array) -> Piece:
    refs = chain.refs(*rows)
    room = chain.size[slice(*rows)]
    starts = np.cumsum(room) - room
    sizes = source.read(refs, buf, starts)
    fault, block, at = batch.decode(buf, starts, sizes)
    if fault != kernels.OK:
        ref = refs[block]
        raise GeldspurError(
            f"block {ref.header.hash[::-1].hex()} is damaged: {kernels.FAULTS[fault]}",
            where=f"{ref.place}, byte {int(at) - int(starts[block]):,} of the block",
            todo=AGAIN,
        )
    whole = source.sizes(refs)
    if whole is not None:
        batch.size[: batch.n_tx] = whole
    return Piece(rows[0], refs, batch)
