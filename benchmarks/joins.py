"""Linking inputs to outputs and numbering scripts, against the same joins in DuckDB, on equal arrays.

python benchmarks/joins.py LEDGER [--threads N] [--rounds N]

The keys are taken from a ledger: every input's (txid, vout), every output's script. Ours compares all bytes of each
hit. DuckDB joins twice: on all bytes, which is the same join, and on the first eight bytes of the txids and the first
sixteen of the scripts, which is less work and can be deceived. Answers are held against the ledger's columns. Ours and
DuckDB's take turns; medians of CPU seconds, user and system, in one process, after warming up.
"""

import argparse
import platform
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from geldspur.bitcoin.kernels import SLACK
from geldspur.ledger import Ledger
from geldspur.ledger.build import kernels
from geldspur.ledger.build.tables import LOAD, SCRIPT_WORDS, TX_WORDS, empty_table

BATCH = 1 << 15  # about what four megabytes of blocks hold
T = TypeVar("T")


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of some work, and its result."""
    began = cpu()
    result = work()
    return cpu() - began, result


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
    table, key = empty_table(int(ledger.n_txs / LOAD), TX_WORDS), np.array([11, 13], np.uint64)
    ids = np.ascontiguousarray(ledger.tx_id)
    new, old = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    for first in range(0, len(ids), BATCH):
        end = min(first + BATCH, len(ids))
        kernels.insert_txids(table, key, ids, 0, first, end, new, old)
    found, prevout = np.empty(BATCH, np.int64), np.empty(len(named), ledger.in_prevout.dtype)
    none = np.empty(0, np.int64)
    for first in range(0, len(named), BATCH):
        piece = named[first : first + BATCH]
        count = len(piece)
        kernels.find_prevout_txs(table, key, 0, ids, piece, count, found)
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
    table, key = empty_table(int(n / LOAD), SCRIPT_WORDS), np.array([17, 19], np.uint64)
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


def tell(what: str, rows: int, ours: list[float], theirs: dict[str, list[float]]) -> None:
    """Print both sides' median CPU seconds, and the ratio."""
    own = median(ours)
    for keys, seconds in theirs.items():
        print(f"{what:6} {rows:>11,}  ours {own:6.2f} s CPU, DuckDB on {keys:10} {median(seconds):6.2f}: "
              f"{own / median(seconds):.3f}")  # fmt: skip


def in_turn(rounds: int, ours: Callable[[], np.ndarray], answer: np.ndarray, queries: dict[str, Callable[[], int]]):
    """CPU seconds of ours, and of each query, round by round; checks ours in full and how many rows queries find."""
    own: list[float] = []
    theirs: dict[str, list[float]] = {keys: [] for keys in queries}
    for _ in range(rounds):
        seconds, result = timed(ours)
        assert np.array_equal(result, answer)
        own.append(seconds)
        del result
        for keys, query in queries.items():
            seconds, rows = timed(query)
            assert rows == len(answer)
            theirs[keys].append(seconds)
    return own, theirs


def words_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of eight bytes each: w0, w1 and so on, of uint8[n, 8 * m]."""
    words = np.ascontiguousarray(rows).view("<u8")
    return {f"w{k}": np.ascontiguousarray(words[:, k]) for k in range(words.shape[1])}


def compare_links(ledger: Ledger, database: duckdb.DuckDBPyConnection, rounds: int) -> None:
    """Ours and DuckDB's ways to link."""
    named, spent = outpoints(ledger)
    our_links(ledger, named[:BATCH])
    txs = pa.table({**words_of(ledger.tx_id[:]), "first": ledger.tx_out[:-1]})
    ins = pa.table({
        **words_of(named[:, :32]), "vout": np.ascontiguousarray(named[:, 32:]).view("<u4").ravel(),
        "i": np.arange(len(named)),
    })  # fmt: skip
    database.register("txs_in", txs)
    database.register("ins_in", ins)
    database.execute("CREATE TABLE txs AS FROM txs_in")
    database.execute("CREATE TABLE ins AS FROM ins_in")
    del txs, ins

    def join(using: str) -> int:
        query = f'SELECT i, txs."first" + vout AS o FROM ins JOIN txs USING ({using})'
        return database.execute(query).to_arrow_table().num_rows

    queries = {"32 bytes": partial(join, "w0, w1, w2, w3"), "8 bytes": partial(join, "w0")}
    tell("links", len(spent), *in_turn(rounds, partial(our_links, ledger, named), spent, queries))
    database.execute("DROP TABLE txs; DROP TABLE ins")


def compare_ids(ledger: Ledger, database: duckdb.DuckDBPyConnection, rounds: int) -> None:
    """Ours and DuckDB's ways to number scripts; payloads of more than 32 bytes are cut for DuckDB."""
    types, length, payload, paid = scripts(ledger)
    our_ids(ledger, types[:BATCH], length[:BATCH], payload)
    padded = np.append(ledger.script_payload, np.zeros(32, np.uint8))
    start = ledger.script_at[:-1].astype(np.int64)
    bytes_ = np.lib.stride_tricks.sliding_window_view(padded, 32)[start]
    bytes_[np.arange(32) >= np.diff(ledger.script_at.astype(np.int64))[:, None]] = 0
    keys = words_of(bytes_)
    table = pa.table({**{name: words[paid] for name, words in keys.items()}, "type": types, "o": np.arange(len(paid))})
    del padded, bytes_, keys
    database.register("outs_in", table)
    database.execute("CREATE TABLE outs AS FROM outs_in")
    del table

    def number(using: str) -> int:
        query = (
            f"WITH f AS (SELECT {using}, row_number() OVER (ORDER BY min(o)) - 1 AS id FROM outs GROUP BY {using}) "
            f"SELECT o, id FROM outs JOIN f USING ({using})"
        )
        return database.execute(query).to_arrow_table().num_rows

    queries = {"32 bytes": partial(number, "type, w0, w1, w2, w3"), "16 bytes": partial(number, "w0, w1")}
    tell("ids", len(paid), *in_turn(rounds, partial(our_ids, ledger, types, length, payload), paid, queries))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Linking and numbering against DuckDB.")
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger)
    database = duckdb.connect()
    database.execute(f"SET threads={arguments.threads}")
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, duckdb {duckdb.__version__}, "
          f"{arguments.threads} threads for DuckDB, one for ours; medians of {arguments.rounds}")  # fmt: skip
    compare_links(ledger, database, arguments.rounds)
    compare_ids(ledger, database, arguments.rounds)


if __name__ == "__main__":
    main()
