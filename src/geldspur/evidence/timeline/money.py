"""Payments, cash-outs and payouts of a leads directory, at their blocks' times."""

from collections.abc import Iterator

from geldspur.evidence.timeline.events import Event, What, from_utc
from geldspur.leads import LeadsData
from geldspur.leads.schema import Output


def money_events(leads: LeadsData) -> Iterator[Event]:
    """Each output once a table; facts of the ledger only. Who is behind one, the leads say with their grounds."""
    for lead in leads.leads:
        own = "; named as a payment that investigators made" if lead.excluded else ""
        yield _event("payment", lead.payment, f"paid to {_to(lead.payment)}, an address of the site{own}")
    for cashout in leads.cashouts:
        yield _event("cashout", cashout.payment, f"paid to {_to(cashout.payment)}; for its grounds see cashouts.jsonl")
    for payout in leads.payouts:
        yield _event("payout", payout.payment, f"paid to {_to(payout.payment)}; for its grounds see payouts.jsonl")


def _to(output: Output) -> str:
    return output.address or "a script without an address"


def _event(what: What, output: Output, description: str) -> Event:
    return Event(
        from_utc(output.time),
        what,
        description,
        f"time of block {output.height}, as its miner set it: up to two hours off",
        txid=output.txid,
        vout=output.vout,
        value_sat=output.value_sat,
    )
