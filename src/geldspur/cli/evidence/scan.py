"""Commands of `geldspur evidence` about scan and status: what is there, and its digests and fingerprints."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geldspur.cli.output import Json, ScanDir, note, progress, say, show_json, tell_first_use
from geldspur.wording import counted

if TYPE_CHECKING:
    from geldspur.evidence.scan.counts import Counts

_SHOWN = 20  # names of changed entries in text; --json has all


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence scan /mnt/exhibit3 --out exhibit3-scan")(scan)
    app.command(epilog="Example: geldspur evidence status exhibit3-scan")(status)


def scan(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, a mounted drive or a disk image.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The scan directory, outside the source.")],
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Worker processes; default: one a core.")
    ] = None,
    fingerprints: Annotated[
        bool, typer.Option("--fingerprints/--no-fingerprints", help="Fingerprint images and videos too.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Account for every file of a source: read-only, once, resumable after a kill by the same command."""
    from geldspur.evidence.scan.pipeline import scan as run
    from geldspur.evidence.scan.ready import is_ready

    tell_first_use(not fingerprints or is_ready(), "some seconds")
    result = run(source, out, workers=workers, fingerprints=fingerprints, progress=progress(as_json))
    if as_json:
        show_json(_as_json(out, result.warnings) | {"already": result.already} | _since(result.since))
    else:
        for warning in result.warnings:
            note(warning)
        _say_status(out)
        _say_since(result.since)
    if result.since is not None and (result.since.changed or result.since.gone):
        raise typer.Exit(1)


def status(folder: ScanDir, as_json: Json = False) -> None:
    """What a scan has counted so far, and whether it is finished."""
    if as_json:
        show_json(_as_json(folder, []))
    else:
        _say_status(folder)


def _read(folder: Path) -> tuple[dict[str, str], "Counts", tuple[int, bytes]]:
    from geldspur.evidence.scan.counts import count
    from geldspur.evidence.store import open_to_read

    with open_to_read(folder) as store:
        return store.about(), count(store.db), store.head


def _as_json(folder: Path, warnings: list[str]) -> dict[str, Any]:
    about, counts, (records, head) = _read(folder)
    return {
        "source": about.get("source"),
        "source_kind": about.get("source_kind"),
        "finished": "finished" in about,
        **asdict(counts),
        "closes": counts.closes,
        "log": {"records": records, "head": head.hex()},
        "warnings": warnings,
    }


def _since(since: Any) -> dict[str, Any]:
    from geldspur.evidence.names import for_json

    if since is None:
        return {}
    return {"since": {"changed": [for_json(path) for path in since.changed], "gone": since.gone}}


def _say_status(folder: Path) -> None:
    about, counts, (records, head) = _read(folder)
    unreadable, skipped = sum(counts.unreadable.values()), sum(counts.skipped.values())
    say(f"source        {about.get('source')} ({about.get('source_kind')})")
    on_source = counted(counts.size, "byte") + (" outside archives" if counts.members else "")
    say(
        f"found         {counted(counts.found, 'file')}, {on_source}, in "
        f"{counted(counts.directories, 'directory', 'directories')}"
    )
    say(f"  hashed      {counts.hashed:,}")
    say(f"  unreadable  {unreadable:,}{_reasons(counts.unreadable)}")
    say(f"  skipped     {skipped:,}{_reasons(counts.skipped)}")
    if counts.not_read:
        say(f"  not yet     {counts.not_read:,}")
    verdict = "the sum closes" if counts.closes else "unfinished: run the same scan again"
    say(f"sum           {counts.hashed:,} + {unreadable:,} + {skipped:,} = "
        f"{counts.hashed + unreadable + skipped:,}; {verdict}")  # fmt: skip
    for count, words in (
        (counts.hard_links, "further names of a file (hard links)"),
        (counts.empty, "empty"),
        (counts.sparse, "sparse"),
        (counts.deleted, "deleted: their place may hold another file's bytes by now"),
        (counts.members, f"members of archives, which claim {counted(counts.claimed_size, 'byte')} for them"),
        (counts.directories_unreadable, "directories that could not be listed: what lies in them was not found"),
        (counts.directories_skipped, "directories not entered: the kernel's own file systems, or nested too deep"),
    ):
        if count:
            say(f"              {count:,} {words}")
    say(f"contents      {counts.contents:,} distinct, {counted(counts.content_size, 'byte')}")
    if counts.contents:
        say("fingerprints  " + ", ".join(f"{number:,} {media}" for media, number in counts.media.items()))
    if counts.archives:
        say("archives      " + ", ".join(f"{number:,} {state}" for state, number in counts.archives.items()))
    say(f"log           {counted(records, 'record')}, head {head.hex()}")


def _reasons(counts: dict[str, int]) -> str:
    return " (" + ", ".join(f"{number:,} {reason}" for reason, number in counts.items()) + ")" if counts else ""


def _say_since(since: Any) -> None:
    from geldspur.evidence.names import shown

    if since is None:
        return
    if not since.changed and not since.gone:
        say("unchanged     finished before; no name, size, inode or time of content differs since")
        return
    changed = counted(len(since.changed), "name")
    say(f"CHANGED       finished before; {changed} new or different now, {since.gone:,} gone")
    for path in since.changed[:_SHOWN]:
        say(f"              {shown(path)}")
