"""Linking inputs to outputs and numbering scripts, against the same joins in DuckDB, on equal arrays.

python benchmarks/joins.py LEDGER

The keys are taken from a ledger: every input's (txid, vout), every output's script. Ours compares all bytes of each
hit; DuckDB joins the first eight bytes of the txids and the first sixteen of the scripts, which is less. Answers are
held against the ledger's columns. CPU seconds, user and system, one process, one round each after warming up.
"""

import argparse
import platform
import resource
import time
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from geldspur.bitcoin.kernels import SLACK
from geldspur.ledger import Ledger
from geldspur.ledger.build import kernels

BATCH = 1 << 18


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work) -> tuple[float, float, object]:
    began, wall = cpu(), time.perf_counter()
    result = work()
    return cpu() - began, time.perf_counter() - wall, result


def outpoints(ledger: Ledger) -> tuple[np.ndarray, np.ndarray]:
    """The 36 bytes that each input names, and the rows of the inputs that are no coinbase's."""
    rows = np.flatnonzero(ledger.in_prevout < ledger.n_outputs)
    spent = ledger.in_prevout[rows].astype(np.int64)
    owner = np.searchsorted(ledger.tx_out, spent.astype(ledger.tx_out.dtype), side="right") - 1
    named = np.empty((len(rows), 36), np.uint8)
    named[:, :32] = ledger.tx_id[owner]
    named[:, 32:] = (spent - ledger.tx_out[owner]).astype("<u4").view(np.uint8).reshape(-1, 4)
    return named, spent


def our_links(ledger: Ledger, named: np.ndarray) -> np.ndarray:
    """The output row of each outpoint."""
    table, key = np.zeros(int(ledger.n_txs / 0.65), np.uint64), np.array([11, 13], np.uint64)
    ids = np.ascontiguousarray(ledger.tx_id)
    hashes, new, old = np.empty(BATCH, np.uint64), np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    for first in range(0, len(ids), BATCH):
        end = min(first + BATCH, len(ids))
        kernels.insert_txids(table, key, ids, 0, first, end, new, old, hashes)
    found, prevout = np.empty(BATCH, np.int64), np.empty(len(named), np.uint64)
    none = np.empty(0, np.int64)
    for first in range(0, len(named), BATCH):
        piece = named[first : first + BATCH]
        count = len(piece)
        kernels.find_prevout_txs(table, key, 0, ids, piece, count, hashes, found)
        whole = np.array([0, count], np.int64)  # as if one later transaction spent them all
        fault, _ = kernels.link_inputs(
            found[:count], piece, whole, len(ids), 1, ledger.tx_out, none, none, 0, 0, prevout[first:]
        )
        assert fault == kernels.OK
    return prevout


def scripts(ledger: Ledger) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Types and lengths of the outputs' payloads, and the payloads one behind the other, as blocks have them.

    Outputs that can't be spent are left out. The fourth array is the answer: the ledger's ids.
    """
    paid = ledger.out_script[ledger.out_script < ledger.n_scripts].astype(np.int64)
    start = ledger.script_at.astype(np.int64)
    length = start[paid + 1] - start[paid]
    payload = np.empty(int(length.sum()), np.uint8)
    at = 0
    for first in range(0, len(paid), BATCH):
        lengths = length[first : first + BATCH]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        payload[at : at + len(within)] = ledger.script_payload[
            np.repeat(start[paid[first : first + BATCH]], lengths) + within
        ]
        at += len(within)
    return ledger.script_type[paid], length.astype(np.uint32), payload, paid


def our_ids(ledger: Ledger, types: np.ndarray, length: np.ndarray, payload: np.ndarray) -> np.ndarray:
    """The id of each output's script, in order of first appearance."""
    n = ledger.n_scripts
    table, key = np.zeros(2 * int(n / 0.65), np.uint64), np.array([17, 19], np.uint64)
    blob = np.empty(len(ledger.script_payload) + SLACK, np.uint8)
    new_kind, new_at, new_output = np.empty(BATCH, np.uint8), np.empty(BATCH + 1, np.int64), np.empty(BATCH, np.int64)
    ids = np.empty(len(types), np.uint32)
    none, read, known, end = np.empty(0, np.int64), 0, 0, 0
    for first in range(0, len(types), BATCH):
        part = slice(first, min(first + BATCH, len(types)))
        count = part.stop - part.start
        ends = np.cumsum(length[part], dtype=np.uint32)
        buf = payload[read : read + int(ends[-1])]
        read += len(buf)
        new_payload = np.empty(len(buf) + SLACK, np.uint8)
        new = kernels.assign_scripts(
            table, key, types[part], ends - length[part], length[part], buf, count, none, blob, end, known,
            new_kind, new_at, new_payload, new_output, ids[part],
        )  # fmt: skip
        blob[end : end + new_at[new]] = new_payload[: new_at[new]]
        end += int(new_at[new])
        known += new
    return ids


