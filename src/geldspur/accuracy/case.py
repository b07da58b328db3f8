"""A case: a chain whose every owner is known, as a directory of block files and truth tables."""

import csv
from dataclasses import dataclass
from pathlib import Path

from geldspur.errors import GeldspurError

# (txid, vout)
Outpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Case:
    """Where a case lies on disk: `blocks/` as Bitcoin Core wrote it, `truth/` with one CSV a table."""

    root: Path
    network: str = "regtest"

    @property
    def blocks(self) -> Path:
        """The directory that `geldspur index` reads."""
        return self.root / "blocks"

    @property
    def truth(self) -> Path:
        """The tables of known owners; no room but this one may look into them."""
        return self.root / "truth"

    def table(self, name: str) -> list[dict[str, str]]:
        """All rows of one truth table, e.g. `table("payments")`, as text.

        Raises GeldspurError if the case has no such table.
        """
        return read_table(self.truth / f"{name}.csv")

    def tip_hash(self) -> str:
        """Hash of the last block of the best chain: it names the chain that a score was taken on."""
        return self.table("chain")[-1]["hash"]


def open_case(root: Path) -> Case:
    """The case that lies unpacked in `root`. Raises GeldspurError if it isn't one."""
    case = Case(root)
    if not case.truth.is_dir():
        raise GeldspurError(
            "no truth tables here to score against",
            where=str(case.truth),
            todo="give the directory of an unpacked case, which holds blocks/ and truth/",
        )
    return case


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header. Raises GeldspurError if it can't be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise GeldspurError(f"can't read the table: {error.strerror}", where=str(path)) from error


def outpoint(row: dict[str, str]) -> Outpoint:
    """The output that a row of a truth table is about."""
    return row["txid"], int(row["vout"])
