"""Is every transaction, script and output found through the look-up runs?

Without sampling, what a run should hold is sorted anew from the primary columns, a range of buckets or scripts at a
time, and compared. A sample of rows is always looked up the way in which commands do it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.grouped import Group, compare_groups
from geldspur.ledger.doctor.report import COMPACT, Findings, Place, Span
from geldspur.ledger.doctor.structure import RunFound, Store
from geldspur.ledger.layout import row_dtype
from geldspur.ledger.lookup import kernels as sorting
from geldspur.ledger.lookup.runs import Run
from geldspur.ledger.parts import pages_of
from geldspur.ledger.store import NO_SCRIPT
from geldspur.progress import Progress

_CHUNK = 1 << 18
_PIECE = 1 << 22
_SAMPLE = 1024
_MOST_PAIRS = 1000
_SCRIPT_COLUMNS = ("script_type", "script_at", "script_payload")


@dataclass(frozen=True, slots=True)
class _Keys:
    """What an index is over: how its rows hash, and which rows of a sorted part hold the same key."""

    name: str
    rows: Span
    hash: Callable[[int, int, Array], None]
    same: Callable[[Array, Array, Array, int, int, int, Array], int]


def check_indexes(store: Store, findings: Findings, progress: Progress, budget: int) -> None:
    """Sort every run's indexes anew and compare."""
    txs, scripts = store.unsure("tx_id"), store.unsure(*_SCRIPT_COLUMNS)
    for name, missing in (("tx_id", txs), ("scripts", scripts)):
        if missing:
            findings.skip(f"{name}: needs {', '.join(missing)}")
    twins: list[tuple[int, int]] = []
    total = sum(run.txs[1] - run.txs[0] for run in store.runs)
    with progress.task("Comparing look-ups", total, "transactions") as task:
        for run in store.runs:
            if not txs and run.txs[1] <= store.counts["tx"]:
                keys = _tx_keys(store, run)
                twins += _check_index(store, run, keys, findings, budget)
                findings.looked_at("transactions", run.txs[1] - run.txs[0])
            if not scripts and run.scripts[1] <= store.counts["script"]:
                keys = _script_keys(store, run)
                for later, earlier in _check_index(store, run, keys, findings, budget):
                    what = f"script {later:,} is the same as script {earlier:,}"
                    findings.damage(what, store.place("script_type", later))
                findings.looked_at("scripts", run.scripts[1] - run.scripts[0])
            task.advance(run.txs[1] - run.txs[0])
    if not txs:
        _check_twins(store, twins, findings)
    if not txs and not scripts and not findings.damaged_here():
        _check_across(store, findings)


def _tx_keys(store: Store, run: RunFound) -> _Keys:
    key, txid = np.array(run.key, np.uint64), store.columns["tx_id"]
    return _Keys(
        "tx", run.txs, lambda first, end, hashes: sorting.hash_txids(key, txid, first, end, hashes),
        lambda order, tag, bucket, base, low, high, pairs: kernels.same_txids(
            order, tag, bucket, base, low, high, txid, pairs
        ),
    )  # fmt: skip


def _script_keys(store: Store, run: RunFound) -> _Keys:
    key = np.array(run.key, np.uint64)
    kind, at, payload = (store.columns[name] for name in _SCRIPT_COLUMNS)
    return _Keys(
        "script", run.scripts,
        lambda first, end, hashes: sorting.hash_payloads(key, kind, at, payload, first, end, hashes),
        lambda order, tag, bucket, base, low, high, pairs: kernels.same_scripts(
            order, tag, bucket, base, low, high, kind, at, payload, pairs
        ),
    )  # fmt: skip


