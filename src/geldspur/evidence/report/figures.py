"""A figure of the report: a number, the sentence that says it, and the very query that gives it."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geldspur.errors import GeldspurError


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `of` names the figure that its share is taken of, where it has one."""

    name: str
    value: int
    sentence: str
    sql: str
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A stated figure that the database does not bear out, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Sum:
    """`total` must equal the sum of `parts`, all names of figures."""

    total: str
    parts: tuple[str, ...]


def share(part: int, whole: int) -> str:
    """A share in per cent to one place; never 0 where there is something, never 100 where something is missing."""
    percent = f"{100 * part / whole:.1f}"
    if part and percent == "0.0":
        return "less than 0.1 %"
    if part != whole and percent == "100.0":
        return "more than 99.9 %"
    return f"{percent} %"


def ask(db: sqlite3.Connection, sql: str) -> int:
    """The one whole number that a query gives."""
    rows = db.execute(sql).fetchall()
    if len(rows) != 1 or len(rows[0]) != 1 or not isinstance(rows[0][0], int):
        raise GeldspurError("a query of the report does not give one whole number", where=sql)
    value: int = rows[0][0]
    return value


class Counter:
    """Collects figures in the order in which the report tells them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._nouns: dict[str, str] = {}
        self.figures: dict[str, Figure] = {}

    def count(self, name: str, label: str, sql: str, *, of: str | None = None, noun: str | None = None) -> int:
        """Ask, and keep the answer as `LABEL: N (45.2 % of the 1,234 NOUN).`

        `noun` is what this figure counts, for the figures that are shares `of` it.
        """
        value = ask(self._db, sql)
        part = ""
        if of is not None and (whole := self.figures[of].value):
            part = f" ({share(value, whole)} of the {whole:,} {self._nouns[of]})"
        self.figures[name] = Figure(name, value, f"{label}: {value:,}{part}.", sql, of)
        if noun:
            self._nouns[name] = noun
        return value


def check_sums(figures: dict[str, Figure], sums: Iterable[Sum]) -> None:
    """GeldspurError with each sum that does not close, and by how much."""
    off = []
    for one in sums:
        parts = [figures[name] for name in one.parts]
        total, found = figures[one.total].value, sum(part.value for part in parts)
        if total != found:
            names = " + ".join(f"{part.name} {part.value:,}" for part in parts)
            told = f"{names} = {found:,} (off by {total - found:+,})" if parts else "0"
            off.append(f"{one.total} {total:,} is not {told}")
    if off:
        raise GeldspurError(
            "the numbers do not close, so no report is made: " + "; ".join(off),
            todo="run the scan again with the same --out to let it finish, then match again; "
            "if the sums stay open, keep the scan directory as it is and report this message",
        )


def differences(own: Sequence[Figure], stated: Sequence[Figure]) -> list[Difference]:
    """Compare stated figures with the program's own, by name."""
    mine = {figure.name: figure for figure in own}
    found = [Difference(name, "is missing") for name in mine.keys() - {figure.name for figure in stated}]
    for figure in stated:
        if figure.name not in mine:
            found.append(Difference(figure.name, "is no figure of this scan"))
        elif figure != mine[figure.name]:
            found.append(Difference(figure.name, _why(figure, mine[figure.name])))
    return sorted(found, key=lambda difference: difference.name)


def _why(figure: Figure, mine: Figure) -> str:
    if figure.sql != mine.sql:
        return "states another query than this program's"
    if figure.value != mine.value:
        return f"states {figure.value:,}, its query gives {mine.value:,}"
    return f"its sentence should read: {mine.sentence}"
