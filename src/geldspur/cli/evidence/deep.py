"""Commands of `geldspur evidence` about deep: decode whole what no list knows."""

from pathlib import Path
from typing import Annotated

import typer

from geldspur.cli.output import Json, progress, say, show_json
from geldspur.errors import UsageError
from geldspur.wording import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: geldspur evidence deep scan --minutes 60")(deep)


def deep(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The scan directory.")],
    source: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where the source lies now, if it was moved.")
    ] = None,
    every: Annotated[str, typer.Option(metavar="second|frame", help="How densely to sample.")] = "second",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many videos.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, metavar="N", help="Begin none after so many minutes.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Worker processes.")] = None,
    as_json: Json = False,
) -> None:
    """Decode videos that no list knows whole, the most copied first. Kill it at any time; run it again to go on."""
    import os
    from dataclasses import asdict

    from geldspur.evidence.scan.deep import deepen

    if every not in ("second", "frame"):
        raise UsageError(f"--every is 'second' or 'frame', not {every!r}", where="--every", todo="name one of them")
    result = deepen(
        folder, every=every, source_path=source, limit=limit, minutes=minutes,  # type: ignore[arg-type]
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
