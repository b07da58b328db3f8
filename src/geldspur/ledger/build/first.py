"""A ledger's first build: all blocks at once, resumed where an earlier run was stopped."""

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from geldspur.errors import GeldspurError
from geldspur.ledger import manifests
from geldspur.ledger.build import by_disk, commit, partsums, period
from geldspur.ledger.build import checkpoint as checkpoints
from geldspur.ledger.build.checkpoint import Checkpoint
from geldspur.ledger.build.commit import Head
from geldspur.ledger.build.draft import Draft, dtypes_for
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.pieces import NOTHING, add_piece, each_piece
from geldspur.ledger.build.source_record import record_source
from geldspur.ledger.build.tables import Tables, TablesTooLarge
from geldspur.ledger.manifests import replace_json
from geldspur.ledger.parts import FOLDER
from geldspur.ledger.sources import Chain, Source
from geldspur.progress import Progress, Task

_DERIVED = 4
"""Steps of what is derived: spenders, look-ups, checksums, and having the disk hold it all."""


def build(
    source: Source, chain: Chain, ledger: Path, from_height: int, budget: Budget, watch: Callable[[], None],
    progress: Progress,
) -> int:  # fmt: skip
    """Make the ledger; returns how many blocks it holds, up to the tip that an unfinished build began with."""
    work = ledger / "build"
    state = checkpoints.load(work) if work.is_dir() else None
    if from_height or state is None or not checkpoints.fits(state, chain, ledger / "columns", from_height):
        state = _start_over(ledger, chain, from_height, on_disk=False)
    wanted = chain.between(from_height, state.target_height)
    try:
        if from_height:
            period.decode_and_link(source, wanted, ledger, state, budget, watch, progress)
        elif state.stage == "decode" and not state.partitions:
            _decode_and_link(source, wanted, ledger, state, budget, watch, progress)
    except TablesTooLarge:
        if from_height:
            raise GeldspurError(
                "the period is too long for the memory allowed", todo="give more with --memory, or a shorter period"
            ) from None
        state = _start_over(ledger, chain, from_height, on_disk=True)
        wanted = chain.between(from_height, state.target_height)
    if state.partitions:
        by_disk.decode_and_link(source, wanted, ledger, state, budget, watch, progress)
    with progress.task("Sorting for look-ups", _DERIVED, "steps") as task:
        _derive(source, wanted, ledger, state, budget, task)
        watch()
    shutil.rmtree(work)
    manifests.unmark(ledger)
    return len(wanted)


def _start_over(ledger: Path, chain: Chain, from_height: int, on_disk: bool) -> Checkpoint:
    manifests.mark_unfinished(ledger)
    # The checkpoint goes first, for it tells of all else.
    (ledger / "build" / "checkpoint.json").unlink(missing_ok=True)
    (ledger / "columns").mkdir(parents=True, exist_ok=True)
    for path in (ledger / "columns").iterdir():
        path.unlink()
    for name in ("build", "lookup", "source", FOLDER):
        shutil.rmtree(ledger / name, ignore_errors=True)
    (ledger / "build").mkdir()
    tip = chain.hash[-1].tobytes()[::-1].hex()
    state = Checkpoint(chain.tip_height, tip, from_height, by_disk.PARTITIONS if on_disk else 0, counts=NOTHING)
    state.dtypes = dtypes_for(NOTHING, int(chain.size.sum()))
    state.key = [secrets.randbits(64), secrets.randbits(64)]
    return state


def _decode_and_link(
    source: Source, chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, watch: Callable[[], None],
    progress: Progress,
) -> None:  # fmt: skip
    draft = Draft(ledger / "columns", NOTHING, state.counts, state.dtypes)
    try:
        tables = Tables(draft, [], budget.tables)
        tables.restore_twins(state.twins)

        def note() -> None:
            state.counts, state.twins = draft.counts, [list(pair) for pair in tables.twins]

        for piece, share in each_piece(source, chain, draft, ledger, state, budget, watch, progress, note):
            add_piece(draft, tables, piece, share)
        state.stage = "derive"
    finally:
        draft.close()
    state.save(ledger / "build")


def _derive(source: Source, chain: Chain, ledger: Path, state: Checkpoint, budget: Budget, task: Task) -> None:
    columns, counts = ledger / "columns", state.counts
    types = commit.settle_types(columns, counts)
    commit.write_spenders(columns, types, counts, NOTHING, budget.tables)
    commit.mark_gone(columns, types, counts, state.twins)
    task.advance(1)
    tip = chain.hash[-1].tobytes()
    head = Head(source.network, chain.first_height, state.target_height, tip)
    heights = (chain.first_height, state.target_height)
    with commit.syncing_columns(columns):
        run = commit.run_of_range(ledger, types, counts, NOTHING, heights, tip, budget.tables)
        task.advance(1)
        sums = commit.checksums(columns, types, counts, head.first_height, {}, 0)
        task.advance(1)
        record_source(ledger, source, chain, 0)
    manifest = commit.manifest_of(head, counts, types, sums, [run], state.twins)
    partsums.write_anew(ledger, manifest)
    replace_json(ledger / "manifest.json", manifest)
    task.advance(1)
