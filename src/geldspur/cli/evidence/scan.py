"""Commands of `geldspur evidence` about scan and deep: what is there, and its fingerprints."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
