"""Command of `geldspur evidence` about demo: the whole way on a made tree."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, console, progress, say, show_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: geldspur evidence demo --out evidence-demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("evidence-demo"),
    leads: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also lay the files' times beside these leads' payments.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a tree of synthetic clips; scan, match, report and verify it; compare with what was made."""
    from geldspur.accuracy.seized import run_evidence_demo

    result = run_evidence_demo(out, leads, progress(as_json), None if as_json else console)
    if as_json:
        show_json(
            {
                "out": str(out),
                "passed": result.passed,
                "figures": result.figures,
                "expected": result.expected,
                "checks": result.checks,
            }
        )
    else:
        for name, value in result.expected.items():
            if result.figures.get(name) != value:
                say(f"{name} is {result.figures.get(name)}, {value} were made")
        said = "as made, and verified" if result.passed else "NOT as it was made"
        say(f"\n{said}; read {out / 'report' / 'report.pdf'} first")
    if not result.passed:
        raise typer.Exit(1)
