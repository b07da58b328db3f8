"""What an examination says: findings, each with its place and what to do, and the checks that were done."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal["damage", "note"]
Span = tuple[int, int]

INDEX_AGAIN = "remove the ledger's folder and index the blocks again"
COMPACT = "make it again: geldspur compact --ledger DIR"
_MOST_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong. Spans are (first, end), heights (first, last)."""

    file: str | None = None
    bytes: Span | None = None
    rows: Span | None = None
    heights: Span | None = None
    segment: int | None = None

    def __str__(self) -> str:
        """The place in words."""
        parts = [self.file] if self.file else []
        if self.bytes:
            parts.append(f"bytes {self.bytes[0]:,} to {self.bytes[1]:,}")
        if self.rows:
            parts.append(f"rows {self.rows[0]:,} to {self.rows[1]:,}" if _many(self.rows) else f"row {self.rows[0]:,}")
        if self.heights:
            same = self.heights[0] == self.heights[1]
            parts.append(
                f"height {self.heights[0]:,}" if same else f"heights {self.heights[0]:,} to {self.heights[1]:,}"
            )
        if self.segment is not None:
            parts.append(f"segment {self.segment}")
        return ", ".join(parts)


def _many(rows: Span) -> bool:
    return rows[1] - rows[0] > 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong ("damage"), or worth knowing ("note")."""

    check: str
    severity: Severity
    what: str
    where: Place
    todo: str | None


@dataclass(slots=True)
class Check:
    """One check: how much it looked at, or why it couldn't."""

    name: str
    looked_at: dict[str, int] = field(default_factory=dict)
    sampled: bool = False
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an examination. Amounts are in satoshi."""

    ledger: str
    sound: bool
    findings: list[Finding]
    checks: list[Check]
    amounts: dict[str, int]


class Findings:
    """Collects what checks find. Of one check and file only the first findings are kept, with a count of the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checks: list[Check] = []
        self.amounts: dict[str, int] = {}
        self._found: dict[tuple[str, str | None], list[Finding]] = {}
        self._more: dict[tuple[str, str | None], int] = {}

    def begin(self, name: str) -> Check:
        """Begin a check; what is found from now on is of it."""
        self.checks.append(Check(name))
        return self.checks[-1]

    def looked_at(self, what: str, count: int) -> None:
        """Count what the running check has looked at."""
        seen = self.checks[-1].looked_at
        seen[what] = seen.get(what, 0) + int(count)

    def skip(self, why: str) -> None:
        """The running check, or a part of it, can't be done."""
        self.checks[-1].skipped.append(why)

    def damage(self, what: str, where: Place, todo: str | None = INDEX_AGAIN) -> None:
        """Something is wrong."""
        self._add("damage", what, where, todo)

    def note(self, what: str, where: Place, todo: str | None = None) -> None:
        """Something is worth knowing, and harmless."""
        self._add("note", what, where, todo)

    def more(self, file: str | None, count: int) -> None:
        """So many more of the running check in this file were met than told one by one."""
        key = (self.checks[-1].name, file)
        self._more[key] = self._more.get(key, 0) + int(count)

    def _add(self, severity: Severity, what: str, where: Place, todo: str | None) -> None:
        name = self.checks[-1].name
        found = self._found.setdefault((name, where.file), [])
        if len(found) < _MOST_OF_ONE:
            found.append(Finding(name, severity, what, where, todo))
        else:
            self.more(where.file, 1)

    def any_damage(self) -> bool:
        """Has anything been found wrong so far?"""
        return any(f.severity == "damage" for found in self._found.values() for f in found)

    def damaged_here(self) -> bool:
        """Has the running check found anything wrong?"""
        name = self.checks[-1].name
        return any(f.check == name and f.severity == "damage" for found in self._found.values() for f in found)

    def report(self) -> Report:
        """All of it, in the order of the checks."""
        findings = [finding for found in self._found.values() for finding in found]
        for (check, file), count in self._more.items():
            if count:
                findings.append(Finding(check, "damage", f"{count:,} more of the same kind", Place(file), None))
        order = {check.name: k for k, check in enumerate(self.checks)}
        findings.sort(key=lambda finding: order[finding.check])
        return Report(str(self.folder), not self.any_damage(), findings, self.checks, self.amounts)
