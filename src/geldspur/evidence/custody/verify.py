"""All checks of a scan, in the order in which they should be read: the first broken thing is named first."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geldspur.evidence.custody import chain, rows, stamps
from geldspur.evidence.custody.checks import Check, untouched
from geldspur.proof.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked. Not failed is not the same as proven: see which checks were not made."""

    checks: list[Check]

    @property
    def first_failed(self) -> Check | None:
        """The first broken thing."""
        return next((check for check in self.checks if check.state == "failed"), None)


def verify(folder: Path, *, key: PublicKey | None = None, authorities: bytes | None = None) -> Verdict:
    """Check a scan directory; nothing in it is written.

    `key`: who must have signed. `authorities`: certificates (PEM) of time-stamp authorities that the user trusts.

    Raises:
        UsageError: the folder holds no scan.
        GeldspurError: its database can't be opened.
    """
    with untouched(folder) as db:
        checks = [
            *_guarded("database", lambda: chain.check_database(db)),
            *_guarded("log", lambda: chain.check_log(db)),
            *_guarded("manifest", lambda: chain.check_manifest(db, folder)),
            *_guarded("signature", lambda: chain.check_signature(folder, key)),
            *_guarded("timestamps", lambda: stamps.check_timestamps(db, folder, authorities)),
            *_guarded("tables", lambda: chain.check_tables(db)),
            *_guarded("files", lambda: rows.check_files(db)),
            *_guarded("contents", lambda: rows.check_contents(db)),
            *_guarded("fingerprints", lambda: rows.check_fingerprints(db)),
            *_guarded("matches", lambda: rows.check_matches(db)),
            *_guarded("sums", lambda: rows.check_sums(db)),
        ]
    return Verdict(checks)


def _guarded(name: str, check: Callable[[], Check | list[Check]]) -> list[Check]:
    """A check that stumbles over what it reads has found it broken."""
    try:
        result = check()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, sqlite3.DatabaseError) as error:
        return [Check(name, "failed", f"what it reads is malformed: {type(error).__name__}: {error}")]
    return result if isinstance(result, list) else [result]
