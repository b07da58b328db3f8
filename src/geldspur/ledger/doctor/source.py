"""Does the source still hold the blocks that the ledger was made from, byte for byte where hashes reach?"""

from typing import Any

import numpy as np

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.headers import parse_header
from geldspur.errors import GeldspurError
from geldspur.ledger.columnfile import Array
from geldspur.ledger.columns import open_column, read_json
from geldspur.ledger.doctor.report import Findings, Place
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.sources import MAX_BLOCK, BlockRef, Source, reopen
from geldspur.progress import Progress

_BATCH = 1 << 24
RESTORE = "restore the block files from the node, or index them again"


def check(store: Store, findings: Findings, progress: Progress, sample: int | None) -> None:
    """Read blocks from the source, all or a sample spread evenly, and hash all that is in them."""
    if missing := store.missing("block_header", "block_size", "block_tx", "tx_id"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    n = store.counts["block"]
    place = Place(str(store.folder / "source" / "source.json"))
    try:
        content = read_json(store.folder / "source" / "source.json", "the ledger's record of its source")
        columns = content["columns"]
        file, offset = (
            open_column(store.folder / "source", name, columns[name]) for name in ("block_file", "block_offset")
        )
        firsts = [int(entry["first_row"]) for entry in content["sources"]]
        if min(len(file), len(offset)) < n or not firsts or firsts[0] != 0:
            raise GeldspurError("the ledger's record of its source doesn't cover all blocks")
        sources = [reopen(entry["source"]) for entry in content["sources"]]
    except (GeldspurError, LookupError, TypeError, ValueError, AttributeError) as error:
        what = error.what if isinstance(error, GeldspurError) else f"the record of the source is damaged: {error!r}"
        findings.damage(what, place, RESTORE)
        return
    rows = range(n) if sample is None else np.unique(np.linspace(0, n - 1, min(sample, n)).astype(np.int64)).tolist()
    findings.checks[-1].sampled = len(rows) < n
    sizes = store.columns["block_size"]
    batch, buf = Batch(_BATCH + MAX_BLOCK), np.empty(_BATCH + MAX_BLOCK, np.uint8)
    with progress.task("Reading the source", int(sum(int(sizes[b]) for b in rows)), "B") as task:
        waiting: list[int] = []
        held, of = 0, 0
        for b in [*rows, n]:
            now = int(np.searchsorted(firsts, b, side="right")) - 1
            if waiting and (b == n or now != of or held + int(sizes[b]) > _BATCH):
                _check_blocks(store, sources[of], waiting, (file, offset), batch, buf, findings)
                task.advance(held)
                waiting, held = [], 0
            if b < n:
                of = now
                waiting.append(b)
                held += min(int(sizes[b]), MAX_BLOCK)
    findings.looked_at("blocks", len(rows))


def _check_blocks(
    store: Store, source: Source, rows: list[int], record: tuple[Array, Array], batch: Batch, buf: Any,
    findings: Findings,
) -> None:  # fmt: skip
    refs = [_ref(store, b, record) for b in rows]
    room = np.array([ref.size for ref in refs], np.int64)
    starts = np.cumsum(room) - room
    try:
        sizes = source.read(refs, buf, starts)
    except GeldspurError as error:
        if len(rows) == 1:
            _tell(store, rows[0], refs[0], f"the source no longer holds it: {error.what}", error.where, findings)
            return
        for b in rows:  # find out which ones
            _check_blocks(store, source, [b], record, batch, buf, findings)
        return
    for k, b in enumerate(rows):
        fault, _, _ = batch.decode(buf, starts[k : k + 1], sizes[k : k + 1])
        header = buf[starts[k] : starts[k] + 80].tobytes()
        first, end = int(store.columns["block_tx"][b]), int(store.columns["block_tx"][b + 1])
        if header != refs[k].header.raw:
            _tell(store, b, refs[k], "the source holds another block in its place", None, findings)
        elif fault != kernels.OK:
            _tell(store, b, refs[k], f"its bytes are damaged: {kernels.FAULTS[fault]}", None, findings)
        elif not np.array_equal(batch.txid[: batch.n_tx], store.columns["tx_id"][first:end]):
            _tell(store, b, refs[k], "its transactions are not those of the ledger", None, findings)


def _ref(store: Store, b: int, record: tuple[Array, Array]) -> BlockRef:
    header = parse_header(store.columns["block_header"][b].tobytes())
    file, offset = int(record[0][b]), int(record[1][b])
    size = min(int(store.columns["block_size"][b]), MAX_BLOCK)
    return BlockRef(header, size, file, offset, f"file {file}, offset {offset:,}")


def _tell(store: Store, b: int, ref: BlockRef, what: str, where: str | None, findings: Findings) -> None:
    height = store.first_height + b
    findings.damage(f"block {height:,}: {what}", Place(where or ref.place, heights=(height, height)), RESTORE)
