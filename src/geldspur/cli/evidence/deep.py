"""Commands of `geldspur evidence` about deep: decode whole what no list knows."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from geldspur.cli.output import Json, ScanDir, progress, say, show_json
from geldspur.wording import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: geldspur evidence deep scan --minutes 60")(deep)


def deep(
    folder: ScanDir,
    source: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where the source lies now, if it was moved.")
    ] = None,
    every: Annotated[Literal["second", "frame"], typer.Option(help="How densely to sample.")] = "second",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many videos.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, metavar="N", help="Begin none after so many minutes.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Worker processes; default: one a core.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decode videos that no list knows whole, the most copied first. Kill it at any time; run it again to go on."""
    import os
    from dataclasses import asdict

    from geldspur.evidence.scan.deep import deepen

    result = deepen(
        folder, every=every, source_path=source, limit=limit, minutes=minutes,
        workers=workers or os.cpu_count() or 1, progress=progress(as_json),
    )  # fmt: skip
    if as_json:
        show_json(asdict(result))
        return
    kept = f"{counted(result.frames, 'frame')} kept"
    say(f"decoded       {counted(result.done, 'video')} whole ({kept}); {result.failed:,} failed")
    say(f"left          {counted(result.left, 'video')} that no list knows, not decoded so")
    if result.done:
        say(f"next          geldspur evidence match {folder} --list … compares the new frames too")
