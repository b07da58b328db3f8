"""Which rows a report is about: all of them, or one country's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from geldspur.leads.files import LeadsData
from geldspur.leads.schema import (
    Band,
    Cashout,
    Coverage,
    Customer,
    Lead,
    LeadsManifest,
    NotPayment,
    Output,
    Payout,
)

NO_COUNTRY = "ZZ"
ACTIONABLE = (Band.STRONG, Band.MODERATE)


@dataclass
class Selection:
    """The rows that one report shows; `leads` are without the investigators' own payments (`excluded`)."""

    country: str | None
    manifest: LeadsManifest
    coverage: Coverage
    leads: list[Lead]
    cashouts: list[Cashout]
    customers: list[Customer]
    excluded: list[Lead] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    not_payments: list[NotPayment] = field(default_factory=list)

    @property
    def named(self) -> list[Lead]:
        """Strong leads, then moderate ones, each in ledger order."""
        order = {band: rank for rank, band in enumerate(ACTIONABLE)}
        rows = [lead for lead in self.leads if actionable(lead)]
        return sorted(rows, key=lambda lead: order[Band(lead.confidence.band)])

    @property
    def unnamed(self) -> list[Lead]:
        """Weak leads and payments without a named service, in ledger order."""
        return [lead for lead in self.leads if not actionable(lead)]


def outpoint(output: Output) -> str:
    """An output's name, txid:vout."""
    return f"{output.txid}:{output.vout}"


def actionable(row: Lead | Cashout) -> bool:
    """Whether the row names a service strongly or moderately, so that it may leave the house."""
    service = row.source.service if isinstance(row, Lead) else row.service
    return service is not None and row.confidence.band in ACTIONABLE


def countries(jurisdictions: list[str]) -> list[str]:
    """The countries whose report a service goes into; `ZZ` where its source names none."""
    return jurisdictions or [NO_COUNTRY]


def _customers_of(customers: Sequence[Customer], leads: list[Lead]) -> list[Customer]:
    """The customers of `leads`, with these leads' payments only."""
    by_name = {outpoint(lead.payment): lead for lead in leads}
    rows = []
    for customer in customers:
        own = [by_name[name] for name in customer.leads if name in by_name]
        if not own:
            continue
        times = [lead.payment.time for lead in own]
        rows.append(
            customer.model_copy(
                update={
                    "addresses": sorted({lead.payment.address for lead in own if lead.payment.address}),
                    "payments": len(own),
                    "value_sat": sum(lead.payment.value_sat for lead in own),
                    "first_time": min(times),
                    "last_time": max(times),
                    "services": sorted({lead.source.service for lead in own if lead.source.service}),
                    "leads": [outpoint(lead.payment) for lead in own],
                }
            )
        )
    return rows


def select(data: LeadsData, country: str | None) -> Selection:
    """The rows for `country`, an ISO 3166 alpha-2 code or `ZZ`; all rows if None.

    A country's report has the actionable leads and cash-outs of its services and nothing else, as the package
    that it travels in.
    """
    kept = [lead for lead in data.leads if not lead.excluded]
    if country is None:
        return Selection(
            country=None,
            manifest=data.manifest,
            coverage=data.coverage,
            leads=kept,
            cashouts=list(data.cashouts),
            customers=list(data.customers),
            excluded=[lead for lead in data.leads if lead.excluded],
            payouts=list(data.payouts),
            not_payments=list(data.not_payments),
        )
    leads = [lead for lead in kept if actionable(lead) and country in countries(lead.source.jurisdictions)]
    cashouts = [row for row in data.cashouts if actionable(row) and country in countries(row.jurisdictions)]
    return Selection(
        country=country,
        manifest=data.manifest,
        coverage=data.coverage,
        leads=leads,
        cashouts=cashouts,
        customers=_customers_of(data.customers, leads),
    )
