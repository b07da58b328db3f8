"""Making one look-up run of many: the bytes are then those of a fresh build."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geldspur.ledger.build import commit
from geldspur.ledger.build.memory import budget_of
from geldspur.ledger.build.partsums import ensure, remove_unused
from geldspur.ledger.layout import COLUMNS, PRIMARY, SPENDER
from geldspur.ledger.manifests import counts_of, read_manifest, replace_json, types_of, writing
from geldspur.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class CompactReport:
    """How many look-up runs there were before."""

    runs_before: int


def compact(ledger: Path, memory: int | None = None, progress: Progress = SILENT) -> CompactReport:
    """Merge a ledger's look-up runs into one, trim its files, and make checksums of parts where there are none."""
    from geldspur.ledger.build.recover import recover

    budget = budget_of(memory, None).tables
    with writing(ledger), commit.clear_errors(ledger), progress.task("Compacting", None, "columns"):
        recover(ledger)
        runs = len(read_manifest(ledger)["runs"])
        trim(ledger, read_manifest(ledger))
        _merge_runs(ledger, budget)
        ensure(ledger, read_manifest(ledger))
        remove_unused(ledger, read_manifest(ledger))
    return CompactReport(runs)


def trim(ledger: Path, manifest: dict[str, Any]) -> None:
    """Cut the columns to their rows, and make them as narrow as those allow; may be done twice."""
    counts, types = counts_of(manifest), types_of(manifest)
    columns = ledger / "columns"
    for name in manifest["columns"]:
        shape = commit.shape_of(COLUMNS[name], counts)
        size = commit.bytes_of(types[name], shape)
        if (columns / f"{name}.bin").stat().st_size > size:
            with (columns / f"{name}.bin").open("r+b") as file:
                file.truncate(size)
    wanted = {c.name: c.dtype_for(counts[c.points_at] if c.points_at else 0).str for c in (*PRIMARY, SPENDER)}
    if wanted == types:
        return
    if (ledger / "manifest.json").is_file():
        commit.refuse_damaged(ledger, manifest)
        commit.begin_change(ledger, {"trim": True})
    commit.settle_types(columns, counts, (*PRIMARY, SPENDER))
    sums = commit.checksums(columns, wanted, counts, manifest["heights"][0], {}, 0)
    for name, entry in manifest["columns"].items():
        entry["dtype"] = wanted[name]
        if name in sums:
            entry["xxh3_128"] = sums[name]
    commit.end_change(ledger, manifest)


def _merge_runs(ledger: Path, budget: int) -> None:
    manifest = read_manifest(ledger)
    counts, types = counts_of(manifest), types_of(manifest)
    first, tip_height = manifest["heights"]
    tip = bytes.fromhex(manifest["tip_hash"])[::-1]
    start = dict.fromkeys(counts, 0)
    run = commit.run_of_range(ledger, types, counts, start, (first, tip_height), tip, budget)
    manifest["runs"] = [run]
    replace_json(ledger / "manifest.json", manifest)
    commit.remove_unused_runs(ledger, manifest)
