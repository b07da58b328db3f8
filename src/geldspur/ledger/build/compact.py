"""Making one look-up run of many: the bytes are then those of a fresh build."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from geldspur.ledger.build import commit
from geldspur.ledger.build.memory import budget_of
from geldspur.ledger.layout import COLUMNS, PRIMARY, SPENDER
from geldspur.ledger.manifests import counts_of, read_manifest, replace_json, types_of, writing
from geldspur.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class CompactReport:
    """How many look-up runs there were before."""

    runs_before: int


def compact(ledger: Path, memory: int | None = None, progress: Progress = SILENT) -> CompactReport:
    """Merge a ledger's look-up runs into one and trim its files."""
    from geldspur.ledger.build.recover import recover

    budget = budget_of(memory, None).tables
    with writing(ledger), progress.task("Compacting", None, "columns"):
        recover(ledger, budget)
        runs = len(read_manifest(ledger)["runs"])
        compact_runs(ledger, budget)
    return CompactReport(runs)


def compact_runs(ledger: Path, budget: int) -> None:
    """The work itself; stopped anywhere it is done again from the start."""
    manifest = read_manifest(ledger)
    counts, types = counts_of(manifest), types_of(manifest)
    replace_json(ledger / "pending.json", {"compact": True})
    columns = ledger / "columns"
    for name in manifest["columns"]:
        shape = commit.shape_of(COLUMNS[name], counts)
        size = commit.bytes_of(types[name], shape)
        if (columns / f"{name}.bin").stat().st_size > size:
            with (columns / f"{name}.bin").open("r+b") as file:
                file.truncate(size)
    settled = commit.settle_types(columns, counts, (*PRIMARY, SPENDER))
    first, tip_height = manifest["heights"]
    if settled != types:
        types = settled
        sums = commit.checksums(columns, types, counts, first, {}, 0)
        for name, entry in manifest["columns"].items():
            entry["dtype"] = types[name]
            if name in sums:
                entry["xxh3_128"] = sums[name]
    tip = bytes.fromhex(manifest["tip_hash"])[::-1]
    start = dict.fromkeys(counts, 0)
    run = commit.run_of_range(ledger, types, counts, start, (first, tip_height), tip, budget)
    manifest["runs"] = [run]
    replace_json(ledger / "manifest.json", manifest)
    shutil.rmtree(ledger / "build", ignore_errors=True)
    (ledger / "pending.json").unlink()
    commit.remove_unused_runs(ledger, manifest)
