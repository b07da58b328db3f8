"""Commands that hand the ledger to other programs: export, sql."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import LedgerDir, say
from geldspur.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur export headers.bin --headers --ledger ledger")(export)


def export(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    ledger: LedgerDir,
    headers: Annotated[
        bool, typer.Option("--headers", help="Write the chain of block headers, 80 bytes each.")
    ] = False,
) -> None:
    """Write parts of the ledger for other programs: the chain of headers, which `verify --headers` takes."""
    from geldspur.ledger import Ledger
    from geldspur.ledger.columns import write_file

    if not headers:
        raise UsageError("nothing to export", todo="say what: --headers")
    opened = Ledger(ledger)
    write_file(target, opened.block_header.tobytes())
    say(f"{len(opened.block_header):,} headers written to {target}")
