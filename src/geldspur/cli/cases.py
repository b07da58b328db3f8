"""Commands on cases with known truth: demo, accuracy."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, console, progress, show_json, tell_first_use


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur demo --out demo")(demo)
    app.command(epilog="Example: geldspur accuracy CASE --leads leads")(accuracy)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Run the whole job on the embedded case, and compare the result with the case's truth."""
    from rich.console import Console

    from geldspur import kernelcache
    from geldspur.accuracy.demo import run_demo

    if not as_json:
        tell_first_use(kernelcache.is_warm(), "up to a minute")
    shown = Console(stderr=True, highlight=False, quiet=as_json) if as_json else console
    result = run_demo(out, progress(as_json), shown)
    if as_json:
        show_json(result.as_dict())
    if not result.passed:
        raise typer.Exit(1)


def accuracy(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="An unpacked case: blocks/ and truth/.")],
    leads: Annotated[Path, typer.Option(metavar="DIR", help="The leads made from it.")],
    rates: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write each rule's measured rate.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score leads against a case's truth, with every error by name."""
    import json

    from geldspur.accuracy import measure_rates, open_case, render, score
    from geldspur.ledger.columns import write_file

    found = score(open_case(case), leads)
    if rates is not None:
        measured = json.dumps(measure_rates(case, leads), indent=1, ensure_ascii=False) + "\n"
        write_file(rates, measured.encode())
    if as_json:
        show_json(found.as_dict())
    else:
        render(found, console)