def tell(what: str, rows: int, ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    """Print both sides' CPU and wall seconds, and the ratio of the former."""
    print(f"{what:6} {rows:>11,}  ours {ours[0]:6.2f} s CPU ({ours[1]:.2f} wall), "
          f"DuckDB {theirs[0]:6.2f} ({theirs[1]:.2f}): {ours[0] / theirs[0]:.3f}")  # fmt: skip


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Linking and numbering against DuckDB.")
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger)
    database = duckdb.connect()
    database.execute(f"SET threads={arguments.threads}")
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, duckdb {duckdb.__version__}, "
          f"{arguments.threads} threads for DuckDB, one for ours")  # fmt: skip

    named, spent = outpoints(ledger)
    our_links(ledger, named[:BATCH])
    ours, wall, prevout = timed(partial(our_links, ledger, named))
    assert np.array_equal(prevout, spent)
    txs = pa.table({"k": np.ascontiguousarray(ledger.tx_id[:, :8]).view("<u8").ravel(), "first": ledger.tx_out[:-1]})
    ins = pa.table({
        "k": np.ascontiguousarray(named[:, :8]).view("<u8").ravel(),
        "vout": np.ascontiguousarray(named[:, 32:]).view("<u4").ravel(), "i": np.arange(len(named)),
    })  # fmt: skip
    database.register("txs_in", txs)
    database.register("ins_in", ins)
    database.execute("CREATE TABLE txs AS FROM txs_in")
    database.execute("CREATE TABLE ins AS FROM ins_in")
    theirs, their_wall, answer = timed(
        lambda: database.execute('SELECT i, txs."first" + vout AS o FROM ins JOIN txs USING (k)').to_arrow_table()
    )
    assert answer.num_rows == len(spent)
    tell("links", len(spent), (ours, wall), (theirs, their_wall))
    del answer, prevout, named, ins, txs
    database.execute("DROP TABLE txs; DROP TABLE ins")

    types, length, payload, paid = scripts(ledger)
    our_ids(ledger, types[:BATCH], length[:BATCH], payload)
    ours, wall, ids = timed(lambda: our_ids(ledger, types, length, payload))
    assert np.array_equal(ids, paid)
    padded = np.append(ledger.script_payload, np.zeros(16, np.uint8))
    words = np.lib.stride_tricks.sliding_window_view(padded, 16)[ledger.script_at[:-1].astype(np.int64)]
    words = np.ascontiguousarray(words).view("<u8")
    keys = pa.table({"a": words[paid, 0], "b": words[paid, 1], "o": np.arange(len(paid))})
    database.register("outs_in", keys)
    database.execute("CREATE TABLE outs AS FROM outs_in")
    theirs, their_wall, answer = timed(
        lambda: database.execute(
            "WITH f AS (SELECT a, b, row_number() OVER (ORDER BY min(o)) - 1 AS id FROM outs GROUP BY a, b) "
            "SELECT o, id FROM outs JOIN f USING (a, b)"
        ).to_arrow_table()
    )
    assert answer.num_rows == len(paid)
    tell("ids", len(paid), (ours, wall), (theirs, their_wall))


if __name__ == "__main__":
    main()
