"""All checks of a scan, in the order in which they should be read: the first broken thing is named first."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geldspur.errors import GeldspurError
from geldspur.evidence.custody import chain, rows
from geldspur.evidence.custody.checks import Check, not_checked, untouched
from geldspur.evidence.custody.source import Sample, check_source
from geldspur.progress import SILENT, Progress

if TYPE_CHECKING:
    from geldspur.proof.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked. Not failed is not the same as proven: see which checks were not made."""

    checks: list[Check]

    @property
    def first_failed(self) -> Check | None:
        """The first broken thing."""
        return next((check for check in self.checks if check.state == "failed"), None)


@dataclass(frozen=True, slots=True)
class Against:
    """What a scan is compared with beside itself; what is None is not compared.

    `key`: who must have signed. `authorities`: certificates (PEM) of time-stamp authorities. `source` and `sample`:
    where the files are, and how many of them to read again. `report`: a report that was made of the scan.
    """

    key: "PublicKey | None" = None
    authorities: bytes | None = None
    source: Path | None = None
    sample: Sample | None = None
    report: Path | None = None


def verify(folder: Path, against: Against | None = None, progress: Progress = SILENT) -> Verdict:
    """Check a scan directory; nothing in it is written.

    Raises:
        UsageError: the folder holds no scan, or the source is none.
        GeldspurError: its database can't be opened.
    """
    known = against or Against()
    with untouched(folder) as db:
        checks = [
            *_guarded("database", lambda: chain.check_database(db)),
            *_guarded("log", lambda: chain.check_log(db)),
            *_guarded("manifest", lambda: chain.check_manifest(db, folder)),
            *_guarded("signature", lambda: chain.check_signature(folder, known.key)),
            *_guarded("timestamps", lambda: _timestamps(db, folder, known.authorities)),
            *_guarded("tables", lambda: chain.check_tables(db)),
            *_guarded("about", lambda: rows.check_about(db)),
            *_guarded("files", lambda: rows.check_files(db)),
            *_guarded("contents", lambda: rows.check_contents(db)),
            *_guarded("fingerprints", lambda: rows.check_fingerprints(db)),
            *_guarded("matches", lambda: rows.check_matches(db)),
            *_guarded("error rates", lambda: rows.check_errors(db)),
            *_guarded("sums", lambda: rows.check_sums(db)),
            *_guarded("report", lambda: _report(db, folder, known.report)),
            *_guarded("source", lambda: _source(db, known, progress)),
        ]
    return Verdict(checks)


def _timestamps(db: sqlite3.Connection, folder: Path, authorities: bytes | None) -> Check:
    from geldspur.evidence.custody.stamps import check_timestamps

    return check_timestamps(db, folder, authorities)


def _report(db: sqlite3.Connection, folder: Path, report: Path | None) -> Check:
    if report is None:
        return not_checked("report", "name it: --report DIR")
    from geldspur.evidence.custody.reported import check_report

    try:
        return check_report(db, folder, report)
    except (OSError, GeldspurError) as error:
        return Check("report", "failed", str(error))


def _source(db: sqlite3.Connection, known: Against, progress: Progress) -> list[Check]:
    if known.source is None or known.sample is None:
        return [not_checked("source", "no file was read again; name it: --source PATH")]
    return check_source(db, known.source, known.sample, progress)


def _guarded(name: str, check: Callable[[], Check | list[Check]]) -> list[Check]:
    """A check that stumbles over what it reads has found it broken."""
    try:
        result = check()
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        sqlite3.DatabaseError,
    ) as error:
        return [Check(name, "failed", f"what it reads is malformed: {type(error).__name__}: {error}")]
    return result if isinstance(result, list) else [result]
