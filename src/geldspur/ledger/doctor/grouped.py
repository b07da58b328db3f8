"""Comparing what a look-up run holds, group by group, with what it should hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.report import COMPACT, Findings, Place
from geldspur.ledger.doctor.structure import RunFound

_PIECE = 1 << 22
_MOST = 20


@dataclass(slots=True)
class Group:
    """A run's groups: `start` says where each begins among the items. Items from `dead_from` on don't count."""

    ledger: Path
    run: RunFound
    start: str
    items: tuple[str, ...]
    """The items, and where there is one, a column beside them by which each group is sorted."""
    dead_from: int
    ascends: bool = True

    def path(self, column: str) -> Path:
        """A column's file."""
        return self.ledger / "lookup" / self.run.name / f"{column}.bin"

    def begin(self, findings: Findings) -> bool:
        """Do the groups begin at 0, ascend, and end with the last item?"""
        start, last = self.run.columns[self.start], len(self.run.columns[self.items[0]])
        for row, value in ((0, 0), (len(start) - 1, last)):
            if int(start[row]) != value:
                self.ascends = False
                self.tell(self.start, [row], findings)
        for at in range(0, len(start), _PIECE):
            part = start[at : at + _PIECE + 1].astype(np.int64)
            falls = np.flatnonzero(part[1:] < part[:-1]) + at
            if len(falls):
                self.ascends = False
                self.tell(self.start, falls, findings, 2)
        return self.ascends

    def tell(self, column: str, rows: Sequence[int] | Array, findings: Findings, span: int = 1) -> None:
        """These elements are not what the ledger's primary columns ask for."""
        each, file = self.run.columns[column].itemsize, str(self.path(column))
        for row in rows[:_MOST]:
            place = Place(file, (int(row) * each, (int(row) + span) * each), (int(row), int(row) + span))
            what = f"the look-up column {column} doesn't hold what the ledger's columns ask for"
            findings.damage(what, place, COMPACT)
        findings.more(file, max(0, len(rows) - _MOST))


def compare_groups(
    group: Group, start: Array, base: int, items: tuple[Array, ...], low: int, findings: Findings
) -> None:
    """Compare the groups from `low` on: `start` is where each has to begin, `items` what has to lie from `base` on."""
    if group.run.cut:
        _compare_live(group, start, base, items, low, findings)
        return
    disk = group.run.columns
    group.tell(group.start, np.flatnonzero(disk[group.start][low : low + len(start)] != start) + low, findings)
    for name, wanted in zip(group.items, items, strict=True):
        have = disk[name][base : base + len(wanted)]
        group.tell(name, np.flatnonzero(have != wanted[: len(have)]) + base, findings)


def _compare_live(
    group: Group, start: Array, base: int, items: tuple[Array, ...], low: int, findings: Findings
) -> None:  # fmt: skip
    """In a run whose last rows were rolled back, those rows still lie among the others."""
    if not group.ascends:
        return
    disk = group.run.columns
    high, g, told = low + len(start) - 1, low, 0
    first, end = int(disk[group.start][low]), int(disk[group.start][high])
    have = [disk[name][first:end] for name in group.items]
    while g < high:
        g = kernels.first_live_difference(
            disk[group.start], first, have[0], have[-1], start[g - low :], base, items[0], items[-1], g, high,
            group.dead_from,
        )  # fmt: skip
        if g < high:
            told += 1
            if told <= _MOST:
                rows = (int(disk[group.start][g]), int(disk[group.start][g + 1]))
                each = disk[group.items[0]].itemsize
                place = Place(str(group.path(group.items[0])), (rows[0] * each, rows[1] * each), rows)
                what = f"group {g:,} of {group.start}, {', '.join(group.items)} doesn't hold the rows that it should"
                findings.damage(what, place, COMPACT)
            g += 1
    findings.more(str(group.path(group.items[0])), max(0, told - _MOST))
