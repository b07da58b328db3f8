"""Commands of `geldspur evidence` about timeline: files and payments on one axis."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, ScanDir, say, show_json
from geldspur.wording import counted


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence timeline scan --leads leads --out timeline")(timeline)


def timeline(
    folder: ScanDir,
    leads: Annotated[Path, typer.Option(metavar="DIR", help="A leads directory.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where table and picture go.")],
    first: Annotated[
        datetime | None,
        typer.Option("--from", metavar="DATE", formats=["%Y-%m-%d"], help="Begin of the picture (UTC)."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", metavar="DATE", formats=["%Y-%m-%d"], help="End of the picture (UTC).")
    ] = None,
    mask_names: Annotated[
        bool, typer.Option("--mask-names", help="Print short ids made from digests instead of file names.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Lay the files' first-seen times beside a site's payments: one table, one picture. It shows no link."""
    from geldspur.evidence.timeline import write_timeline
    from geldspur.evidence.timeline.picture import LINK, counted_events

    made = write_timeline(folder, leads, out, first=first, last=last, mask_names=mask_names)
    if as_json:
        show_json({"out": str(out), "counts": made.counts, "implausible_times": made.implausible,
                   "files_without_time": made.timeless, "empty_files": made.empty})  # fmt: skip
        return
    say(", ".join(counted_events(what, number) for what, number in made.counts.items()))
    times, files = counted(made.implausible, "recorded time"), counted(made.timeless, "file")
    say(f"{times} can't be true, {files} without a usable time")
    say(f"written to {out}: timeline.csv, timeline.svg, implausible.csv\n{LINK}")
