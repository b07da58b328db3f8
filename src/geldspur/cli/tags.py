"""Commands on tags."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, LedgerDir, printable, progress, say, show_json

app = typer.Typer(
    help="Who an address is said to be of: TagPacks and ActorPacks.",
    epilog="Example: geldspur tags add --ledger ledger exchanges.yaml actors.yaml",
    no_args_is_help=True,
)


@app.callback()
def _tags() -> None:
    pass


@app.command(epilog="Example: geldspur tags add --ledger ledger exchanges.yaml actors.yaml")
def add(
    packs: Annotated[list[Path], typer.Argument(metavar="PACK.yaml...", help="TagPacks and ActorPacks.")],
    ledger: LedgerDir,
    as_json: Json = False,
) -> None:
    """Add TagPacks and ActorPacks to a ledger; what can't be used is named with file and line."""
    from geldspur.ledger import Ledger
    from geldspur.tags import add_packs

    report = add_packs(ledger, Ledger(ledger).network, packs, progress(as_json))
    if as_json:
        show_json(report)
        return
    counts = report.counts
    say(
        f"edition {report.edition}{'' if report.changed else ' (unchanged)'}: "
        f"{report.total_tags:,} tags, {report.total_actors:,} actors\n"
        f"{counts.read:,} entries read: {counts.kept:,} kept, {sum(counts.other_currency.values()):,} of other "
        f"currencies, {counts.other_network:,} of other networks, {counts.malformed:,} malformed, "
        f"{counts.on_transaction:,} on transactions, {counts.unusable:,} unusable, {counts.duplicate:,} twice"
    )
    for old in report.replaced:
        say(printable(f"replaced: {old.title} by {old.creator}"))
    for problem in report.problems[:50]:
        say(printable(f"{problem.file}, line {problem.line}: {problem.text[:80]}: {problem.reason}"))
    if len(report.problems) > 50:
        say(f"... and {len(report.problems) - 50:,} more; --json lists all")
    if report.unknown_actors:
        say(f"{len(report.unknown_actors):,} actors have no ActorPack: their jurisdictions are unknown")
