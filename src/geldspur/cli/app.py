"""The `geldspur` program: its commands, and how errors end it."""

import gc
import json
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from geldspur import __version__
from geldspur.cli import cases, evidence, exports, keys, leads, ledger, simulate, store, tags, wallets
from geldspur.cli.output import console_err, printable
from geldspur.errors import GeldspurError

app = typer.Typer(
    name="geldspur",
    help="Follow Bitcoin payments: from a site's addresses back to the services where the money was withdrawn, "
    "and forward to where it was paid out. Offline, on one machine, every step checkable.",
    epilog="Start with: geldspur demo --out demo",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help needs no import of rich and its Markdown, which take longer than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"geldspur {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


ledger.register(app)
store.register(app)
exports.register(app)
app.add_typer(tags.app, name="tags")
app.add_typer(wallets.app, name="wallets")
leads.register(app)
cases.register(app)
app.add_typer(evidence.app, name="evidence")
app.add_typer(keys.app, name="keys")
app.add_typer(simulate.app, name="simulate")


_INTERRUPTED = 130
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Most objects of a command are its modules, which stay: to look through them while they load costs a twentieth."""


def main() -> None:
    """Run the program; a known error ends it with one clear message and its exit code."""
    if isinstance(sys.stdout, TextIOWrapper):  # a path that is no UTF-8 ends no command, and leaves its JSON valid
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        app()
    except GeldspurError as error:
        _report(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != _INTERRUPTED:  # typer makes one of Ctrl-C, and says nothing
            raise
        console_err.print("stopped; nothing half-written was left behind, and the same command goes on or starts anew")
        sys.exit(_INTERRUPTED)
    except MemoryError:
        _report(GeldspurError("out of memory", todo="close other programs, or use a machine with more memory"))
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        where = str(error.filename) if error.filename else None
        todo = "check the path, and whether you may read and write there" if where else None
        _report(GeldspurError(f"{error.strerror or error}", where=where, todo=todo))
        sys.exit(1)


def _report(error: GeldspurError) -> None:
    if "--json" in sys.argv:
        print(json.dumps(error.as_dict()))
        return
    from rich.markup import escape

    console_err.print(f"[bold red]error:[/] {escape(printable(error.what))}", soft_wrap=True)
    for label, text in (("where", error.where), ("to do", error.todo)):
        if text:
            console_err.print(f"  [bold]{label}:[/] {escape(printable(text))}", soft_wrap=True)
