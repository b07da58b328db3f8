"""Where each block lies in its source: kept apart under `source/`, for the raw transactions of proofs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.ledger.columns import open_column, read_json, staging, write_column, write_json
from geldspur.ledger.sources import Chain, Source


def record_source(ledger: Path, source: Source, chain: Chain, first_row: int) -> None:
    """Note where the blocks of `chain` lie, as the ledger's block rows from `first_row` on."""
    folder = ledger / "source"
    sources: list[dict[str, Any]] = []
    files, offsets = np.empty(0, np.uint32), np.empty(0, np.int64)
    if first_row:
        content = read_json(folder / "source.json", "the ledger's record of its source")
        sources = [entry for entry in content["sources"] if entry["first_row"] < first_row]
        files = open_column(folder, "block_file", content["columns"]["block_file"])[:first_row]
        offsets = open_column(folder, "block_offset", content["columns"]["block_offset"])[:first_row]
    described = source.describe()
    if sources and _continues(sources[-1]["source"], described):
        sources[-1]["source"] = described
    else:
        sources.append({"first_row": first_row, "source": described})
    with staging(folder) as work:
        entries = {
            "block_file": write_column(work, "block_file", np.append(files, chain.file).astype("<u4")),
            "block_offset": write_column(work, "block_offset", np.append(offsets, chain.offset).astype("<i8")),
        }
        write_json(work / "source.json", {"sources": sources, "columns": entries})


def restore_record(ledger: Path) -> None:
    """Put back the record that a killed build had moved aside; the blocks that it added are not the ledger's."""
    folder = ledger / "source"
    old, partial = (ledger / f".source.{end}" for end in ("old", "partial"))
    if old.is_dir() and not folder.is_dir():
        old.rename(folder)
    for leftover in (old, partial):
        shutil.rmtree(leftover, ignore_errors=True)


def _continues(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Does the newer description number everything as the older one did?"""
    if old.get("kind") != new.get("kind"):
        return False
    if "files" in old:
        return bool(new["files"][: len(old["files"])] == old["files"])
    return old == new
