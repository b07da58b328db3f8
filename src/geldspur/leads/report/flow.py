"""The flow picture's content: who stands in which column, and which value runs between them.

Columns from left to right: services, the payers' transactions by exposure or by stop, the site, the
transactions that spent the site's money, and where that money went.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from geldspur.flows import StopKind
from geldspur.leads.report.plain import clean, short_btc
from geldspur.leads.report.selection import Selection, actionable
from geldspur.leads.report.words import STOPS
from geldspur.leads.schema import Band, Cashout, Lead, Payout
from geldspur.wording import counted

NAMED_SERVICES = 12
COLUMNS = (
    "Services",
    "Payers\u2019 transactions",
    "Site",
    "Spent by the site\u2019s wallet",
    "Where it went",
)
SITE, SWEEPS = "site", "sweeps"


@dataclass(frozen=True)
class Node:
    """A card of the picture."""

    key: str
    column: int
    style: str
    title: str
    lines: tuple[str, ...]
    value_sat: int


@dataclass(frozen=True)
class Link:
    """A band of the picture, its width being its value."""

    source: str
    target: str
    style: str
    value_sat: int


@dataclass
class Flow:
    """Cards and bands, in drawing order."""

    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def describe(self) -> str:
        """The picture in a sentence, for those who can't see it."""
        cards = [f"{node.title}: {', '.join(node.lines)}" for node in self.nodes]
        return "Flow of value from services to the site and on. " + "; ".join(cards) + "."


def _value(rows: Iterable[Lead | Cashout | Payout]) -> int:
    return sum(row.payment.value_sat for row in rows)


def _tally(count: int, noun: str, value_sat: int) -> str:
    return f"{counted(count, noun)}, {short_btc(value_sat)}"


