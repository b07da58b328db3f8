"""The scan: begins or resumes, hands out work, writes down what comes back, and closes the sum."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geldspur import __version__
from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.custody.seal import seal_after_work
from geldspur.evidence.scan.counts import Counts, count
from geldspur.evidence.scan.run import Run
from geldspur.evidence.scan.walk import Differences, differences, record_walk
from geldspur.evidence.sources import Source, open_source
from geldspur.evidence.sources.mounts import lies_within
from geldspur.evidence.store import ScanStore, new_or_unfinished
from geldspur.progress import SILENT, Progress

TOOL = f"geldspur {__version__}"


@dataclass(frozen=True, slots=True)
class Scanned:
    """The end of a run: `already` where an earlier run had finished, then `since` tells what differs from then."""

    counts: Counts
    already: bool
    warnings: list[str]
    since: Differences | None = None


def scan(
    source_path: Path,
    out: Path,
    *,
    workers: int | None = None,
    fingerprints: bool = True,
    progress: Progress = SILENT,
) -> Scanned:
    """Account for every file of a source in the scan directory `out`; called again, go on where it was left.

    Raises:
        UsageError: source and output lie within each other, or the directory holds a scan of something else.
        GeldspurError: the directory is being written by another process.
    """
    source = open_source(source_path)
    apart(source_path.resolve(), out.resolve())
    with new_or_unfinished(out) as store:
        options = {"fingerprints": fingerprints}
        warnings = _begin(store, source, options)
        if _is_finished(store):
            seal_after_work(store)  # a kill may have come between the end of the scan and its seal
            return Scanned(count(store.db), True, warnings, differences(store, source.walk()))
        with Run(store, source, fingerprints, progress) as run:
            if not store.db.execute("SELECT 1 FROM about WHERE key = 'walked'").fetchone():
                record_walk(store, run.watched(source.walk()), progress)
            run.go(workers or os.cpu_count() or 1)
        counts = _finish(store)
        seal_after_work(store)
        return Scanned(counts, False, warnings)


def apart(source: Path, out: Path) -> None:
    """Refuse a scan directory inside its source, where writing would change the evidence, and the other way round."""
    if lies_within(out, source):
        raise UsageError("the scan directory lies inside the source", where=str(out), todo="name a folder outside it")
    if out in source.parents:
        raise UsageError("the source lies inside the scan directory", where=str(source), todo="name another --out")


def _begin(store: ScanStore, source: Source, options: dict[str, Any]) -> list[str]:
    facts, before = source.describe(), store.about()
    with store.change() as db:
        if "describe" not in before:
            about = {"source": str(facts.get("path", "")), "source_kind": source.kind, "tool": TOOL}
            texts = {"options": json.dumps(options, sort_keys=True), "describe": json.dumps(facts, sort_keys=True)}
            db.executemany("INSERT INTO about VALUES (?, ?)", sorted((about | texts).items()))
            store.log("begun", source=about["source"], source_kind=source.kind, describe=facts, tool=TOOL,
                      options=options)  # fmt: skip
        else:
            _must_agree(store, before, source.kind, facts, options)
            if not _is_finished(store):
                store.log("resumed", tool=TOOL, describe=facts)
    if facts.get("mount_read_only") == 0:
        return ["the source is mounted read-write: mount it read-only, or use a write blocker, where you can"]
    return []


def _must_agree(
    store: ScanStore, before: dict[str, str], kind: str, facts: dict[str, str | int], options: dict[str, Any]
) -> None:
    try:
        was, chosen = json.loads(before["describe"]), json.loads(before["options"])
    except (KeyError, ValueError) as error:
        raise GeldspurError(
            "the scan's record of what it was begun with was changed",
            where=str(store.folder),
            todo="geldspur evidence verify DIR tells what else was; take the scan from a copy, or scan again",
        ) from error
    differing = sorted(
        name for name in was.keys() | facts.keys() if not name.startswith("mount_") and was.get(name) != facts.get(name)
    )
    if kind != before["source_kind"] or differing:
        told = ", ".join(f"{name} was {was.get(name)}, is {facts.get(name)}" for name in differing)
        raise UsageError(
            f"the scan directory holds a scan of another source ({told or before['source_kind']})",
            where=str(store.folder),
            todo="name the source it was begun with, or a new --out",
        )
    if options != chosen:
        raise UsageError(
            f"the scan was begun with other options: {before['options']}",
            where=str(store.folder),
            todo="use the same ones, or a new --out",
        )


def _is_finished(store: ScanStore) -> bool:
    if not store.db.execute("SELECT 1 FROM about WHERE key = 'finished'").fetchone():
        return False
    left = "SELECT 1 FROM content WHERE media = 'pending' LIMIT 1"
    return store.db.execute(left).fetchone() is None


def _finish(store: ScanStore) -> Counts:
    counts = count(store.db)
    if not counts.closes:
        raise GeldspurError(f"the sum does not close: {counts}", where=str(store.folder), todo="report this error")
    with store.change() as db:
        db.execute("INSERT OR IGNORE INTO about VALUES ('finished', 'yes')")
        store.log("finished", counts=asdict(counts))
    return counts
