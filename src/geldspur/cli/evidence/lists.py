"""Commands of `geldspur evidence` about lists: hash sets in the form that look-ups use."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
