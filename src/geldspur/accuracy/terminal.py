"""A score as a person reads it in a terminal."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from geldspur.accuracy.claims import Missed, WrongClaim
from geldspur.accuracy.joins import JoinScore, WalletScore
from geldspur.accuracy.payments import PaymentScore
from geldspur.accuracy.rate import Rate
from geldspur.accuracy.score import Score

_SHOWN = 12
_HEX = 10
_DASH = "\N{EN DASH}"


def render(score: Score, console: Console) -> None:
    """Print everything that the score holds: figures first, then each error by name."""
    console.print(headline(score))
    p = score.payments
    _print(console, "Named payments by band, rule on the path, and weakest rule", _by_table(p))
    _print(console, "Payments of each number of hops that were named rightly", _hops_table(p))
    if p.wrong:
        _print(console, f"Wrongly named payments ({len(p.wrong)})", wrong_table(p.wrong))
    if p.missed:
        _print(console, f"Traceable payments not named rightly ({len(p.missed)})", _missed_table(p.missed))
    if score.cashouts and score.cashouts.wrong:
        _print(
            console,
            f"Wrongly named cash-outs ({len(score.cashouts.wrong)})",
            wrong_table(score.cashouts.wrong),
        )
    if score.cashouts and score.cashouts.missed:
        _print(
            console,
            f"Cash-outs not found ({len(score.cashouts.missed)})",
            _missed_table(score.cashouts.missed),
        )
    if score.wallets and score.wallets.two_owners:
        _print(
            console,
            f"Wallets that join several owners ({len(score.wallets.two_owners)})",
            _two_owners_table(score.wallets),
        )
    if score.joins and score.joins.guards:
        _print(console, "Joins refused, by reason", _guards_table(score.joins))


def headline(score: Score) -> Table:
    """The figures that matter, each with its count and interval, in one table."""
    table = plain_table("", "share", "95 % interval", "counted")
    p = score.payments
    table.add_row("payments found", *_cells(Rate(p.found, p.payments), "payments"))
    table.add_row("named rightly", *_cells(p.precision, "named payments"))
    table.add_row("  of them strong", *_cells(p.strong, "strong leads"))
    table.add_row("traceable: named rightly", *_cells(p.recall, "traceable payments"))
    table.add_row("withdrawal named exactly", *_cells(p.withdrawal_exact, "rightly named"))
    claimed = p.through_coinjoin_claimed
    table.add_row(
        "claimed through a CoinJoin",
        Text(str(claimed), style="red" if claimed else "green"),
        "",
        f"of {p.through_coinjoin} after a CoinJoin",
    )
    if score.cashouts:
        table.add_row("cash-outs named rightly", *_cells(score.cashouts.precision, "named"))
        table.add_row("cash-outs found", *_cells(score.cashouts.recall, "cash-outs"))
    if score.wallets:
        n = len(score.wallets.two_owners)
        pairs = score.wallets.pair_precision
        table.add_row(
            "wallets with two owners",
            Text(str(n), style="yellow" if n else "green"),
            "",
            f"{pairs.n - pairs.right:,} of {pairs.n:,} pairs wrong",
        )
    if score.joins:
        wrongly = len(score.joins.refused_wrongly)
        refused = sum(guard.refused for guard in score.joins.guards.values())
        table.add_row("joins refused wrongly", str(wrongly), "", f"of {refused:,} joins refused")
    return table


def plain_table(*columns: str) -> Table:
    """A table without lines; the first and last columns are text, those between numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i in (0, len(columns) - 1) else "right", overflow="fold")
    return table


def wrong_table(wrong: list[WrongClaim]) -> Table:
    """Each wrong claim with what the truth says about it."""
    table = plain_table("payment", "named", "band", "rules on the path", "truth")
    for column in table.columns[1:4]:
        column.justify = "left"
    for claim in wrong[:_SHOWN]:
        table.add_row(_short(claim.payment), claim.named, claim.band, ", ".join(claim.rules), claim.truth)
    _and_more(table, len(wrong))
    return table


def _by_table(p: PaymentScore) -> Table:
    table = plain_table("", "share", "95 % interval", "counted")
    for kind, rates in (("band", p.by_band), ("rule", p.by_rule), ("weakest rule", p.by_weakest_rule)):
        for name, rate in rates.items():
            table.add_row(f"{kind}: {name}", *_cells(rate, "right"))
    return table


def _hops_table(p: PaymentScore) -> Table:
    table = plain_table("hops", "share", "95 % interval", "counted")
    for hops, rate in p.recall_by_hops.items():
        table.add_row(str(hops), *_cells(rate, "payments"))
    return table


def _missed_table(missed: list[Missed]) -> Table:
    table = plain_table("cause", "number", "by service", "by hops")
    table.columns[2].justify = "left"
    for cause, n in Counter(m.cause for m in missed).most_common():
        group = [m for m in missed if m.cause == cause]
        table.add_row(cause, str(n), _tally(m.service for m in group), _tally(str(m.hops) for m in group))
    return table


def _two_owners_table(wallets: WalletScore) -> Table:
    table = plain_table("wallet", "addresses", "owners (addresses)", "joined by")
    table.columns[2].justify = "left"
    for wallet in wallets.two_owners[:_SHOWN]:
        owners = ", ".join(f"{name} {n}" for name, n in wallet.addresses_of.items())
        by = ", ".join(txid[:_HEX] for txid in wallet.joined_by) or "no single transaction"
        table.add_row(wallet.wallet[:16], str(sum(wallet.addresses_of.values())), owners, by)
    _and_more(table, len(wallets.two_owners))
    return table


def _guards_table(joins: JoinScore) -> Table:
    table = plain_table("reason", "refused", "of one owner", "what they truly are")
    for reason, guard in joins.guards.items():
        kinds = ", ".join(f"{kind} {n}" for kind, n in guard.kinds.items())
        table.add_row(reason, f"{guard.refused:,}", f"{guard.one_owner:,}", kinds)
    return table


def _print(console: Console, title: str, body: RenderableType) -> None:
    console.print(Group(Text(), Text(title, style="bold"), Padding(body, (0, 0, 0, 2))))


def _cells(rate: Rate, what: str) -> tuple[str, str, str]:
    low, high = rate.interval
    interval = f"{low:.3f}{_DASH}{high:.3f}" if rate.n else ""
    return _share(rate), interval, f"{rate.right:,} of {rate.n:,} {what}"


def _share(rate: Rate) -> str:
    return _DASH if rate.value is None else f"{rate.value:.3f}"


def _short(payment: str) -> str:
    txid, _, vout = payment.partition(":")
    return f"{txid[:_HEX]}…:{vout}"


def _tally(names: Iterable[str]) -> str:
    return ", ".join(f"{name}: {n}" for name, n in sorted(Counter(names).items()))


def _and_more(table: Table, n: int) -> None:
    if n > _SHOWN:
        table.add_row(f"and {n - _SHOWN} more", *[""] * (len(table.columns) - 1), style="dim")
