"""The last page of the demo: what went in, what came out, how it compares with the truth."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from geldspur.accuracy.score import Score
from geldspur.accuracy.terminal import headline, plain_table
from geldspur.leads import LeadsData
from geldspur.leads.report.words import STANDING
from geldspur.leads.schema import Band, Cashout, Lead, Payout
from geldspur.ledger import IndexReport
from geldspur.tags import AddReport
from geldspur.wallets import WalletsReport
from geldspur.wording import counted

_Row = TypeVar("_Row", Lead, Cashout)

_ACTIONABLE = (Band.STRONG, Band.MODERATE)
_WAYS = ("direct", "one wallet", "sole source")
_BAR = 8
_REFUSED = {"coinjoin": "CoinJoin", "payjoin": "possible PayJoin", "conflict": "service conflict"}
_STOPS = {
    "service": "differing sources",
    "mixer": "a mixer",
    "coinjoin": "a CoinJoin",
    "payjoin": "possible PayJoin",
    "coinbase": "newly mined coins",
    "hub": "untagged hub",
    "ambiguous": "differing sources",
    "dust": "dust",
    "budget": "the search limit",
    "edge": "the ledger's edge",
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """A package as it was written and then checked from its own bytes."""

    path: Path
    country: str
    leads: int
    cashouts: int
    transactions: int
    verified: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything that the demo did. `seconds` has one entry a step, in order."""

    out: Path
    index: IndexReport
    tags: AddReport
    wallets: WalletsReport
    leads: LeadsData
    packages: Sequence[Sealed]
    score: Score
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every package was verified and nothing was claimed through a CoinJoin."""
        return all(p.verified for p in self.packages) and not self.score.payments.through_coinjoin_claimed

    def as_dict(self) -> dict[str, Any]:
        """The result for a program."""
        return {
            "passed": self.passed,
            "out": str(self.out),
            "index": asdict(self.index),
            "tags": self.tags.counts.as_dict(),
            "wallets": asdict(self.wallets),
            "leads": self.leads.manifest.counts,
            "packages": [asdict(package) for package in self.packages],
            "score": self.score.figures(),
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
        }


def summary(result: DemoResult) -> RenderableType:
    """The page, laid out for 100 columns; no line is longer."""
    return Group(
        Text(),
        Rule(Text("What the demo found", style="bold"), style="dim"),
        _facts(result),
        _section("Where the money of the site's payments came from", _sources(result.leads.leads)),
        _section("Where the site's money went", _destinations(result.leads)),
        _section("Packages, one a country of jurisdiction", _packages(result.packages)),
        _section("Compared with the truth of this synthetic case", headline(result.score)),
        Text(),
        Text(STANDING, style="dim"),
    )


def _facts(result: DemoResult) -> RenderableType:
    index, wallets, found = result.index, result.wallets, result.leads
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row(
        "ledger",
        f"{index.blocks:,} blocks, {index.transactions:,} transactions, {index.outputs:,} outputs; "
        f"{counted(index.stale, 'stale block')} aside",
    )
    grid.add_row("tip", f"{index.tip_height:,} · {index.tip_hash[:16]}… · {found.manifest.ledger.tip_time}")
    known = counted(result.tags.total_tags, "known address", "known addresses")
    grid.add_row("tags", f"{known} of {counted(result.tags.total_actors, 'service')}")
    refused = ", ".join(
        counted(wallets.verdicts[label], name) for label, name in _REFUSED.items() if wallets.verdicts.get(label)
    )
    grid.add_row("wallets", f"{wallets.joins:,} joins make {wallets.joined_wallets:,} wallets")
    grid.add_row("", f"refused to join: {refused or 'nothing'}")
    paid = [lead.payment for lead in found.leads]
    grid.add_row(
        "site",
        f"{counted(len(paid), 'payment')}, {_btc(p.value_sat for p in paid)} BTC, "
        f"to {found.coverage.paid} of {found.coverage.addresses} addresses",
    )
    if paid:
        grid.add_row("", _period(p.time for p in paid))
    if found.not_payments:
        reasons = Counter(str(row.reason) for row in found.not_payments)
        grid.add_row("", "not counted: " + ", ".join(f"{n} {name}" for name, n in sorted(reasons.items())))
    return grid


def _sources(leads: Sequence[Lead]) -> RenderableType:
    named: dict[str, list[Lead]] = defaultdict(list)
    unnamed: dict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        if lead.source.service is not None and lead.confidence.band in _ACTIONABLE:
            named[lead.source.service].append(lead)
        else:
            unnamed[_STOPS[lead.stop.kind]].append(lead)
    table = plain_table("trail stops at", "country", "payments", "", "BTC", "direct", "one\nwallet", "sole\nsource")
    table.columns[1].justify = table.columns[3].justify = "left"
    table.columns[-1].justify = "right"
    table.columns[3].no_wrap = True
    most = max((len(group) for group in (*named.values(), *unnamed.values())), default=1)
    for service, group in _largest_first(named):
        ways = Counter(_way(lead) for lead in group)
        number, btc = _sum(group)
        table.add_row(
            Text(service, style="bold"),
            ", ".join(sorted({c for lead in group for c in lead.source.jurisdictions})),
            number,
            _bar(len(group), most, "cyan"),
            btc,
            *(_number(ways[way]) for way in _WAYS),
        )
    for reason, group in _largest_first(unnamed):
        number, btc = _sum(group)
        table.add_row(Text(reason, style="yellow"), "", number, _bar(len(group), most, "yellow"), btc)
    number, btc = _sum(leads)
    ways = Counter(_way(lead) for group in named.values() for lead in group)
    table.add_row("all", "", number, "", btc, *(_number(ways[way]) for way in _WAYS), style="dim")
    note = "direct: a wallet attributed to the service pays (strong)\nthe others: inferences (moderate)"
    return Group(table, Text(note, style="dim"))


def _bar(n: int, most: int, style: str) -> Text:
    halves = max(1, round(2 * _BAR * n / most))
    return Text("━" * (halves // 2) + "╸" * (halves % 2), style=style)


def _destinations(found: LeadsData) -> RenderableType:
    named: dict[str, list[Cashout]] = defaultdict(list)
    unnamed: dict[str, list[Cashout]] = defaultdict(list)
    for cashout in found.cashouts:
        if cashout.service is not None and cashout.confidence.band in _ACTIONABLE:
            named[cashout.service].append(cashout)
        else:
            unnamed[_STOPS[cashout.stop.kind]].append(cashout)
    table = plain_table("trail stops at", "country", "outputs", "BTC", "hops", "what it is")
    table.columns[1].justify = "left"
    for service, group in _largest_first(named):
        countries = ", ".join(sorted({c for row in group for c in row.jurisdictions}))
        what = "cash-outs of swept money"
        table.add_row(Text(service, style="bold"), countries, *_sum(group), _span(_hops(group)), what)
    for reason, group in _largest_first(unnamed):
        what = "swept money, no service named"
        table.add_row(Text(reason, style="yellow"), "", *_sum(group), _span(_hops(group)), what)
    for kind, what in (("payout", "payouts to others"), ("refund", "refunds to payers")):
        paid = [row for row in found.payouts if row.kind == kind]
        if paid:
            table.add_row("no tagged service", "", *_sum(paid), _span(_hops(paid)), what)
    return table


def _packages(packages: Sequence[Sealed]) -> RenderableType:
    table = plain_table("file", "leads", "cash-outs", "transactions proven", "verification")
    for package in packages:
        mark = Text("✓ " if package.verified else "✗ ", style="green" if package.verified else "bold red")
        table.add_row(
            package.path.name,
            str(package.leads),
            _number(package.cashouts),
            str(package.transactions),
            mark + Text(package.verdict),
        )
    return table


def closing(result: DemoResult) -> Text:
    """What to read first. To be printed without wrapping: a path in two pieces can't be copied."""
    seconds = sum(result.seconds.values())
    report = result.out / "leads" / "report.pdf"
    return Text(f"{seconds:.1f} s in all. Everything lies in {result.out}/; read {report} first.", style="dim")


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2)))


def _way(lead: Lead) -> str:
    if lead.source.exposure == "direct":
        return "direct"
    return "sole source" if any(step.rule == "sole-source" for step in lead.path) else "one wallet"


def _largest_first(groups: dict[str, list[_Row]]) -> list[tuple[str, list[_Row]]]:
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _sum(rows: Sequence[Lead] | Sequence[Cashout] | Sequence[Payout]) -> tuple[str, str]:
    return f"{len(rows):,}", _btc(row.payment.value_sat for row in rows)


def _btc(values: Iterable[int]) -> str:
    return f"{sum(values) / 1e8:,.4f}"


def _number(n: int) -> str:
    return f"{n:,}" if n else ""


def _hops(rows: Sequence[Cashout] | Sequence[Payout]) -> list[int]:
    return [row.hops for row in rows]


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _period(times: Iterable[str]) -> str:
    days = sorted(time[:10] for time in times)
    return f"{days[0]} to {days[-1]}"
