"""Opening look-up runs."""

from pathlib import Path
from typing import Any

from geldspur.ledger.columns import open_column
from geldspur.ledger.lookup.runs import Run


def open_run(ledger: Path, entry: dict[str, Any]) -> Run:
    """Map the run that a manifest's entry names."""
    folder = ledger / "lookup" / entry["name"]
    column: dict[str, Any] = {name: open_column(folder, name, e, single=True) for name, e in entry["columns"].items()}
    return Run(
        entry["name"], (entry["key"][0], entry["key"][1]), tuple(entry["txs"]), tuple(entry["scripts"]),
        tuple(entry["outs"]), out_scripts=column.pop("out_scripts", None),
        cut=entry.get("cut", False), read_ahead=True, **column,
    )  # fmt: skip
