"""Putting right what a killed build has left half done."""

from pathlib import Path
from typing import Any

from geldspur.ledger.build import append, commit
from geldspur.ledger.build.compact import compact_runs
from geldspur.ledger.columns import read_json
from geldspur.ledger.manifests import counts_of, read_manifest, types_of


def recover(ledger: Path, budget: int) -> None:
    """Take back, or finish, a change of a finished ledger that was stopped in the middle."""
    if not (ledger / "manifest.json").is_file():
        return
    pending = ledger / "pending.json"
    if pending.is_file():
        content = read_json(pending, "the record of an unfinished change")
        if "widen" in content:
            append.finish_widening(ledger, content["widen"])
        elif "compact" in content:
            compact_runs(ledger, budget)
        else:
            _settle(ledger, content)
    append.remove_leftovers(ledger)
    commit.remove_unused_runs(ledger, read_manifest(ledger))


def _settle(ledger: Path, content: dict[str, Any]) -> None:
    """Rows between `keep` and `had` are not the ledger's, or soon won't be: nothing older is spent by them."""
    manifest = read_manifest(ledger)
    counts, keep, had = counts_of(manifest), content["keep"], content["had"]
    columns, types = ledger / "columns", types_of(manifest)
    if counts == had and counts != keep:
        # A rollback was begun (or an append ended but for this file): do all marks of the ledger's own rows again.
        commit.spend_older(columns, types, had, keep)
        commit.mark_gone(columns, types, had, append.from_row(manifest["overwritten"], keep))
    else:
        commit.mark_gone(columns, types, had, append.from_row(content["overwritten"], keep), back=True)
        commit.unspend_older(columns, types, had, keep)
    (ledger / "pending.json").unlink()
