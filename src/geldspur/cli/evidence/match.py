"""Commands of `geldspur evidence` about match: compare a scan with hash sets."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
