"""Commands of `geldspur evidence` about report: what a scan says."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, ScanDir, progress, say, show_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence report scan --out report")(report)


def report(
    folder: ScanDir,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes: a folder outside the source.")],
    mask_names: Annotated[
        bool, typer.Option("--mask-names", help="Print short ids made from digests instead of file names.")
    ] = False,
    no_pdf: Annotated[bool, typer.Option("--no-pdf", help="Leave out report.pdf.")] = False,
    as_json: Json = False,
) -> None:
    """State what was found, read, unique, known to which list by which method, and unknown."""
    from geldspur.evidence.report import write_report

    written = write_report(folder, out, mask_names=mask_names, pdf=not no_pdf, progress=progress(as_json))
    if as_json:
        figures = {figure.name: figure.value for figure in written.figures}
        show_json({"out": str(out), "made_time": written.made_time, "figures": figures, "files": dict(written.files)})
        return
    by_name = {figure.name: figure for figure in written.figures}
    for name in _CHAIN:
        if name in by_name:
            say(by_name[name].sentence)
    say(f"written to {out}" + ("" if no_pdf else f"; read {out / 'report.pdf'} first"))


_CHAIN = (
    "files.found",
    "files.hashed",
    "files.unreadable",
    "files.skipped",
    "contents.unique",
    "videos.unique",
    "images.unique",
    "distinct.groups",
    "contents.identical",
    "contents.near",
    "contents.benign",
    "contents.unknown",
    "videos.unknown",
    "images.unknown",
)
