"""What an investigator can act on: leads, cash-outs, the report about them, and sealed packages.

A lead is one payment that the site received, with the service that its money came from. `run_leads` makes them
from a ledger, its tags and wallets, and a site file; `read_leads_dir` reads them back. Facts, inferences and
attributions are kept apart in every row.
"""

from geldspur.leads.build import run_leads
from geldspur.leads.files import LeadsData, read_leads_dir

__all__ = ["LeadsData", "read_leads_dir", "run_leads"]
