"""Do the blocks make one chain with work behind it, and do the transactions' ids make the headers' Merkle roots?"""

from collections.abc import Iterator

import numpy as np

from geldspur.bitcoin import sha256
from geldspur.bitcoin.headers import double_sha256, target_of
from geldspur.bitcoin.merkle_kernels import work_bytes
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.faults import Faults
from geldspur.ledger.doctor.report import Findings, Place
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import COLUMNS, PRIMARY, Column, unspent
from geldspur.progress import Progress

_PIECE_TXS = 1 << 17
_PIECE_ROWS = 1 << 22
_STRICT = {"block_tx", "tx_in", "tx_out"}
"""Every block has a transaction, and every transaction an input and an output."""


def check_headers(store: Store, findings: Findings, progress: Progress) -> None:
    """Hash every header; compare with the hash stored, the next header's link, and the work asked for."""
    if store.missing("block_header", "block_hash"):
        findings.skip("block_header or block_hash can't be read")
        return
    headers, stored = store.columns["block_header"], store.columns["block_hash"]
    n = store.counts["block"]
    hashes = np.empty((n, 32), np.uint8)
    with progress.task("Hashing headers", n, "blocks") as task:
        for first in range(0, n, 1 << 14):
            end = min(first + (1 << 14), n)
            data = headers[first:end].tobytes()
            joined = b"".join(double_sha256(data[at : at + 80]) for at in range(0, len(data), 80))
            hashes[first:end] = np.frombuffer(joined, np.uint8).reshape(-1, 32)
            task.advance(end - first)
    for b in np.flatnonzero((hashes != stored).any(axis=1)).tolist():
        findings.damage("a block's hash is not that of its header", store.place("block_hash", b))
    for b in np.flatnonzero((np.asarray(headers[1:, 4:36]) != hashes[:-1]).any(axis=1)).tolist():
        findings.damage("a header doesn't name the block before it", store.place("block_header", b + 1))
    _check_work(store, headers, hashes, findings)
    if store.first_height == 0 and n and hashes[0].tobytes() != store.network.genesis_hash:
        what = f"the first block is not the genesis block of {store.network.name}"
        findings.damage(what, store.place("block_header", 0))
    if n and hashes[-1].tobytes()[::-1].hex() != store.tip_hash:
        findings.damage(
            "the last block is not the tip that the manifest names", Place(str(store.folder / "manifest.json"))
        )
    findings.looked_at("headers", n)


def _check_work(store: Store, headers: Array, hashes: Array, findings: Findings) -> None:
    bits = np.ascontiguousarray(headers[:, 72:76]).view("<u4").reshape(-1)
    big_endian = hashes[:, ::-1]
    for value in np.unique(bits).tolist():
        rows = np.flatnonzero(bits == value)
        target = target_of(value)
        if not 0 < target <= store.network.pow_limit:
            short = rows
        else:
            wanted = np.frombuffer(target.to_bytes(32, "big"), np.uint8)
            short = rows[_above(big_endian[rows], wanted)]
        for b in short.tolist():
            findings.damage("a header doesn't have the work that it claims", store.place("block_header", b))


def _above(numbers: Array, limit: Array) -> Array:
    """Which rows of big-endian numbers uint8[n,32] are above the limit uint8[32]?"""
    differ = numbers != limit
    first = differ.argmax(axis=1)
    rows = np.arange(len(numbers))
    return np.asarray(differ.any(axis=1) & (numbers[rows, first] > limit[first]))


def check_offsets(store: Store, findings: Findings, progress: Progress) -> None:
    """Do the columns of offsets begin and end right, and ascend? Those that do are noted as sound."""
    with progress.task("Checking offsets", None, "rows"):
        for column in PRIMARY:
            if not column.offsets:
                continue
            if not store.has(column.name):
                findings.skip(f"{column.name} can't be read")
            elif _ascends(store, column, findings):
                store.sound_offsets.add(column.name)


