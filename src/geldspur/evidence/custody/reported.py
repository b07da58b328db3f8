"""Check a report against the scan that it says it tells of."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from geldspur.evidence.custody.checks import Check, events, judged
from geldspur.evidence.report.figures import Figure
from geldspur.evidence.report.numbers import recheck
from geldspur.evidence.store import ScanStore
from geldspur.proof import manifest
from geldspur.wording import counted

_MANIFEST, _REPORT = "manifest.json", "report.json"


def check_report(db: sqlite3.Connection, folder: Path, report: Path) -> Check:
    """Its files are as its manifest lists and as the log recorded them, and each figure's query gives the figure."""
    raw = (report / _MANIFEST).read_bytes()
    _, entries = manifest.read(raw)
    files = {entry.path: entry.sha256 for entry in entries} | {_MANIFEST: manifest.digest(_MANIFEST, raw).sha256}
    figures = [Figure(**figure) for figure in json.loads((report / _REPORT).read_bytes())["figures"]]

    def problems() -> Iterator[str]:
        logged = (record for _, record in events(db, newest_first=True) if record.get("kind") == "report")
        if not any(record["files"] == files for record in logged):
            yield "no record of the log tells of a report with these files"
        for entry in entries:
            if "/" in entry.path:
                yield f"its manifest lists a path outside it: {entry.path!a}"
            elif not (report / entry.path).is_file():
                yield f"{entry.path} is missing"
            elif manifest.digest_file(report, entry.path) != entry:
                yield f"{entry.path} was changed"
        for difference in recheck(ScanStore(folder, db), figures):
            yield f"{difference.name}: {difference.why}"

    return judged(
        "report",
        problems(),
        f"{counted(len(files), 'file')} as logged; the queries of {counted(len(figures), 'figure')} agree",
    )
