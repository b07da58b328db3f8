"""How long a look-up takes in a ledger at hand, from the text that a user types to the answer.

python benchmarks/lookup.py LEDGER [--rounds N]

Warm: the pages that a look-up touches are in memory. Cold: before each look-up the pages of columns and look-ups are
dropped from this process (MADV_DONTNEED) and from the system's cache (POSIX_FADV_DONTNEED), so that they are read from
the disk, and the ledger is opened anew.
"""

import argparse
import gc
import mmap
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.addresses import decode
from geldspur.ledger import Ledger
from geldspur.ledger.history import AddressHistory

SMALL = 8  # entries at most of an address that is not a hub


def balance(ledger: Ledger, address: str) -> int:
    """The answer that is timed: text -> script -> its outputs -> balance."""
    key = decode(address, ledger.network)
    script = ledger.script_index(key.script_type, key.payload)
    assert script is not None
    return ledger.balance_sat(script)


def sizes_of(ledger: Ledger) -> np.ndarray:
    """How many outputs pay each script."""
    paid = np.asarray(ledger.out_script)
    return np.bincount(paid[paid < ledger.n_scripts], minlength=ledger.n_scripts)


def microseconds(
    look_up: Callable[[Any], Any], keys: list[Any], before: Callable[[], None] | None = None
) -> np.ndarray:
    """The time of each look-up, garbage collection kept out."""
    gc.collect()
    gc.disable()
    times = np.empty(len(keys))
    for at, key in enumerate(keys):
        if before is not None:
            before()
        began = time.perf_counter_ns()
        look_up(key)
        times[at] = (time.perf_counter_ns() - began) / 1000
    gc.enable()
    return times


class Cold:
    """A ledger opened anew, none of whose columns and look-ups is in memory."""

    def __init__(self, warm: Ledger) -> None:
        parts = (warm.folder / "columns", warm.folder / "lookup")
        self._files = [os.open(file, os.O_RDONLY) for part in parts for file in part.rglob("*.bin")]
        self._warm = warm
        self.ledger = warm

    def renew(self) -> None:
        """Open it anew and drop all pages: of the maps first, for a mapped page stays in the system's cache."""
        for ledger in (self._warm, self.ledger):
            for mapped in (ledger, *ledger.runs):
                for name in getattr(mapped, "__slots__", None) or vars(mapped):
                    if (pages := _mapping(getattr(mapped, name))) is not None:
                        pages.madvise(mmap.MADV_DONTNEED)
        self.ledger = Ledger(self._warm.folder, for_look_ups=True)
        for file in self._files:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def balance(self, address: str) -> int:
        return balance(self.ledger, address)

    def row(self, txid: str) -> int | None:
        return self.ledger.tx_index(txid)


def _mapping(value: Any) -> mmap.mmap | None:
    while isinstance(value, np.ndarray):
        value = value.base
        if isinstance(value, mmap.mmap):
            return value
    return None


def tell(what: str, times: np.ndarray) -> None:
    """One line of the result."""
    p50, p99 = np.percentile(times, [50, 99])
    print(
        f"{what:44} {len(times):>7,} look-ups   p50 {p50:>9,.1f} us   p99 {p99:>9,.1f} us   max {times.max():>9,.1f} us"
    )


def main() -> None:
    """Time look-ups of random addresses and transactions, and of the busiest addresses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--rounds", type=int, default=20_000)
    arguments = parser.parse_args()
    ledger = Ledger(arguments.ledger, for_look_ups=True)
    random = np.random.default_rng(1)
    size = sizes_of(ledger)
    drawn = random.choice(np.flatnonzero((size > 0) & (size <= SMALL)), arguments.rounds)
    named = [(s, ledger.address(int(s))) for s in drawn]
    addresses = [address for _, address in named if address is not None]
    txids = [ledger.txid(int(tx)) for tx in random.integers(0, ledger.n_txs, arguments.rounds)]
    busiest = [int(s) for s in np.argsort(-size)[:8] if ledger.address(int(s)) is not None]
    hubs = [str(ledger.address(s)) for s in busiest]

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
          f"{platform.release()}, Python {platform.python_version()}, numpy {np.__version__}")  # fmt: skip
    print(f"{ledger.n_txs:,} transactions, {ledger.n_outputs:,} outputs, {ledger.n_scripts:,} scripts; the busiest "
          f"address has {int(size.max()):,} outputs")  # fmt: skip

    def ask(address: str) -> int:
        return balance(ledger, address)

    microseconds(ask, addresses)
    tell("address -> balance, warm", microseconds(ask, addresses))
    microseconds(ledger.tx_index, txids)
    tell("txid -> row, warm", microseconds(ledger.tx_index, txids))
    histories = [AddressHistory.of(ledger, hub) for hub in hubs]
    tell("hub -> balance, warm", microseconds(ask, hubs * 5))
    tell(
        "hub -> first page of 50, new each time", microseconds(lambda h: AddressHistory.of(ledger, h).page(1, 50), hubs)
    )
    middles = [(history, max(1, len(history) // 100)) for history in histories]
    for history, _ in middles:
        history.page(1, 1)
    tell("hub -> middle page of 50, opened before", microseconds(lambda h: h[0].page(h[1], 50), middles * 5))

    cold = Cold(ledger)
    some = max(arguments.rounds // 100, 50)
    tell("address -> balance, cold", microseconds(cold.balance, addresses[:some], cold.renew))
    tell("txid -> row, cold", microseconds(cold.row, txids[:some], cold.renew))
    tell("hub -> balance, cold", microseconds(cold.balance, hubs, cold.renew))


if __name__ == "__main__":
    main()
