"""A first build of a range of heights only: what is spent from before it, Core's undo files tell."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger.build.checkpoint import Checkpoint
from geldspur.ledger.build.decode import AGAIN, Piece, decoded
from geldspur.ledger.build.draft import Draft
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.pieces import NOTHING, add_piece
from geldspur.ledger.build.tables import Outputs, Tables
from geldspur.ledger.columnfile import Array
from geldspur.ledger.core_files import CoreFiles
from geldspur.ledger.sources import Chain, Source
from geldspur.progress import Progress

if TYPE_CHECKING:
    from geldspur.ledger.undo import SpentCoins

_PIECE = 1 << 16


def decode_and_link(
    source: Source, chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, watch: Callable[[], None],
    progress: Progress,
) -> None:  # fmt: skip
    """Write the primary columns of a period ledger.

    The edges come first, in the order in which the blocks spend them: that is what ties an edge's value and
    script, which the undo data give without saying of which output, to the outpoint that the input names.
    """
    if not isinstance(source, CoreFiles):
        raise GeldspurError(
            "this source has no undo data, without which a period's inputs have no value and no script",
            todo="index Bitcoin Core's own blk*.dat and rev*.dat files, or the whole chain from height 0",
        )
    state.dtypes = {**state.dtypes, "script_at": "<u8", "tx_out": "<u8", "in_prevout": "<u8"}
    draft = Draft(ledger / "columns", NOTHING, NOTHING, state.dtypes)
    try:
        tables = Tables(draft, [], budget.tables)
        ends = _add_edges(source, chain, draft, tables, progress)
        total, done, edge = int(chain.size.sum()), 0, 0
        with progress.task("Indexing blocks", total, "B") as task:
            for piece in decoded(source, chain, budget.batch_bytes, budget.threads):
                done += piece.bytes
                prevout = add_piece(draft, tables, piece, done / total, (edge, len(ends) and int(ends[-1])))
                edge = _note_outpoints(draft, piece, prevout, edge, ends)
                task.advance(piece.bytes)
                watch()
        state.counts, state.twins, state.stage = draft.counts, [list(pair) for pair in tables.twins], "derive"
    finally:
        draft.close()


def _add_edges(source: CoreFiles, chain: Chain, draft: Draft, tables: Tables, progress: Progress) -> Array:
    """Append all edges; returns how many there are up to and with each block, int64[blocks]."""
    undo = source.undo()
    found = np.zeros(len(chain), np.int64)
    with progress.task("Reading undo data", len(chain), "blocks") as task:
        for row in range(len(chain)):
            coins = undo.spent(chain.ref(row))
            before = np.flatnonzero(coins.height < chain.first_height)
            found[row] = len(before)
            for first in range(0, len(before), _PIECE):
                _add_coins(coins, before[first : first + _PIECE], draft, tables)
            task.advance(1)
    return np.cumsum(found)


def _add_coins(coins: "SpentCoins", which: Array, draft: Draft, tables: Tables) -> None:
    lengths = np.diff(coins.payload_at)[which]
    outputs = Outputs(
        coins.payload, coins.script_type[which], coins.payload_at[which].astype(np.uint32),
        lengths.astype(np.uint32), len(which),
    )  # fmt: skip
    ids, new = tables.assign_scripts(outputs, 1.0)
    draft.add_scripts(ids, new.types, new.ends[1:], new.payload)
    draft.add_edges(coins.value[which], coins.height[which] << np.uint32(1) | coins.coinbase[which])


def _note_outpoints(draft: Draft, piece: Piece, prevout: Array, edge: int, ends: Array) -> int:
    """Append the outpoints of the edges that a piece spends; returns the next edge.

    The undo data said how many edges each block spends: a block that spends another number is not theirs.
    """
    n_edges = int(ends[-1])
    spends = np.flatnonzero(prevout < n_edges)
    draft.add_edge_outpoints(piece.batch.in_outpoint[spends])
    edge += len(spends)
    last = piece.first + len(piece.refs) - 1
    if edge != int(ends[last]):
        raise GeldspurError(
            f"the blocks spend {edge:,} outputs from before the period, the undo data tell of {int(ends[last]):,}",
            where=piece.refs[-1].place,
            todo=AGAIN,
        )
    return edge
