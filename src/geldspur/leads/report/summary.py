"""The report's numbers: payments by band, money by service, trails by stop."""

from collections import defaultdict
from collections.abc import Sequence

from geldspur.flows import StopKind
from geldspur.leads.report.blocks import (
    Block,
    Creators,
    creators_of,
    grade_text,
    jurisdiction_text,
    service_name,
)
from geldspur.leads.report.plain import amount, btc, number, sat
from geldspur.leads.report.selection import ACTIONABLE, Selection, actionable
from geldspur.leads.report.words import BANDS, STOPS
from geldspur.leads.schema import Band, Cashout, Lead, TagRef
from geldspur.wording import counted

BANDS_IN_ORDER = (Band.STRONG, Band.MODERATE, Band.WEAK, Band.NONE)
SOURCES_SHOWN = 3


def _total(rows: Sequence[Lead | Cashout]) -> int:
    return sum(row.payment.value_sat for row in rows)


def _period(rows: Sequence[Lead | Cashout]) -> str:
    if not rows:
        return "-"
    times = [row.payment.time for row in rows]
    return f"{min(times)} to {max(times)}"


def _sources(tags: list[TagRef | None], creators: Creators) -> list[str]:
    texts = sorted({grade_text(tag, creators) for tag in tags if tag})
    if len(texts) > SOURCES_SHOWN:
        texts = [*texts[:SOURCES_SHOWN], f"and {counted(len(texts) - SOURCES_SHOWN, 'other source')}"]
    return texts or ["no tag"]


def _bands(rows: Sequence[Lead | Cashout]) -> dict[str, str]:
    counts = {band: sum(row.confidence.band == band for row in rows) for band in BANDS_IN_ORDER}
    return {band.value: number(count) for band, count in counts.items()}


def _service_rows(rows: Sequence[Lead | Cashout], creators: Creators) -> list[Block]:
    groups: dict[str, list[Lead | Cashout]] = defaultdict(list)
    for row in rows:
        groups[(row.source.service if isinstance(row, Lead) else row.service) or ""].append(row)
    result = []
    for name in sorted(groups, key=lambda key: (-_total(groups[key]), key)):
        own = groups[name]
        places = [row.source.jurisdictions if isinstance(row, Lead) else row.jurisdictions for row in own]
        tags = [row.source.tag if isinstance(row, Lead) else row.tag for row in own]
        result.append(
            {
                "service": service_name(name),
                "jurisdictions": jurisdiction_text(sorted({code for codes in places for code in codes})),
                "sources": _sources(tags, creators),
                "count": number(len(own)),
                "bands": _bands(own),
                "sat": number(_total(own)),
                "btc": btc(_total(own)),
            }
        )
    return result


def summary(selection: Selection) -> Block:
    """The first page."""
    leads, named = selection.leads, selection.named
    cashouts = [row for row in selection.cashouts if actionable(row)]
    reached = [customer for customer in selection.customers if customer.services]
    creators = creators_of(selection.manifest.packs)
    dust_sat = sum(row.payment.value_sat for row in selection.not_payments)
    return {
        "payments": number(len(leads)),
        "sat": sat(_total(leads)),
        "btc": btc(_total(leads)),
        "period": _period(leads),
        "first": min((lead.payment.time for lead in leads), default="-"),
        "last": max((lead.payment.time for lead in leads), default="-"),
        "named": number(len(named)),
        "named_amount": amount(_total(named)),
        "bands": [
            {
                "band": band.value,
                "meaning": BANDS[band],
                "count": sum(lead.confidence.band == band for lead in leads),
                "shown": number(sum(lead.confidence.band == band for lead in leads)),
                "amount": amount(_total([lead for lead in leads if lead.confidence.band == band])),
            }
            for band in (BANDS_IN_ORDER if selection.country is None else ACTIONABLE)
        ],
        "services": _service_rows(named, creators),
        "cashouts": _service_rows(cashouts, creators),
        "cashouts_count": number(len(cashouts)),
        "cashouts_weak": number(len(selection.cashouts) - len(cashouts)),
        "cashouts_amount": amount(_total(cashouts)),
        "payouts": number(len(selection.payouts)),
        "payouts_amount": amount(sum(row.payment.value_sat for row in selection.payouts)),
        "customers": number(len(selection.customers)),
        "customers_reached": number(len(reached)),
        "excluded": number(len(selection.excluded)),
        "excluded_amount": amount(_total(selection.excluded)),
        "not_payments": number(len(selection.not_payments)),
        "not_payments_amount": amount(dust_sat),
    }


def stops(leads: list[Lead]) -> list[Block]:
    """Where trails end, by kind, kinds without a trail left out."""
    groups: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        groups[lead.stop.kind].append(lead)
    return [
        {
            "kind": kind.value,
            "name": STOPS[kind][0],
            "meaning": STOPS[kind][1],
            "count": number(len(groups[kind])),
            "btc": btc(_total(groups[kind])),
        }
        for kind in StopKind
        if groups[kind]
    ]
