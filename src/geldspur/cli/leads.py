"""Commands that make and check what goes out: leads, package, verify."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, LedgerDir, note, progress, say, show_json


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: geldspur leads --ledger ledger --site site.csv --out leads")(leads)
    app.command(epilog="Example: geldspur package --ledger ledger --leads leads --out packages")(package)
    app.command(epilog="Example: geldspur verify packages/DE.zip --headers headers.bin")(verify)


def leads(
    ledger: LedgerDir,
    site: Annotated[
        Path,
        typer.Option(metavar="FILE.csv", help="The site's addresses: a column 'address', others are carried along."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the leads go.")],
    exclude: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Payments that investigators made: columns txid and, if known, vout."),
    ] = None,
    trust_ledger: Annotated[
        bool,
        typer.Option(
            "--trust-ledger",
            help="Don't compare the ledger's bytes with their checksums first. The result says so.",
        ),
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave out report.pdf.")] = False,
    as_json: Json = False,
) -> None:
    """Trace every payment to a site back to services, follow the site's money on, and write leads and a report."""
    from geldspur.leads import run_leads
    from geldspur.leads.schema import Band
    from geldspur.ledger import Ledger

    data = run_leads(
        Ledger(ledger), site, out, exclude=exclude, report=not no_report, check_ledger=not trust_ledger,
        progress=progress(as_json),
    )  # fmt: skip
    coverage = data.coverage
    found = Counter(lead.confidence.band for lead in data.leads)
    bands = {band.value: found[band] for band in Band}
    if as_json:
        counts = data.manifest.counts
        show_json({"out": str(out), "counts": counts, "bands": bands, "coverage": coverage.model_dump()})
        return
    say(
        f"{coverage.addresses:,} site addresses: {coverage.paid:,} paid, {coverage.never_seen:,} never seen; "
        f"{len(coverage.malformed):,} malformed, {len(coverage.other_network):,} of another network, "
        f"{len(coverage.duplicate):,} twice"
    )
    for bad in [*coverage.malformed, *coverage.other_network][:20]:
        say(f"  line {bad.line}: {bad.text[:70]!a}: {bad.reason}")
    say(
        f"{len(data.leads):,} payments: "
        + ", ".join(f"{count:,} {band}" for band, count in bands.items())
        + f"; {len(data.not_payments):,} outputs are no payments\n"
        f"{len(data.cashouts):,} cash-outs, {len(data.payouts):,} payouts\n"
        f"written to {out}" + ("" if no_report else f"; read {out / 'report.pdf'} first")
    )
    if missing := data.manifest.counts["exclusions_not_found"]:
        note(f"{missing} excluded payments are not in the ledger: {out / 'exclusions_not_found.txt'}")


def package(
    ledger: LedgerDir,
    leads: Annotated[Path, typer.Option(metavar="DIR", help="A leads directory.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the packages go.")],
    as_json: Json = False,
) -> None:
    """Seal one package a country: its leads, requests, report, and the proof of every cited transaction."""
    from geldspur.leads.packages import current_state
    from geldspur.leads.packages import package as seal
    from geldspur.ledger import Ledger

    opened = Ledger(ledger)
    packages = seal(opened, leads, out, current=current_state(opened), progress=progress(as_json))
    if as_json:
        show_json({"packages": [asdict(info) for info in packages]})
        return
    for info in packages:
        say(
            f"{info.country}  {info.leads:>5,} leads  {info.cashouts:>4,} cash-outs  {info.path}  SHA-256 {info.sha256}"
        )
    if not packages:
        say("no lead is strong or moderate: there is nothing to send")


def verify(
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="A package: the zip file, or the folder it was unpacked to.")
    ],
    headers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Block headers, 80 bytes each, from your own node.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a package with the same file that travels inside it."""
    from geldspur.errors import UsageError
    from geldspur.proof import verifier

    try:
        report = verifier.verify(str(package), str(headers) if headers else None)
    except verifier.WrongUse as error:
        raise UsageError(str(error), todo="see geldspur verify --help") from error
    if as_json:
        show_json(report.as_dict())
    else:
        verifier.print_report(report)
    if not report.verified:
        raise typer.Exit(1)
