"""Writes a timeline: table, picture, and what was kept off them; every file or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.custody.checks import events as records
from geldspur.evidence.custody.checks import untouched
from geldspur.evidence.outputs import check_out
from geldspur.evidence.report.cells import write_table
from geldspur.evidence.timeline import bins, picture
from geldspur.evidence.timeline.events import Event, from_utc
from geldspur.evidence.timeline.filetimes import FileTimes, file_times, scan_begun
from geldspur.evidence.timeline.money import money_events
from geldspur.leads import LeadsData, read_leads_dir
from geldspur.ledger.columns import staging
from geldspur.proof import manifest
from geldspur.times import utc_ns

FORMAT = "geldspur evidence timeline 1"
MANIFEST, TABLE, PICTURE, IMPLAUSIBLE = "manifest.json", "timeline.csv", "timeline.svg", "implausible.csv"
_COLUMNS = (
    "time_utc", "what", "description", "path", "sha256", "txid", "vout", "size", "value_sat", "source_of_time",
)  # fmt: skip
_MONEY = ("payment", "payout", "cashout")


@dataclass(frozen=True, slots=True)
class Timeline:
    """What was written: counts of rows by what they are, and what is not on the axis."""

    folder: Path
    counts: dict[str, int]
    implausible: int
    timeless: int
    empty: int


def write_timeline(
    scan: Path, leads: Path, out: Path, *, first: datetime | None = None, last: datetime | None = None,
    mask_names: bool = False,
) -> Timeline:  # fmt: skip
    """Write the timeline of a scan and a leads directory to the folder `out`; neither is changed.

    `first`, `last`: the span of the picture (the table always holds everything). The same input gives the same bytes.

    Raises:
        UsageError: there are no leads, `out` lies where it must not, or `first` is not before `last`.
        GeldspurError: the scan or the leads can't be read, or nothing in them has a time.
    """
    if not (leads / MANIFEST).is_file():
        todo = "make one with: geldspur leads --ledger DIR --site FILE --out DIR"
        raise UsageError("this is not a leads directory", where=str(leads), todo=todo)
    money = read_leads_dir(leads)
    with untouched(scan) as db:
        about = dict(db.execute("SELECT key, value FROM about"))
        check_out(out, scan, about, what="timeline", format=FORMAT)
        begun = scan_begun(records(db, newest_first=False))
        if begun is None:
            raise GeldspurError("the scan's log does not say when it began", where=str(scan), todo="scan again")
        seq, head = db.execute("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        files = file_times(db, from_utc(begun), mask_names=mask_names)
    rows = sorted([*files.events, *money_events(money)], key=lambda event: event.order)
    if not rows:
        raise GeldspurError("neither a file nor a payment has a time", where=f"{scan}, {leads}")
    span = _span(rows, first, last)
    made_of = {
        "scan": {"records": seq, "head": head.hex(), "begun": begun},
        "leads": {"manifest_sha256": manifest.digest_file(leads, MANIFEST).sha256},
    }
    with staging(out) as work:
        work.chmod(0o700)
        _write(work, rows, files, span, money, made_of)
        for path in work.iterdir():
            path.chmod(0o600)
    counts = {what: sum(row.what == what for row in rows) for what in ("file", *_MONEY)}
    return Timeline(out, counts, len(files.implausible), files.timeless, files.empty)


def _write(
    work: Path, rows: Sequence[Event], files: FileTimes, span: bins.Span, leads: LeadsData, made_of: dict[str, Any]
) -> None:
    write_table(
        work / TABLE,
        _COLUMNS,
        (
            (utc_ns(row.at_ns), row.what, row.description, row.path, row.sha256, row.txid, row.vout, row.size,
             row.value_sat, row.source_of_time)
            for row in rows
        ),
    )  # fmt: skip
    write_table(
        work / IMPLAUSIBLE,
        ("time_utc", "reason", "path", "sha256", "source_of_time"),
        (
            (utc_ns(one.at_ns), one.reason, one.path, one.sha256, one.source_of_time)
            for one in sorted(files.implausible, key=lambda one: (one.at_ns, one.path, one.source_of_time))
        ),
    )
    excluded = {(lead.payment.txid, lead.payment.vout) for lead in leads.leads if lead.excluded}
    svg = _picture(rows, files, span, excluded, made_of)
    (work / PICTURE).write_text(svg, encoding="utf-8", newline="")
    entries = [manifest.digest_file(work, path.name) for path in sorted(work.iterdir())]
    (work / MANIFEST).write_bytes(manifest.build({"format": FORMAT, **made_of}, entries))


def _picture(
    rows: Sequence[Event], files: FileTimes, span: bins.Span, excluded: set[tuple[str, int]], made_of: dict[str, Any]
) -> str:
    drawn = [row for row in rows if row.what != "payment" or (row.txid, row.vout) not in excluded]
    series = {
        what: picture.Series(what, *span.count(row.at_ns for row in drawn if row.what == what))
        for what in ("file", *_MONEY)
    }
    return picture.draw(
        span, series["file"], [series[what] for what in _MONEY], _notes(files, len(rows) - len(drawn), made_of)
    )


def _notes(files: FileTimes, excluded: int, made_of: dict[str, Any]) -> list[str]:
    notes = [
        "A file stands at the earliest plausible time of making or change that was recorded for any name of its bytes.",
        "Such times can be set to anything, and copying keeps or renews them. Money stands at its block's time. "
        "timeline.csv says what each time rests on.",
    ]
    kept = [
        (len(files.implausible), "recorded time that can't be true", "recorded times that can't be true"),
        (files.timeless, "file without a usable time", "files without a usable time"),
        (files.empty, "empty file", "empty files"),
        (excluded, "payment that investigators made", "payments that investigators made"),
    ]
    if told := [f"{number:,} {one if number == 1 else many}" for number, one, many in kept if number]:
        notes.append(f"Not drawn: {', '.join(told)}.")
    scan, leads = made_of["scan"], made_of["leads"]
    notes += [
        f"Made of the scan's log up to record {scan['records']:,} ({scan['head'][:16]}\N{HORIZONTAL ELLIPSIS}) "
        f"and of the leads with the manifest {leads['manifest_sha256'][:16]}\N{HORIZONTAL ELLIPSIS}",
        "Everybody is presumed innocent until a final judgment.",
    ]
    return notes


def _span(rows: Sequence[Event], first: datetime | None, last: datetime | None) -> bins.Span:
    files = [row.at_ns for row in rows if row.what == "file"]
    whole = bins.span_of(files, [row.at_ns for row in rows if row.what != "file"])
    begin, end = (at.replace(tzinfo=UTC) if at is not None else None for at in (first, last))
    begin, end = begin or whole.borders[0], end or whole.borders[-1]
    if begin >= end:
        raise UsageError(
            f"{begin:%Y-%m-%d} is not before {end:%Y-%m-%d}", todo="name an earlier --from, or a later --to"
        )
    return whole if first is None and last is None else bins.span(begin, end)
