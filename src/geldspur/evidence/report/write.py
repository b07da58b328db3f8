"""Writes a report: every file of it, or none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geldspur.evidence.outputs import check_out
from geldspur.evidence.report import tables
from geldspur.evidence.report.case_uco import write_case
from geldspur.evidence.report.document import FORMAT, document, state_of
from geldspur.evidence.report.figures import Figure
from geldspur.evidence.report.lists import listed
from geldspur.evidence.report.numbers import numbers
from geldspur.evidence.report.rows import Rows
from geldspur.evidence.report.vics import write_vics
from geldspur.evidence.report.view import View
from geldspur.evidence.store import ScanStore, open_to_read, open_to_write
from geldspur.leads.report.typeset import to_pdf
from geldspur.ledger.columns import staging
from geldspur.progress import SILENT, Progress
from geldspur.proof import manifest as hashes

MANIFEST = "manifest.json"
TEMPLATE = Path(__file__).parent / "template" / "report.typ"


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written: its figures, and the SHA-256 of each of its files in hexadecimal."""

    folder: Path
    made_time: str
    figures: tuple[Figure, ...]
    files: Mapping[str, str]


def write_report(
    scan: Path, out: Path, *, mask_names: bool = False, pdf: bool = True, progress: Progress = SILENT
) -> Report:
    """Write the report on the scan directory `scan` to the folder `out`, and note its digests in the scan's log.

    The same scan gives the same bytes: the only time told is that of the last record that changed the scan.

    Raises:
        GeldspurError: the numbers do not close, or the report can't be written.
        UsageError: `out` lies in the source or holds something else than a report.
    """
    # Whoever may not note the report in the log learns so before the work; nobody else writes meanwhile.
    with open_to_write(scan) as writer, open_to_read(scan) as store:
        check_out(out, scan, store.about(), what="report", format=FORMAT)
        with staging(out) as work:
            work.chmod(0o700)
            report = _write_files(store, work, out, mask_names, pdf, progress)
            for path in work.iterdir():
                path.chmod(0o600)
        with writer.change():
            writer.log("report", files=dict(report.files), masked=mask_names)
    return report


def _write_files(store: ScanStore, work: Path, out: Path, masked: bool, pdf: bool, progress: Progress) -> Report:
    steps = 9 if pdf else 8
    with progress.task("report", steps, "files") as task:
        figures, lists, state = numbers(store), listed(store.db), state_of(store)
        by_id, by_name = {one.id: one for one in lists}, {figure.name: figure for figure in figures}
        about = store.about()
        rows = Rows(store.db, masked, compared=bool(lists))
        rows.prepare()
        content = document(store, state, figures, lists, masked)
        _write_text(work / "report.json", json.dumps(content, ensure_ascii=True, indent=1) + "\n")
        task.advance(1)
        tables.write_numbers(work / "numbers.csv", figures)
        task.advance(1)
        tables.write_files(work / "files.csv", rows)
        task.advance(1)
        tables.write_hits(work / "hits.csv", rows, by_id)
        task.advance(1)
        tables.write_unreadable(work / "unreadable.csv", rows)
        tables.write_lists(work / "lists.csv", lists, by_name)
        task.advance(2)
        write_vics(work / "vics.json", rows, by_id, state, about.get("tool", ""))
        task.advance(1)
        cited = {name: hashes.digest_file(work, name).sha256 for name in ("files.csv", "hits.csv", "report.json")}
        write_case(work / "case-uco.jsonld", rows, by_id, state, about, cited)
        task.advance(1)
        if pdf:
            cited = {path.name: hashes.digest_file(work, path.name).sha256 for path in work.iterdir()}
            (work / "report.pdf").write_bytes(to_pdf(View(content, figures, by_id, rows).build(cited), TEMPLATE))
            task.advance(1)
        entries = [hashes.digest_file(work, path.name) for path in sorted(work.iterdir())]
        fields = {"format": FORMAT, "made_time": state.made_time, "log_seq": state.log_seq, "log_hash": state.log_hash}
        (work / MANIFEST).write_bytes(hashes.build(fields, entries))
    files = {entry.path: entry.sha256 for entry in entries}
    files[MANIFEST] = hashes.digest_file(work, MANIFEST).sha256
    return Report(out, state.made_time, tuple(figures), files)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii", newline="")
