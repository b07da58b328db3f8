"""Opening a ledger's columns and look-ups, as they are or compared with checksums as they are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError
from geldspur.ledger import manifests
from geldspur.ledger.checked import Checked
from geldspur.ledger.columns import open_column
from geldspur.ledger.layout import SPENDER
from geldspur.ledger.lookup.open import open_checked_run, open_run
from geldspur.ledger.lookup.runs import Run
from geldspur.ledger.parts import PART, Parts, SpenderParts, read_column_sums


@dataclass(frozen=True, slots=True)
class Opened:
    """One state of a ledger that may be growing meanwhile."""

    manifest: dict[str, Any]
    columns: dict[str, Any]
    runs: list[Run]
    checked: bool


def open_ledger(folder: Path, for_look_ups: bool, checked: bool) -> Opened:
    """Open a finished ledger; see `store.Ledger`."""
    manifest = manifests.read_manifest(folder)
    while True:
        try:
            opened = (_open_checked(folder, manifest) if checked else None) or _open_plain(
                folder, manifest, for_look_ups
            )
        except GeldspurError:
            # An append that has just ended removes the runs that it merged: its manifest names those that there are.
            now = manifests.read_manifest(folder)
            if now == manifest:
                raise
            manifest = now
            continue
        if opened.checked or not checked or (now := manifests.read_manifest(folder)) == manifest:
            return opened
        manifest = now


def _open_plain(folder: Path, manifest: dict[str, Any], for_look_ups: bool) -> Opened:
    columns = {n: open_column(folder / "columns", n, e, for_look_ups) for n, e in manifest["columns"].items()}
    return Opened(manifest, columns, [open_run(folder, entry) for entry in manifest["runs"]], False)


def _open_checked(folder: Path, manifest: dict[str, Any]) -> Opened | None:
    """None where checksums of parts are missing."""
    columns = _checked_columns(folder, manifest)
    runs = [open_checked_run(folder, entry) for entry in manifest["runs"]]
    if columns is None or None in runs:
        return None
    return Opened(manifest, columns, [run for run in runs if run is not None], True)


def _checked_columns(folder: Path, manifest: dict[str, Any]) -> dict[str, Checked] | None:
    sums = read_column_sums(folder, manifest)
    if sums is None:
        return None
    todo = f"geldspur doctor --ledger {folder} tells what is damaged; where it is a column, index again"
    columns = {}
    for name, entry in manifest["columns"].items():
        array, path = open_column(folder / "columns", name, entry, single=True), folder / "columns" / f"{name}.bin"
        if name == SPENDER.name:
            parts: Parts = SpenderParts(array, path, sums[name], manifest["counts"]["inputs"], todo)
        else:
            parts = Parts(array, path, sums[name], PART, todo)
        columns[name] = Checked(array, parts)
    return columns
