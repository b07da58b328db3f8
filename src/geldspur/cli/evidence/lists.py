"""Commands of `geldspur evidence` about lists: hash sets in the form that look-ups use."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from geldspur.cli.output import Json, progress, say, show_json
from geldspur.wording import LIST_KINDS, counted

if TYPE_CHECKING:
    from geldspur.evidence.lists import HashList

app = typer.Typer(
    help="Hash sets in the form that look-ups use.",
    epilog="Example: geldspur evidence lists make vics.json --out lists/vics",
    no_args_is_help=True,
)
ListDir = Annotated[Path, typer.Argument(metavar="DIR", help="A compiled list.")]
ListFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Read the file as vics, caid, ncmec, threatexchange, vpdq, nsrl, plain or pdq; else its content tells.",
    ),
]
ListKind = Annotated[
    Literal["material", "benign"] | None,
    typer.Option("--kind", help="What the file lists: reported material, or known harmless files."),
]
_MOST_CATEGORIES = 20


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.add_typer(app, name="lists")


@app.command(epilog="Example: geldspur evidence lists make vics.json --out lists/vics")
def make(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="VICS, CAID, NCMEC, ThreatExchange, vPDQ, NSRL, plain.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the compiled list.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What reports call the list; else the file's name.")
    ] = None,
    format: ListFormat = None,
    kind: ListKind = None,
    scheme: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose category numbers these are, such as US or UK.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compile a hash list; what could not be read is counted, and the first of it named."""
    from geldspur.evidence.lists import make_list

    _show(make_list(file, out, name=name, format=format, kind=kind, scheme=scheme, progress=progress(as_json)), as_json)


@app.command(epilog="Example: geldspur evidence lists show lists/vics")
def show(folder: ListDir, as_json: Json = False) -> None:
    """Print what a compiled list is and holds."""
    from geldspur.evidence.lists import open_list

    _show(open_list(folder), as_json)


@app.command(epilog="Example: geldspur evidence lists check lists/vics")
def check(folder: ListDir, as_json: Json = False) -> None:
    """Read a compiled list as a whole: is it what was written, and in order?"""
    from geldspur.evidence.lists import open_list

    found = open_list(folder)
    found.verify(progress(as_json))
    if as_json:
        show_json({"list": found.name, "sound": True})
    else:
        say(f"{found.name}: sound, {counted(found.entries, 'entry', 'entries')}")


def _show(found: "HashList", as_json: bool) -> None:
    if as_json:
        show_json(_facts(found))
        return
    say(f"{found.name}: {found.format}, {counted(found.entries, 'entry', 'entries')}, {LIST_KINDS[found.kind]}")
    say(f"file      {found.file_name}, SHA-256 {found.sha256.hex()}")
    said = [f"version {found.version}" if found.version else "", f"made {found.made}" if found.made else ""]
    said += [f"categories by the scheme {found.scheme}" if found.scheme else ""]
    say(f"it says   {', '.join(filter(None, said)) or 'neither version, nor date, nor whose categories'}")
    say(f"digests   {', '.join(f'{count:,} {kind}' for kind, count in found.counts.items())}")
    for names, count in found.unmatchable.items():
        say(f"          {counted(count, 'entry', 'entries')} can't be compared here: {names} only")
    for why, count in found.excluded.items():
        say(f"left out  {counted(count, 'digest')}: {why}")
    if found.deleted:
        say(f"withdrawn {counted(found.deleted, 'record')}, by the list itself")
    _show_categories(found)
    for note in found.notes:
        say(f"note      {note}")
    if found.rejected or found.flaws:
        say(f"unread    {counted(found.rejected, 'record')} rejected, {counted(found.flaws, 'field')} of others")
        for reason in found.reasons:
            say(f"          {reason}")


def _show_categories(found: "HashList") -> None:
    for category, count in list(found.categories.items())[:_MOST_CATEGORIES]:
        say(f"category  {category}: {counted(count, 'entry', 'entries')}")
    if len(found.categories) > _MOST_CATEGORIES:
        say(f"          and {len(found.categories) - _MOST_CATEGORIES:,} more; --json lists all")


def _facts(found: "HashList") -> dict[str, Any]:
    facts = {field.name: getattr(found, field.name) for field in fields(found) if not field.name.startswith("_")}
    return {**facts, "folder": str(found.folder), "sha256": found.sha256.hex()}
