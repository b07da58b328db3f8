"""Which outputs to the site are payments, and which are dust, forced reuse or the site's own money."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from geldspur.leads.schema import Site
from geldspur.leads.site import SiteFile
from geldspur.ledger import Ledger
from geldspur.rules import rule
from geldspur.wallets import Wallets

Reason = Literal["dust", "forced-reuse", "own-change"]


@dataclass(slots=True)
class Payments:
    """Output rows that pay the site, in ledger order."""

    rows: list[int] = field(default_factory=list)
    not_payments: list[tuple[int, Reason, int | None, str]] = field(default_factory=list)
    site: dict[int, Site] = field(default_factory=dict)
    """The row of the site file that each output answers to."""


def find_payments(ledger: Ledger, wallets: Wallets, file: SiteFile) -> Payments:
    """Sort every output to the site's addresses into payments and what is none."""
    found = Payments()
    own = {int(wallets.wallet[script]) for script in file.rows}
    for script, site in file.rows.items():
        for row in ledger.outputs_of(script).tolist():
            if row >= ledger.n_edges:  # what an edge paid lies before the ledger's period
                found.site[row] = site
    for row in sorted(found.site):
        reason = _reason(ledger, wallets, row, own)
        if reason is None:
            found.rows.append(row)
        else:
            found.not_payments.append((row, *reason))
    return found


def _reason(ledger: Ledger, wallets: Wallets, row: int, own: set[int]) -> tuple[Reason, int | None, str] | None:
    limits = rule("dust").parameters
    threshold = int(limits["threshold_sat"])
    tx = ledger.tx_of_output(row)
    outputs = ledger.out_value[ledger.tx_out[tx] : ledger.tx_out[tx + 1]]
    amounts = len(np.unique(outputs))
    if len(outputs) >= limits["forced_reuse_outputs"] and amounts <= limits["forced_reuse_amounts"]:
        return "forced-reuse", None, f"one of {len(outputs)} outputs of only {amounts} different amounts"
    if int(ledger.out_value[row]) < threshold:
        return "dust", threshold, f"below the threshold of {threshold:,} sat"
    signers = wallets.input_scripts(tx)
    if signers and all(int(wallets.wallet[s]) in own for s in signers):
        return "own-change", None, "all inputs of the transaction are the site's own wallet"
    return None
