"""Commands of `geldspur evidence` about verify: is it still what was scanned."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
