"""Commands of `geldspur evidence` about match: compare a scan with hash sets."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geldspur.cli.evidence.lists import ListFormat, ListKind
from geldspur.cli.output import Json, ScanDir, progress, say, show_json
from geldspur.wording import LIST_KINDS, counted

if TYPE_CHECKING:
    from geldspur.evidence.lists import HashList
    from geldspur.evidence.matching.compare import ListResult, MatchReport, MethodResult
    from geldspur.progress import Progress


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: geldspur evidence match scan --list vics.json --list lists/nsrl")(match)


def match(
    folder: ScanDir,
    lists: Annotated[
        list[Path],
        typer.Option(
            "--list", metavar="FILE_OR_DIR", help="A list's file, or one that `evidence lists make` compiled."
        ),
    ],
    kind: ListKind = None,
    format: ListFormat = None,
    no_error: Annotated[
        bool, typer.Option("--no-error", help="Don't measure chance matches and misses with made lists and clips.")
    ] = False,
    measure_again: Annotated[
        bool, typer.Option("--measure-again", help="Measure misses on made clips even if this installation did before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare a scan with hash lists, exactly and nearly; cluster what looks alike; measure the methods' error."""
    from geldspur.evidence.custody.seal import seal_after_work
    from geldspur.evidence.matching.compare import match as compare
    from geldspur.evidence.store import open_to_write

    shown = progress(as_json)
    with open_to_write(folder) as store:
        opened = [_opened(folder, path, kind, format, shown) for path in lists]
        report = compare(store, opened, errors=not no_error, measure_again=measure_again, progress=shown)
        seal_after_work(store)
    if as_json:
        show_json(report)
    else:
        _show(report)


def _opened(folder: Path, path: Path, kind: ListKind, format: str | None, shown: "Progress") -> "HashList":
    """A compiled list, or the list of a file, compiled into the scan directory unless it is there already."""
    import shutil

    from geldspur.evidence.lists import make_list, open_list
    from geldspur.evidence.lists.listfile import ListFile

    if path.is_dir():
        return open_list(path)
    out = folder / "lists" / ListFile(path, shown).digest().hex()
    if out.is_dir():
        found = open_list(out)
        if kind in (None, found.kind) and format in (None, found.format) and found.file_name == path.name:
            return found
        shutil.rmtree(out)
    return make_list(path, out, kind=kind, format=format, progress=shown)


def _show(report: "MatchReport") -> None:
    say(f"{counted(report.compared, 'content')} compared by digest, {report.searched:,} by the pictures in them")
    for result in report.lists:
        _show_list(result)
    say(f"visually distinct: {report.distinct:,} of the {counted(report.searched, 'content')} with searchable pictures")
    _show_errors(report)


def _show_list(result: "ListResult") -> None:
    entries = counted(result.entries, "entry", "entries")
    say(f"\n{result.name} ({LIST_KINDS[result.kind]}, {entries}, sha256 {result.sha256})")
    for found in result.methods:
        if found.entries:
            say(f"  {_told(found)}")
    if missing := [found.method for found in result.methods if not found.entries]:
        say(f"  the list holds no {', '.join(missing)}: nothing could be found by them")
    if result.unmatchable:
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(result.unmatchable.items()))
        say(f"  entries that can't be compared here: {kinds}")
    for note in result.notes:
        say(f"  note: {note}")
    if result.not_pertinent:
        say(f"  of these contents, matched only by entries that the list calls non-pertinent: {result.not_pertinent:,}")
    if not result.contents:
        say("  nothing in the scan matched this list")


def _told(found: "MethodResult") -> str:
    what = "near" if found.method == "pdq" else "identical"
    line = f"{found.method}: {counted(found.contents, 'content')} {what}, in {_pairs(found.hits)} of content and entry"
    if found.least_distance is not None:
        line += f"; least distance {found.least_distance} bits"
    if found.weak:
        line += f"; {found.weak:,} of them weakly, by frames of quality 50 to 59 only"
    if found.not_recorded:
        line += f"; {_pairs(found.not_recorded)} counted and not recorded"
    return line


def _pairs(count: int) -> str:
    return counted(count, "pair")


def _show_errors(report: "MatchReport") -> None:
    from geldspur.evidence.matching.error import interval

    if not report.errors:
        say("\nerror of the methods: not measured now")
        return
    say("\nmeasured error (wrong of tried, 95 % interval)")
    plain = Counter(trial.method for trial in report.errors if trial.wrong == trial.tried)
    for trial in report.errors:
        if trial.method != "pdq" and trial.trial != "spike: unchanged":
            continue
        low, high = interval(trial.wrong, trial.tried)
        what = (
            "comparisons of a content with unrelated hashes matched by chance"
            if trial.trial == "decoy"
            else f"clips missed, {trial.trial[7:]}"
        )
        say(f"  {trial.method}: {trial.wrong:,} of {trial.tried:,} {what} ({low:.2%} to {high:.2%})")
    for method in ("md5", "sha1", "sha256"):
        if plain[method]:
            say(f"  {method}: every edit is missed ({plain[method]} kinds of edit tried)")
