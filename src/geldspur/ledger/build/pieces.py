"""Going through a chain piece by piece, with checkpoints; what both ways of linking share."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger.build import kernels
from geldspur.ledger.build.checkpoint import Checkpoint
from geldspur.ledger.build.decode import AGAIN, Piece, decoded
from geldspur.ledger.build.draft import Draft
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.tables import LinkFault, Outputs, Tables
from geldspur.ledger.columnfile import Array
from geldspur.ledger.sources import Chain, Source
from geldspur.progress import Progress

SECONDS_BETWEEN_CHECKPOINTS = 5.0
NOTHING = dict.fromkeys(("block", "tx", "in", "out", "script", "payload", "edge"), 0)
LINK_FAULTS = {
    kernels.UNKNOWN_TX: "an input spends a transaction that no earlier block holds",
    kernels.NO_SUCH_OUTPUT: "an input spends an output that its transaction does not have",
}


def each_piece(
    source: Source, chain: Chain, draft: Draft, ledger: Path, state: Checkpoint, budget: Budget,
    watch: Callable[[], None], progress: Progress, note: Callable[[], None],
) -> Iterator[tuple[Piece, float]]:  # fmt: skip
    """The pieces still to be decoded, each with the share of the chain that it completes.

    `note` brings the state up to what has been done; it is saved every few seconds.
    """
    rest = chain.between(chain.first_height + draft.rows("block"), state.target_height)
    total = int(chain.size.sum())
    done, saved = total - int(rest.size.sum()), time.monotonic()
    with progress.task("Indexing blocks", total, "B") as task:
        task.advance(done)
        for piece in decoded(source, rest, budget.batch_bytes, budget.threads):
            done += piece.bytes
            yield piece, done / total
            task.advance(piece.bytes)
            watch()
            if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                note()
                state.save(ledger / "build")
                saved = time.monotonic()
    note()


def add_piece(draft: Draft, tables: Tables, piece: Piece, share_done: float, edges: tuple[int, int] = (0, 0)) -> Array:
    """Append a piece to the draft, linked in memory; returns the output rows that its inputs spend."""
    draft.add_blocks(piece)
    try:
        prevout = tables.link(piece, share_done, edges)
    except LinkFault as fault:
        raise link_error(piece, fault) from None
    draft.add_links(prevout)
    ids, new = tables.assign_scripts(Outputs.of(piece), share_done)
    draft.add_block_scripts(piece.batch, new.outputs)
    draft.add_scripts(ids, new.types, new.ends[1:], new.payload)
    return prevout


class LinkError(GeldspurError):
    """An input spends nothing known."""


def link_error(piece: Piece, fault: LinkFault) -> LinkError:
    """What to tell of an input that spends nothing known."""
    batch = piece.batch
    tx = int(np.searchsorted(batch.tx_in[: batch.n_tx + 1], fault.row, side="right")) - 1
    block = int(np.searchsorted(batch.block_tx[: batch.n_blocks + 1], tx, side="right")) - 1
    outpoint = batch.in_outpoint[fault.row].tobytes()
    spent = f"{outpoint[31::-1].hex()}:{int.from_bytes(outpoint[32:], 'little')}"
    return LinkError(f"{LINK_FAULTS[fault.reason]}: {spent}", where=piece.refs[block].place, todo=AGAIN)
