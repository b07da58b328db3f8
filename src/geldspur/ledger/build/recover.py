"""Putting right what a killed build has left half done."""

import shutil
from pathlib import Path
from typing import Any

from geldspur.ledger import manifests
from geldspur.ledger.build import append, commit
from geldspur.ledger.build.compact import trim
from geldspur.ledger.build.partsums import remove_unused
from geldspur.ledger.build.source_record import restore_record
from geldspur.ledger.columns import read_json
from geldspur.ledger.manifests import counts_of, read_manifest, types_of


def recover(ledger: Path) -> None:
    """Take back, or finish, a change of a finished ledger that was stopped in the middle."""
    if not (ledger / "manifest.json").is_file():
        if not (ledger / manifests.BEFORE).is_file():
            return
        _settle(ledger)
    read_manifest(ledger)  # refuses what is not ours, or of another version, before anything is removed
    # With the manifest in place the change was not begun, or all of it was done.
    commit.end_change(ledger)
    shutil.rmtree(ledger / "build", ignore_errors=True)
    manifests.unmark(ledger)
    append.remove_leftovers(ledger)
    restore_record(ledger)
    commit.remove_unused_runs(ledger, read_manifest(ledger))
    remove_unused(ledger, read_manifest(ledger))


def _settle(ledger: Path) -> None:
    change = read_json(ledger / "pending.json", "the record of an unfinished change")
    manifest = read_json(ledger / manifests.BEFORE, "the ledger's manifest")
    if "widen" in change:
        append.finish_widening(ledger, manifest, change["widen"])
    elif "trim" in change:
        trim(ledger, manifest)
    else:
        _take_back(ledger, manifest, change)
        (ledger / manifests.BEFORE).rename(ledger / "manifest.json")


def _take_back(ledger: Path, manifest: dict[str, Any], change: dict[str, Any]) -> None:
    columns, counts, types = ledger / "columns", counts_of(manifest), types_of(manifest)
    if "back_to" in change:
        commit.spend_older(columns, types, counts, change["back_to"])
        commit.mark_gone(columns, types, counts, append.from_row(manifest["overwritten"], change["back_to"]))
    else:
        commit.mark_gone(columns, types, change["on_to"], change["overwritten"], back=True)
        commit.unspend_older(columns, types, change["on_to"], counts)
    commit.sync(columns / "out_spender.bin")