def _check_index(store: Store, run: RunFound, keys: _Keys, findings: Findings, budget: int) -> list[tuple[int, int]]:
    """Compare an index with one that is made anew; returns pairs of rows (later, earlier) that hold one key."""
    bucket, order, tag = (run.columns.get(f"{keys.name}_{part}") for part in ("bucket", "order", "tag"))
    if bucket is None or order is None or tag is None:
        findings.skip(f"the {keys.name} index of {run.name}: a column can't be read")
        return []
    first, end = keys.rows
    bits = (len(bucket) - 1).bit_length() - 1
    hashes = np.empty(_CHUNK, np.uint64)

    def pieces() -> Iterator[tuple[int, int]]:
        for start in range(first, end, _CHUNK):
            count = min(_CHUNK, end - start)
            keys.hash(start, start + count, hashes)
            yield start, count

    wanted_bucket = np.zeros(len(bucket), np.uint32)
    for _, count in pieces():
        sorting.count_buckets(hashes, count, bits, wanted_bucket)
    np.cumsum(wanted_bucket, out=wanted_bucket)
    fill, pairs, found = wanted_bucket.copy(), np.zeros((_MOST_PAIRS, 2), np.int64), 0
    group = Group(store.folder, run, f"{keys.name}_bucket", (f"{keys.name}_order", f"{keys.name}_tag"), end)
    group.begin(findings)
    result: list[tuple[int, int]] = []
    for low, high in ranges(wanted_bucket, budget // 6):
        base, rows = int(wanted_bucket[low]), int(wanted_bucket[high]) - int(wanted_bucket[low])
        order_part, tag_part = np.empty(rows, np.uint32), np.empty(rows, np.uint16)
        for start, count in pieces():
            sorting.scatter_rows(hashes, count, start, bits, low, high, fill, base, order_part, tag_part)
        sorting.sort_buckets(wanted_bucket, low, high, base, order_part, tag_part)
        compare_groups(group, wanted_bucket[low : high + 1], base, (order_part, tag_part), low, findings)
        found = keys.same(order_part, tag_part, wanted_bucket, base, low, high, pairs)
        result += [(later, earlier) for later, earlier in pairs[:found].tolist()]
    return result


def ranges(offsets: Array, rows: int) -> Iterator[Span]:
    """Cut groups into ranges that hold at most so many rows each, or one group that holds more."""
    low, last = 0, len(offsets) - 1
    while low < last:
        high = int(np.searchsorted(offsets, int(offsets[low]) + max(rows, 1), side="right")) - 1
        high = min(max(high, low + 1), last)
        yield low, high
        low = high


def _check_twins(store: Store, twins: list[tuple[int, int]], findings: Findings) -> None:
    """Only those transactions that the manifest lists as overwritten may share an id (BIP30)."""
    listed = {(later, earlier) for later, earlier in store.overwritten}
    for later, earlier in sorted(set(twins) - listed):
        what = f"transaction rows {earlier:,} and {later:,} have the same id, and the manifest doesn't say so"
        findings.damage(what, store.place("tx_id", later))
    if len(store.runs) == 1:
        for later, earlier in sorted(listed - set(twins)):
            what = f"the manifest says that transaction row {later:,} overwrote row {earlier:,}, whose id is another"
            findings.damage(what, Place(str(store.folder / "manifest.json")))


def _check_across(store: Store, findings: Findings) -> None:
    """Look up what a run holds in all runs before it: a script must be new, a txid too, BIP30's apart."""
    listed = {later for later, _ in store.overwritten}
    txid, (kind, at, payload) = store.columns["tx_id"], (store.columns[name] for name in _SCRIPT_COLUMNS)
    for k, run in enumerate(store.runs):
        for older in store.runs[:k]:
            key, columns = np.array(older.key, np.uint64), older.columns
            for first in range(run.txs[0], run.txs[1], _CHUNK):
                count = min(_CHUNK, run.txs[1] - first)
                found, hashes = np.full(count, -1, np.int64), np.empty(count, np.uint64)
                ids = np.array(txid[first : first + count]).reshape(-1)
                sorting.find_txs_in_run(
                    key, _bits(columns["tx_bucket"]), columns["tx_bucket"], columns["tx_order"], columns["tx_tag"],
                    older.txs[1], txid, ids, 32, count, hashes, found,
                )  # fmt: skip
                for row in (np.flatnonzero(found >= 0) + first).tolist():
                    if row not in listed:
                        what = f"transaction rows {int(found[row - first]):,} and {row:,} have the same id"
                        findings.damage(what, store.place("tx_id", row))
            marks = pages_of(*(columns[name] for name in ("script_bucket", "script_order", "script_tag")))
            for first in range(run.scripts[0], run.scripts[1], _CHUNK):
                end = min(first + _CHUNK, run.scripts[1])
                known, starts = np.full(end - first, -1, np.int64), at[first : end + 1].astype(np.int64)
                data = np.array(payload[starts[0] : starts[-1]])
                sorting.find_scripts_in_run(
                    key, _bits(columns["script_bucket"]), columns["script_bucket"], columns["script_order"],
                    columns["script_tag"], older.scripts[1], kind, at, payload, kind[first:end],
                    starts[:-1] - starts[0], np.diff(starts), data, end - first, known, *marks,
                )  # fmt: skip
                for row in (np.flatnonzero(known >= 0) + first).tolist():
                    what = f"script {row:,} is the same as script {int(known[row - first]):,}"
                    findings.damage(what, store.place("script_type", row))


def _bits(bucket: Array) -> int:
    return (len(bucket) - 1).bit_length() - 1


def check_outputs(store: Store, findings: Findings, progress: Progress, budget: int) -> None:
    """Group every run's outputs by script anew and compare."""
    if missing := store.unsure("out_script"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    total = sum(run.outs[1] - run.outs[0] for run in store.runs)
    with progress.task("Comparing outputs by script", total, "outputs") as task:
        for run in store.runs:
            if not {"out_start", "outputs", "out_scripts"} & set(run.entries) <= set(run.columns):
                findings.skip(f"outputs by script of {run.name}: a column can't be read")
            elif run.outs[1] <= store.counts["out"]:
                if run.outs[0]:
                    _check_few(store, run, findings)
                else:
                    _check_all(store, run, findings, budget)
                findings.looked_at("outputs", run.outs[1] - run.outs[0])
            task.advance(run.outs[1] - run.outs[0])


def _check_all(store: Store, run: RunFound, findings: Findings, budget: int) -> None:
    n_scripts, n_out = run.scripts[1], run.outs[1]
    out_script, dtype = store.columns["out_script"], row_dtype(n_out)
    group = Group(store.folder, run, "out_start", ("outputs",), n_out)
    group.begin(findings)
    step = max(1024, int(budget / (8 * (1 + n_out / max(n_scripts, 1)))))
    base = 0
    for low in range(0, n_scripts, step):
        high = min(low + step, n_scripts)
        start = np.zeros(high - low + 1, dtype)
        for at in range(0, n_out, _PIECE):
            sorting.count_scripts(out_script[at : min(at + _PIECE, n_out)], low, high, start)
        np.cumsum(start, out=start)
        outputs, fill = np.empty(int(start[-1]), dtype), start.copy()
        for at in range(0, n_out, _PIECE):
            sorting.scatter_outputs(out_script[at : min(at + _PIECE, n_out)], at, low, high, fill, 0, outputs)
        compare_groups(group, start + dtype.type(base), base, (outputs,), low, findings)
        base += len(outputs)


def _check_few(store: Store, run: RunFound, findings: Findings) -> None:
    """The outputs of an appended range; it is bounded, so that this fits memory."""
    scripts, start, outputs = (np.asarray(run.columns[name]) for name in ("out_scripts", "out_start", "outputs"))
    group = Group(store.folder, run, "out_start", ("outputs",), run.outs[1])
    if not group.begin(findings):
        return
    paid = np.asarray(store.columns["out_script"][run.outs[0] : run.outs[1]])
    rows = np.flatnonzero(paid != NO_SCRIPT)
    order = np.argsort(paid[rows], kind="stable")
    wanted, wanted_scripts = rows[order] + run.outs[0], paid[rows][order]
    of = np.repeat(scripts, start[1:] - start[:-1])
    live = np.flatnonzero(outputs < run.outs[1]) if run.cut else np.arange(len(outputs))
    same = min(len(live), len(wanted))
    group.tell("outputs", live[:same][outputs[live[:same]] != wanted[:same]], findings)
    wrong = live[:same][of[live[:same]] != wanted_scripts[:same]]
    group.tell("out_scripts", np.unique(np.searchsorted(start, wrong, side="right") - 1), findings)
    group.tell("out_scripts", np.flatnonzero(scripts[1:] <= scripts[:-1]), findings)
    if run.cut:
        within = of[1:] == of[:-1]
        group.tell("outputs", np.flatnonzero(within & (outputs[1:] <= outputs[:-1])), findings)
    if len(live) != len(wanted):
        what = f"the run holds {len(live):,} outputs that pay a script, not {len(wanted):,}"
        findings.damage(what, Place(str(group.path("outputs")), (0, outputs.nbytes), (0, len(outputs))), COMPACT)


def check_sample(store: Store, findings: Findings, progress: Progress) -> None:
    """Look rows up as commands do: without the kernels that sorted them."""
    findings.checks[-1].sampled = True
    for run in store.runs:
        if not run.whole:
            findings.skip(f"{run.name}: a column can't be read")
            continue
        columns: dict[str, Any] = dict(run.columns)
        few = columns.pop("out_scripts", None)
        opened = Run(run.name, run.key, run.txs, run.scripts, run.outs, out_scripts=few, cut=run.cut, **columns)
        folder = store.folder / "lookup" / run.name
        if not store.unsure("tx_id") and run.txs[1] <= store.counts["tx"]:
            for row in _sample(run.txs):
                if row not in opened.candidate_txs(store.columns["tx_id"][row].tobytes()):
                    what = f"transaction row {row:,} is not found by its id"
                    findings.damage(what, Place(str(folder / "tx_order.bin")), COMPACT)
                findings.looked_at("transactions", 1)
        if not store.unsure(*_SCRIPT_COLUMNS) and run.scripts[1] <= store.counts["script"]:
            kind, at, payload = (store.columns[name] for name in _SCRIPT_COLUMNS)
            for s in _sample(run.scripts):
                if kind[s] > ScriptType.OP_RETURN:
                    continue
                if s not in opened.candidate_scripts(ScriptType(int(kind[s])), payload[at[s] : at[s + 1]].tobytes()):
                    what = f"script {s:,} is not found by its bytes"
                    findings.damage(what, Place(str(folder / "script_order.bin")), COMPACT)
                findings.looked_at("scripts", 1)
        if not store.unsure("out_script") and run.outs[1] <= store.counts["out"]:
            _sample_outputs(store, opened, run, findings)


def _sample_outputs(store: Store, opened: Run, run: RunFound, findings: Findings) -> None:
    out_script = store.columns["out_script"]
    for row in _sample(run.outs):
        script = int(out_script[row])
        if script >= store.counts["script"]:
            continue
        rows = opened.outputs_of(script)
        k = int(np.searchsorted(rows, row))
        if k == len(rows) or int(rows[k]) != row:
            what = f"output row {row:,} is not found by its script"
            path = store.folder / "lookup" / run.name / "outputs.bin"
            findings.damage(what, Place(str(path)), COMPACT)
        findings.looked_at("outputs", 1)


def _sample(rows: Span) -> Iterator[int]:
    """Rows spread evenly over a range, its first and last among them."""
    count = min(_SAMPLE, rows[1] - rows[0])
    return iter(np.unique(np.linspace(rows[0], rows[1] - 1, count).astype(np.int64)).tolist() if count else [])
