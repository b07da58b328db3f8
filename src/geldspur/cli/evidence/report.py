"""Commands of `geldspur evidence` about report and timeline: what a scan says."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
