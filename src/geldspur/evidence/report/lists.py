"""The lists that a scan was compared with, as the report tells of them."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from geldspur.evidence.names import shown

DIGESTS = ("sha256", "sha1", "md5")
_COLUMNS = ("id", "name", "file_name", "sha256", "format", "version", "made", "scheme", "kind", "entries")


MEANINGS = {("US", "0"): "non-pertinent"}
"""What a category says in its scheme, where the report tells of it; the view `statement` goes by the same."""


def told_category(scheme: str | None, category: str | None) -> str:
    """A category in words, never without its scheme."""
    if category is None:
        return "no category"
    if scheme is None:
        return f"category “{escaped(category)}” (scheme not stated)"
    meaning = MEANINGS.get((scheme.upper(), category))
    return f"category “{escaped(category)}” (scheme {escaped(scheme)}{f': {meaning}' if meaning else ''})"


def escaped(text: str) -> str:
    """Text from a list, shown like names are: it comes from outside too."""
    return shown(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of hash_list. `entries_by` tells how many entries hold which kind of hash."""

    id: int
    name: str
    file_name: str
    sha256: bytes
    format: str
    version: str | None
    made: str | None
    scheme: str | None
    kind: str
    entries: int
    entries_by: dict[str, int]
    unmatchable: dict[str, int]

    @property
    def key(self) -> str:
        """What figures call it: the start of the SHA-256 of its file."""
        return self.sha256.hex()[:16]

    @property
    def where(self) -> str:
        """The SQL condition on hit.list."""
        return f"hit.list = (SELECT id FROM hash_list WHERE sha256 = x'{self.sha256.hex()}')"

    @property
    def title(self) -> str:
        """Name and version, as sentences cite it."""
        name = f"“{escaped(self.name)}”"
        return f"{name}, version {escaped(self.version)}" if self.version else f"{name}, no version stated"


def listed(db: sqlite3.Connection) -> list[Listed]:
    """All lists, those of reported material first, by name and digest."""
    rows = db.execute(
        f"SELECT {', '.join(_COLUMNS)}, sha256s, sha1s, md5s, pdqs, unmatchable FROM hash_list "
        "ORDER BY kind DESC, name, sha256"
    )
    return [_listed(row) for row in rows]


def _listed(row: tuple[Any, ...]) -> Listed:
    count = len(_COLUMNS)
    return Listed(
        **dict(zip(_COLUMNS, row, strict=False)),
        entries_by=dict(zip((*DIGESTS, "pdq"), row[count:], strict=False)),
        unmatchable=dict(sorted(json.loads(row[-1]).items())),
    )
