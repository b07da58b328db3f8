"""Commands on a ledger's store: doctor, compact."""

from typing import TYPE_CHECKING, Annotated

import typer

from geldspur.cli.output import Json, LedgerDir, Memory, printable, progress, say, show_json

if TYPE_CHECKING:
    from geldspur.ledger.doctor import Report


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur doctor --ledger ledger --source")(doctor)
    app.command(epilog="Example: geldspur compact --ledger ledger")(compact)


def doctor(
    ledger: LedgerDir,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the Merkle roots, and look up a sample of rows instead of all.")
    ] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Also read the blocks from their source and hash them.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --source, read N blocks instead of all.")
    ] = None,
    memory: Memory = None,
    as_json: Json = False,
) -> None:
    """Check a ledger: its files, checksums, blocks, links, money, scripts and look-ups. Writes nothing.

    Exit code 0: sound; 1: something is wrong, and the output says what, where, and what to do.
    """
    from geldspur.errors import UsageError
    from geldspur.ledger.build.memory import parse_size
    from geldspur.ledger.doctor import examine

    if sample is not None and not source:
        raise UsageError("--sample says how many blocks to read from the source", todo="add --source")
    report = examine(
        ledger, quick=quick, with_source=source, sample=sample, memory=parse_size(memory) if memory else None,
        progress=progress(as_json),
    )  # fmt: skip
    if as_json:
        show_json(report)
    else:
        _show(report)
    if not report.sound:
        raise typer.Exit(1)


def _show(report: "Report") -> None:
    for check in report.checks:
        counts = ", ".join(f"{count:,} {what}" for what, count in check.looked_at.items())
        say(f"{check.name:18} {'sample of ' if check.sampled else ''}{counts or 'nothing looked at'}")
        for why in check.skipped:
            say(f"{'':18} left out: {printable(why)}")
    if report.amounts:
        from geldspur.ledger.views import amount

        told = (
            f"{name.removesuffix('_sat').replace('_', ' ')} {amount(sat).strip()}"
            for name, sat in report.amounts.items()
        )
        say(", ".join(told))
    for finding in report.findings:
        say(f"\n{finding.severity}: {printable(finding.what)}")
        if where := str(finding.where):
            say(f"  where: {printable(where)}")
        if finding.todo:
            say(f"  to do: {printable(finding.todo)}")
    say("\nThe ledger is sound." if report.sound else "\nThe ledger is NOT sound.")


def compact(ledger: LedgerDir, memory: Memory = None, as_json: Json = False) -> None:
    """Make the look-ups anew as a single run, and trim the ledger's files.

    After many appends this makes look-ups as quick as in a ledger that was built at once.
    """
    from geldspur.ledger.build.compact import compact as merge
    from geldspur.ledger.build.memory import parse_size
    from geldspur.ledger.manifests import read_manifest

    read_manifest(ledger)
    report = merge(ledger, parse_size(memory) if memory else None, progress(as_json))
    if as_json:
        show_json(report)
    else:
        say(f"{report.runs_before} look-up run{'s' if report.runs_before != 1 else ''} made into one")
