"""An edition of wallets as tables for others."""

import csv
import io

import numpy as np

from geldspur.ledger import Ledger
from geldspur.wallets.build import Wallets
from geldspur.wallets.verdicts import REFUSED, Verdict


def joined_addresses(ledger: Ledger, wallets: Wallets) -> bytes:
    """CSV (address,wallet) of every address that was joined with another."""
    wallet = np.asarray(wallets.wallet)
    sizes = np.bincount(wallet, minlength=len(wallet))
    members = np.flatnonzero(sizes[wallet] > 1).tolist()
    rows = ((ledger.address(script), int(wallet[script])) for script in members)
    return _csv(["address", "wallet"], [row for row in rows if row[0]])


def refused_joins(ledger: Ledger, wallets: Wallets) -> bytes:
    """CSV (txid,reason) of every transaction whose inputs were not joined."""
    refused = np.flatnonzero(np.isin(wallets.verdict, REFUSED)).tolist()
    return _csv(["txid", "reason"], [(ledger.txid(t), Verdict(int(wallets.verdict[t])).label) for t in refused])


def _csv(header: list[str], rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