def _ascends(store: Store, column: Column, findings: Findings) -> bool:
    offsets, counts = store.columns[column.name], store.counts
    points_at = column.points_at or ("tx" if column.name == "block_tx" else "script")
    first = counts["edge"] if column.name == "tx_out" else 0
    last = len(offsets) - 1
    sound = True
    for row, value in ((0, first), (last, counts[points_at])):
        if int(offsets[row]) != value:
            what = f"{column.name} {'begins' if row == 0 else 'ends'} with {int(offsets[row]):,}, not with {value:,}"
            findings.damage(what, store.place(column.name, row))
            sound = False
    least = 1 if column.name in _STRICT else 0
    for at in range(0, last, _PIECE_ROWS):
        part = offsets[at : at + _PIECE_ROWS + 1].astype(np.int64)
        falls = np.flatnonzero(part[1:] - part[:-1] < least)
        for row in (falls[:20] + at).tolist():
            findings.damage(f"{column.name} doesn't ascend", store.place(column.name, row, row + 2))
        if len(falls):
            findings.more(str(store.path(column.name)), max(0, len(falls) - 20))
            sound = False
    findings.looked_at("offsets", len(offsets))
    return sound


def check_references(store: Store, findings: Findings, progress: Progress) -> None:
    """Does every row number point at a row, or hold a sentinel?"""
    counts = store.counts
    for name, limit, sentinels in (
        ("in_prevout", counts["out"], ("free",)),
        ("out_spender", counts["in"], ("free", "gone")),
        ("out_script", counts["script"], ("free",)),
    ):
        if not store.has(name):
            findings.skip(f"{name} can't be read")
            continue
        array = store.columns[name]
        highest = unspent(array.dtype)
        with progress.task(f"Checking {name}", len(array), "rows") as task:
            for at in range(0, len(array), _PIECE_ROWS):
                part = array[at : at + _PIECE_ROWS]
                wrong = np.flatnonzero((part >= limit) & (part < highest + 1 - len(sentinels)))
                for row in (wrong[:20] + at).tolist():
                    what = f"{name} points at row {int(array[row]):,} of {limit:,}"
                    findings.damage(what, store.place(name, row))
                findings.more(str(store.path(name)), max(0, len(wrong) - 20))
                task.advance(len(part))
        findings.looked_at(f"{COLUMNS[name].axis} rows", len(array))


def block_pieces(block_tx: Array, most_txs: int = _PIECE_TXS, most_blocks: int = 4096) -> Iterator[tuple[int, int]]:
    """Ranges of blocks with about so many transactions, and not more than so many blocks."""
    first, last = 0, len(block_tx) - 1
    while first < last:
        end = int(np.searchsorted(block_tx, int(block_tx[first]) + most_txs, side="right")) - 1
        end = min(max(end, first + 1), last, first + most_blocks)
        yield first, end
        first = end


def check_roots(store: Store, findings: Findings, progress: Progress) -> None:
    """Compute every block's Merkle root from its transactions' ids."""
    if missing := store.missing("block_tx", "tx_id", "block_header"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    block_tx, tx_id, headers = (store.columns[name] for name in ("block_tx", "tx_id", "block_header"))
    engine, faults = sha256.chosen(), Faults()
    with progress.task("Computing Merkle roots", store.counts["tx"], "transactions") as task:
        for first, end in block_pieces(block_tx):
            rows = np.asarray(block_tx[first : end + 1])
            ids = np.array(tx_id[rows[0] : rows[-1]])
            work = np.empty(work_bytes(len(ids), end - first), np.uint8)
            count = kernels.check_roots(engine, ids, rows - rows[0], np.array(headers[first:end]), work, faults.array)
            for code, block, _ in faults.take(count, str(store.path("tx_id")), findings):
                b = first + block
                place = store.place("tx_id", int(block_tx[b]), int(block_tx[b + 1]))
                twin = "holds a pair of equal hashes, which Core refuses (CVE-2012-2459)"
                what = twin if code == kernels.TWIN else "doesn't have the Merkle root that its header names"
                findings.damage(f"block {store.first_height + b:,} {what}", place)
            task.advance(len(ids))
    findings.looked_at("blocks", store.counts["block"])
    findings.looked_at("transactions", store.counts["tx"])
