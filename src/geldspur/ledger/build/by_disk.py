"""A first build that links by way of the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger.build.checkpoint import Checkpoint
from geldspur.ledger.build.decode import AGAIN
from geldspur.ledger.build.draft import Draft
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.partitions import (
    Dealer,
    ReplayFault,
    match_inputs,
    match_scripts,
    replay_inputs,
    replay_scripts,
)
from geldspur.ledger.build.pieces import LINK_FAULTS, NOTHING, each_piece
from geldspur.ledger.columns import open_column
from geldspur.ledger.sources import Chain, Source
from geldspur.progress import Progress

PARTITIONS = 128


def decode_and_link(
    source: Source, chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, watch: Callable[[], None],
    progress: Progress,
) -> None:  # fmt: skip
    """Bring a build with partitions to the stage in which look-ups are derived, from whichever it is in."""
    if state.stage == "decode":
        _decode(source, chain, ledger, state, budget, watch, progress)
    if state.stage == "link":
        _link(chain, ledger, state, budget, progress)
        watch()
    if state.stage == "scripts":
        _scripts(ledger, state, budget, progress)
        watch()


def _decode(
    source: Source, chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, watch: Callable[[], None],
    progress: Progress,
) -> None:  # fmt: skip
    work = ledger / "build"
    draft = Draft(ledger / "columns", NOTHING, state.counts, state.dtypes, linked=False)
    dealer = Dealer(work, state.partitions, _key(state), state.streams, state.counts, budget.tables // 2)

    def note() -> None:
        state.streams, state.counts = dealer.flush(), draft.counts

    try:
        for piece, _ in each_piece(source, chain, draft, ledger, state, budget, watch, progress, note):
            first_tx = draft.rows("tx")
            draft.add_blocks(piece)
            dealer.add(piece, first_tx)
        state.stage = "link"
    finally:
        draft.close()
        dealer.close()
    state.save(work)


def _link(chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, progress: Progress) -> None:
    work, columns = ledger / "build", ledger / "columns"
    total = sum(state.streams["tx"]) + sum(state.streams["in"])
    with progress.task("Matching inputs", total, "B") as task:
        twins = match_inputs(work, _key(state), state.streams, _threads(state, budget), task)
    try:
        with progress.task("Linking inputs", state.counts["in"], "inputs") as task:
            replay_inputs(work, columns, state.dtypes, state.counts, state.streams, twins, task)
    except ReplayFault as fault:
        raise _error(chain, columns, state, fault) from None
    state.twins, state.stage = twins, "scripts"
    state.save(work)
    for pattern in ("tx.*.part", "in.*.part", "in_part.bin", "answers.bin"):
        for path in work.glob(pattern):
            path.unlink()


def _scripts(ledger: Path, state: Checkpoint, budget: Budget, progress: Progress) -> None:
    work, columns = ledger / "build", ledger / "columns"
    with progress.task("Matching scripts", sum(state.streams["out"]), "B") as task:
        known = match_scripts(work, _key(state), state.streams, _threads(state, budget), task)
    with progress.task("Numbering scripts", state.counts["out"], "outputs") as task:
        found = replay_scripts(work, columns, state.dtypes, state.counts, state.streams, known, budget.tables, task)
    state.counts, state.stage = {**state.counts, **found}, "derive"
    state.save(work)
    for path in work.iterdir():
        if path.name != "checkpoint.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _key(state: Checkpoint) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return np.array(state.key, np.uint64)


def _threads(state: Checkpoint, budget: Budget) -> int:
    """As many as have room for a partition each: its transactions or scripts, and a table over them."""
    largest = max(*state.streams["tx"], *state.streams["out"])
    return max(1, min(budget.threads, budget.tables // max(3 * largest, 1)))


def _error(chain: Chain, columns: Path, state: Checkpoint, fault: ReplayFault) -> GeldspurError:
    def column(name: str, rows: int, width: int = 1) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        shape = [rows, width] if width > 1 else [rows]
        return open_column(columns, name, {"dtype": state.dtypes[name], "shape": shape})

    counts = state.counts
    tx_in = column("tx_in", counts["tx"] + 1)
    tx = int(np.searchsorted(tx_in, tx_in.dtype.type(fault.input_row), side="right")) - 1
    block = int(np.searchsorted(column("block_tx", counts["block"] + 1), tx, side="right")) - 1
    txid = column("tx_id", counts["tx"], 32)[tx].tobytes()[::-1].hex()
    return GeldspurError(
        f"{LINK_FAULTS[fault.reason]}: input {fault.input_row - int(tx_in[tx])} of transaction {txid}",
        where=chain.ref(block).place,
        todo=AGAIN,
    )