def _hops(hops: Iterable[int | None]) -> str:
    known = [value for value in hops if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = f"{low}" if low == high else f"{low} to {high}"
    return f"{span} transaction{'' if high == low == 1 else 's'} later"


def _rank(groups: dict[str, int]) -> list[str]:
    """Keys by value, largest first; equal values by name."""
    return sorted(groups, key=lambda key: (-groups[key], key))


def _services(flow: Flow, leads: list[Lead]) -> None:
    by_service: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        by_service[lead.source.service or ""].append(lead)
    ranked = _rank({name: _value(rows) for name, rows in by_service.items()})
    shown = ranked if len(ranked) <= NAMED_SERVICES + 1 else ranked[:NAMED_SERVICES]
    rest = [name for name in ranked if name not in set(shown)]
    groups = [(f"service:{name}", clean(name, 80), by_service[name]) for name in shown]
    if rest:
        rows = [lead for name in rest for lead in by_service[name]]
        groups.append(("services:rest", f"{len(rest)} other services", rows))
    for key, title, rows in groups:
        line = _tally(len(rows), "payment", _value(rows))
        flow.nodes.append(Node(key, 0, "service", title, (line,), _value(rows)))
        for exposure in ("direct", "indirect"):
            part = [lead for lead in rows if lead.source.exposure == exposure]
            if part:
                flow.links.append(Link(key, f"exposure:{exposure}", exposure, _value(part)))


def _exposures(flow: Flow, leads: list[Lead], unnamed: list[Lead]) -> None:
    groups: list[tuple[str, str, str, str, list[Lead]]] = []
    direct = [lead for lead in leads if lead.source.exposure == "direct"]
    indirect = [lead for lead in leads if lead.source.exposure == "indirect"]
    groups.append(("exposure:direct", "direct", "Direct", "withdrawal pays the site", direct))
    hops = _hops(lead.source.hops for lead in indirect)
    groups.append(("exposure:indirect", "indirect", "Indirect", hops, indirect))
    weak = [lead for lead in unnamed if lead.confidence.band == Band.WEAK]
    groups.append(("weak", "weak", "Weak", "not counted as named", weak))
    stopped: dict[str, list[Lead]] = defaultdict(list)
    for lead in unnamed:
        if lead.confidence.band != Band.WEAK:
            stopped[lead.stop.kind].append(lead)
    for kind in _rank({kind: _value(rows) for kind, rows in stopped.items()}):
        title = f"Stopped: {STOPS[StopKind(kind)][0]}"
        groups.append((f"stop:{kind}", "stop", title, "", stopped[kind]))
    for key, style, title, note, rows in groups:
        if rows:
            lines = (_tally(len(rows), "payment", _value(rows)), *([note] if note else []))
            flow.nodes.append(Node(key, 1, style, title, lines, _value(rows)))
            flow.links.append(Link(key, SITE, style, _value(rows)))


def _spending(flow: Flow, selection: Selection, received_sat: int) -> None:
    rows: list[Cashout | Payout] = [*selection.cashouts, *selection.payouts]
    # A swept output may feed several deposits; it counts once.
    swept = {(row.path[0].txid, row.path[0].vout): row.path[0].value_sat for row in rows if row.path}
    # An extract shows one country's part of a sweep, and says nothing of the rest.
    whole = sum(swept.values()) if selection.country is None else 0
    swept_sat = max(whole, _value(rows))
    if rows:
        count = len({txid for txid, _ in swept})
        spent = [counted(count, "transaction"), short_btc(swept_sat)]
        if swept_sat > received_sat and selection.country is None:
            spent.append("more than the payments: other money joined it")
        flow.nodes.append(Node(SWEEPS, 3, "sweep", "Followed on", tuple(spent), swept_sat))
        flow.links.append(Link(SITE, SWEEPS, "sweep", swept_sat))
    if selection.country is None:
        left = max(0, received_sat - swept_sat) if rows else received_sat
        if left:
            lines = (short_btc(left), "unspent, fees, change,", "or not followed further")
            flow.nodes.append(Node("rest:site", 3, "rest", "Remainder", lines, left))
            flow.links.append(Link(SITE, "rest:site", "rest", left))


def _destinations(flow: Flow, selection: Selection) -> None:
    named: dict[str, list[Cashout | Payout]] = defaultdict(list)
    other: dict[str, list[Cashout | Payout]] = defaultdict(list)
    for row in selection.cashouts:
        if actionable(row):
            named[row.service or ""].append(row)
        else:
            other["weak"].append(row)
    for payout in selection.payouts:
        other[payout.kind].append(payout)
    ranked = _rank({name: _value(rows) for name, rows in named.items()})
    shown = ranked if len(ranked) <= NAMED_SERVICES + 1 else ranked[:NAMED_SERVICES]
    rest = [row for name in ranked if name not in set(shown) for row in named[name]]
    cards: list[tuple[str, str, str, str, list[Cashout | Payout]]] = [
        (f"cashout:{name}", "cashout", f"Cash-out at {clean(name, 80)}", "deposit", named[name]) for name in shown
    ]
    cards.append(("cashout:rest", "cashout", f"{len(ranked) - len(shown)} other services", "deposit", rest))
    cards.append(("weak:out", "weak", "Deposits, weak", "deposit", other["weak"]))
    cards.append(("payout", "payout", "Other payouts", "payment", other["payout"]))
    cards.append(("refund", "payout", "Refunds to payers", "payment", other["refund"]))
    for key, style, title, noun, rows in cards:
        if rows:
            lines = [_tally(len(rows), noun, _value(rows))]
            if style == "cashout":
                lines.append(_hops(row.hops for row in rows))
            flow.nodes.append(Node(key, 4, style, title, tuple(line for line in lines if line), _value(rows)))
            flow.links.append(Link(SWEEPS, key, style, _value(rows)))
    swept_sat = sum(node.value_sat for node in flow.nodes if node.key == SWEEPS)
    left = swept_sat - _value([*selection.cashouts, *selection.payouts])
    if left > 0 and selection.country is None:
        note = (short_btc(left), "fees, change,", "or beyond a stop")
        flow.nodes.append(Node("rest:out", 4, "rest", "Remainder", note, left))
        flow.links.append(Link(SWEEPS, "rest:out", "rest", left))
    if not named:
        title = "No cash-out found"
        flow.nodes.append(Node("cashout:none", 4, "none", title, ("with the tags of this edition",), 0))


def build_flow(selection: Selection) -> Flow:
    """The picture's cards and bands for the selected rows."""
    flow = Flow()
    _services(flow, selection.named)
    _exposures(flow, selection.named, selection.unnamed)
    received = _value(selection.leads)
    title = "The site" if selection.country is None else "The site (extract)"
    addresses = len(Counter(lead.payment.address for lead in selection.leads))
    lines = (
        counted(len(selection.leads), "payment"),
        short_btc(received),
        counted(addresses, "address", "addresses") + " paid",
    )
    flow.nodes.append(Node(SITE, 2, "site", title, lines, received))
    _spending(flow, selection, received)
    _destinations(flow, selection)
    return flow
