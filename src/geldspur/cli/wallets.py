"""Commands on wallets."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, LedgerDir, progress, say, show_json
from geldspur.errors import UsageError

_REFUSED = {"coinjoin": "CoinJoins", "payjoin": "possible PayJoins", "conflict": "between two services"}

app = typer.Typer(
    help="Which addresses are consistent with one owner, and why.",
    epilog="Example: geldspur wallets build --ledger ledger",
    no_args_is_help=True,
)


@app.command(epilog="Example: geldspur wallets build --ledger ledger")
def build(ledger: LedgerDir, as_json: Json = False) -> None:
    """Join addresses that sign together; refuse CoinJoins, PayJoins and joins of two services."""
    from geldspur.ledger import Ledger
    from geldspur.wallets import build_wallets

    report = build_wallets(Ledger(ledger), progress(as_json))
    if as_json:
        show_json(report)
        return
    refused = ", ".join(f"{report.verdicts[label]:,} {name}" for label, name in _REFUSED.items())
    say(
        f"edition {report.edition}: {report.scripts:,} scripts in {report.wallets:,} wallets, of which "
        f"{report.joined_wallets:,} hold several (largest {report.largest:,})\n"
        f"{report.joins:,} joins by {report.verdicts['co-spend']:,} transactions; joins refused: {refused}"
    )


@app.command(epilog="Example: geldspur wallets why ADDRESS ADDRESS --ledger ledger")
def why(
    first: Annotated[str, typer.Argument(metavar="ADDRESS", help="One address.")],
    second: Annotated[str, typer.Argument(metavar="ADDRESS", help="The other.")],
    ledger: LedgerDir,
    as_json: Json = False,
) -> None:
    """Print the transactions that join two addresses, or why nothing does."""
    from geldspur.ledger import Ledger
    from geldspur.tags import open_tags
    from geldspur.wallets.why import explain

    opened = Ledger(ledger)
    answer = explain(opened, open_tags(ledger), first, second)
    if as_json:
        show_json(answer)
        return
    say(answer.sentence)
    for step in answer.steps:
        say(f"  {step.from_name}  and  {step.to_name}\n    signed {step.txid}  (block {step.height:,}, {step.time})")
    if answer.rule:
        say(f"rule {answer.rule}: {answer.error_rate}")
    for refused in answer.refused:
        say(f"  refused: {refused.txid} (block {refused.height:,}): {refused.verdict}")


@app.command(epilog="Example: geldspur wallets export --ledger ledger wallets.csv")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The file to write.")],
    ledger: LedgerDir,
    as_json: Json = False,
) -> None:
    """Write address,wallet for every address that was joined with another."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.columns import write_file
    from geldspur.tags import open_tags
    from geldspur.wallets import Wallets
    from geldspur.wallets.tables import joined_addresses

    if file.is_dir():
        raise UsageError(f"{file} is a folder", todo="name a file")
    opened = Ledger(ledger)
    content = joined_addresses(opened, Wallets(opened, open_tags(ledger)))
    write_file(file, content)
    count = content.count(10) - 1
    if as_json:
        show_json({"file": str(file), "addresses": count})
    else:
        say(f"{count:,} addresses written to {file}")
