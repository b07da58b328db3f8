"""A country report's last pages: what its authorities can ask which service."""

from collections import defaultdict

from geldspur.leads.report.blocks import Block, output_block, service_name
from geldspur.leads.report.selection import Selection, outpoint
from geldspur.leads.report.words import LEGAL_BASIS, REQUEST_ASKS, REQUEST_ASKS_CASHOUT
from geldspur.leads.schema import Lead


def _withdrawals(leads: list[Lead]) -> list[Block]:
    """One row a withdrawal, in ledger order of its first payment; several payments can stem from one."""
    groups: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        if lead.source.withdrawal:
            groups[outpoint(lead.source.withdrawal)].append(lead)
    rows = []
    for own in groups.values():
        withdrawal = own[0].source.withdrawal
        assert withdrawal is not None
        rows.append(
            {
                **output_block(withdrawal),
                "for": [outpoint(lead.payment) for lead in own],
                "bands": ", ".join(sorted({lead.confidence.band for lead in own})),
            }
        )
    return rows


def request_blocks(selection: Selection, rows: int) -> list[Block]:
    """The requests of the selected country, one block a service, by name."""
    leads: dict[str, list[Lead]] = defaultdict(list)
    for lead in selection.named:
        leads[lead.source.service or ""].append(lead)
    services = sorted({*leads, *(row.service or "" for row in selection.cashouts)})
    blocks = []
    for service in services:
        withdrawals = _withdrawals(leads[service])
        deposits = [output_block(row.payment) for row in selection.cashouts if row.service == service]
        blocks.append(
            {
                "service": service_name(service),
                "withdrawals": withdrawals[:rows],
                "withdrawals_total": len(withdrawals),
                "deposits": deposits[:rows],
                "deposits_total": len(deposits),
                "ask_withdrawals": list(REQUEST_ASKS),
                "ask_deposits": list(REQUEST_ASKS_CASHOUT),
                "legal_basis": LEGAL_BASIS,
            }
        )
    return blocks
