"""Does the source still hold the blocks that the ledger was made from, and do the columns say what the blocks say?"""

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.headers import parse_header
from geldspur.errors import GeldspurError
from geldspur.ledger.build.decode import Piece
from geldspur.ledger.columnfile import Array
from geldspur.ledger.columns import open_column, read_json
from geldspur.ledger.doctor.compare import Comparison
from geldspur.ledger.doctor.report import Findings, Place
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.sources import MAX_BLOCK, BlockRef, Source, reopen
from geldspur.progress import Progress

_BATCH = 1 << 24
RESTORE = "restore the block files from the node, or index them again"


def check(store: Store, findings: Findings, progress: Progress, sample: int | None) -> None:
    """Read blocks from the source, all or a sample spread evenly; hash all that is in them and compare."""
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
        for name, column in (("block_file", file), ("block_offset", offset)):
            if hashlib.sha256(column.tobytes()).hexdigest() != columns[name]["sha256"]:
                raise GeldspurError(f"the record of the source is damaged: {name} doesn't have its checksum")
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
    reader = _Reader(store, (file, offset), findings)
    with progress.task("Reading the source", int(sum(int(sizes[b]) for b in rows)), "B") as task:
        waiting: list[int] = []
        held, of = 0, 0
        for b in [*rows, n]:
            now = int(np.searchsorted(firsts, b, side="right")) - 1
            if waiting and (b == n or now != of or held + int(sizes[b]) > _BATCH):
                reader.check(sources[of], waiting)
                task.advance(held)
                waiting, held = [], 0
            if b < n:
                of = now
                waiting.append(b)
                held += min(int(sizes[b]), MAX_BLOCK)


class _Reader:
    """Reads and decodes blocks, given by their rows, into memory that is allocated once."""

    def __init__(self, store: Store, record: tuple[Array, Array], findings: Findings) -> None:
        """`record`: each block's file and offset."""
        self._store, self._record, self._findings = store, record, findings
        self._batch, self._buf = Batch(_BATCH + MAX_BLOCK), np.empty(_BATCH + MAX_BLOCK, np.uint8)
        self._comparison = Comparison(store, findings)

    def check(self, source: Source, rows: list[int]) -> None:
        """Check blocks of one source; where something is wrong with their bytes, each by itself."""
        refs = [self._ref(b) for b in rows]
        room = np.array([ref.size for ref in refs], np.int64)
        starts = np.cumsum(room) - room
        try:
            sizes = source.read(refs, self._buf, starts)
        except GeldspurError as error:
            if len(rows) > 1:
                for b in rows:  # find out which ones
                    self.check(source, [b])
                return
            self._tell(rows[0], refs[0], f"the source doesn't hold it by its block_header: {error.what}", error.where)
            return
        for first, end in _consecutive(rows):
            of = slice(first, end)
            self._compare(source, rows[first], refs[of], starts[of], sizes[of])

    def _compare(self, source: Source, first: int, refs: list[BlockRef], starts: Array, sizes: Array) -> None:
        """Compare consecutive blocks, or where one of them can't be decoded each by itself."""
        fault = self._decode(source, refs, starts, sizes)
        if fault is None:
            self._comparison.compare(first, Piece(first, refs, self._batch))
        elif len(refs) == 1:
            self._tell(first, refs[0], fault, None)
        else:
            for k, ref in enumerate(refs):
                self._compare(source, first + k, [ref], starts[k : k + 1], sizes[k : k + 1])

    def _decode(self, source: Source, refs: list[BlockRef], starts: Array, sizes: Array) -> str | None:
        """Decode blocks; what is wrong with them, if anything is."""
        fault, _, _ = self._batch.decode(self._buf, starts, sizes)
        if fault != kernels.OK:
            return f"its bytes in the source are damaged, or block_size is: {kernels.FAULTS[fault]}"
        try:
            whole = source.sizes(refs)
        except GeldspurError as error:
            return f"the source doesn't hold its sizes: {error.what}"
        if whole is not None:
            self._batch.size[: self._batch.n_tx] = whole
        return None

    def _ref(self, b: int) -> BlockRef:
        header = parse_header(self._store.columns["block_header"][b].tobytes())
        file, offset = int(self._record[0][b]), int(self._record[1][b])
        size = min(int(self._store.columns["block_size"][b]), MAX_BLOCK)
        return BlockRef(header, size, file, offset, f"file {file}, offset {offset:,}")

    def _tell(self, b: int, ref: BlockRef, what: str, where: str | None) -> None:
        height = self._store.first_height + b
        place = Place(where or ref.place, heights=(height, height))
        self._findings.damage(f"block {height:,}: {what}", place, RESTORE)
        self._findings.looked_at("blocks", 1)


def _consecutive(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of places in ascending `rows` whose rows follow one another."""
    gaps = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    return pairwise([0, *gaps, len(rows)])
