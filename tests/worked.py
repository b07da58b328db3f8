"""A case worked through up to its leads, for the tests that look at the result."""

from pathlib import Path
from types import SimpleNamespace

from geldspur.accuracy import write_inputs
from geldspur.leads import run_leads
from geldspur.ledger import Ledger, index
from geldspur.tags import add_packs
from geldspur.wallets import build_wallets


def work_through(case, folder: Path) -> SimpleNamespace:
    """Index, tag, join and trace a case, as the commands do."""
    inputs = write_inputs(case, folder / "inputs")
    index(case.blocks, folder / "ledger")
    ledger = Ledger(folder / "ledger")
    add_packs(ledger.folder, ledger.network, [inputs.tagpack, inputs.actorpack])
    build_wallets(ledger)
    leads = run_leads(ledger, inputs.site, folder / "leads")
    return SimpleNamespace(case=case, inputs=inputs, ledger=ledger, leads=leads, folder=folder)
