"""Opening look-up runs, and the checksums of their parts."""

from pathlib import Path
from typing import Any

from xxhash import xxh3_128_hexdigest

from geldspur.errors import GeldspurError
from geldspur.ledger.checked import Checked
from geldspur.ledger.columns import open_column, write_file
from geldspur.ledger.lookup.runs import Run
from geldspur.ledger.parts import IN_RUN, LOOK_UP_PART, Parts, bytes_of, read_run_sums, run_entries, sums_of

Entry = dict[str, Any]
_OF_SCRIPTS = ("script_bucket", "script_order", "script_tag")


def open_run(ledger: Path, entry: Entry, with_parts: bool = False) -> Run:
    """Map the run that a manifest's entry names; `with_parts` for the kernels that mark which parts they read."""
    columns = columns_of(ledger, entry)
    parts = parts_of(ledger, entry, columns) if with_parts else None
    return run_of(entry, columns, tuple(parts[name] for name in _OF_SCRIPTS) if parts else ())


def open_checked_run(ledger: Path, entry: Entry) -> Run | None:
    """The same run, of columns that compare what is read of them; None where it has no checksums of parts."""
    columns = columns_of(ledger, entry)
    parts = parts_of(ledger, entry, columns)
    return run_of(entry, {name: Checked(columns[name], parts[name]) for name in columns}) if parts else None


def columns_of(ledger: Path, entry: Entry) -> dict[str, Any]:
    """A run's columns, mapped."""
    folder = ledger / "lookup" / entry["name"]
    return {name: open_column(folder, name, e, single=True) for name, e in entry["columns"].items()}


def run_of(entry: Entry, columns: dict[str, Any], script_parts: tuple[Parts, ...] = ()) -> Run:
    """The run of a manifest's entry, with its columns."""
    column = dict(columns)
    return Run(
        entry["name"], (entry["key"][0], entry["key"][1]), tuple(entry["txs"]), tuple(entry["scripts"]),
        tuple(entry["outs"]), out_scripts=column.pop("out_scripts", None),
        cut=entry.get("cut", False), read_ahead=True, script_parts=script_parts, **column,
    )  # fmt: skip


def parts_of(ledger: Path, entry: Entry, columns: dict[str, Any]) -> dict[str, Parts] | None:
    """What compares a run's columns by parts; None where it has no checksums of them."""
    folder = ledger / "lookup" / entry["name"]
    sums = read_run_sums(folder, entry)
    if sums is None:
        return None
    todo = f"make the look-ups again: geldspur compact --ledger {ledger}; geldspur doctor tells what else is damaged"
    return {n: Parts(columns[n], folder / f"{n}.bin", sums[n], LOOK_UP_PART, todo) for n in columns}


def write_parts(folder: Path, entry: Entry) -> None:
    """Write the checksums of the parts of a run's columns, which lie in `folder`, beside them."""
    sums = [sums_of(open_column(folder, name, e), LOOK_UP_PART) for name, e in run_entries(entry)]
    write_file(folder / IN_RUN, b"".join(part.astype("<u8").tobytes() for part in sums), sync=True)


def ensure_parts(ledger: Path, entry: Entry) -> None:
    """A run of an earlier version has no checksums of parts: make them, of columns that have those of their whole."""
    folder = ledger / "lookup" / entry["name"]
    if not (folder / IN_RUN).is_file():
        refuse_damaged_run(ledger, entry)
        write_parts(folder, entry)


def refuse_damaged_run(ledger: Path, entry: Entry) -> None:
    """`GeldspurError` where a run's columns don't have their checksums; reads all of them."""
    folder = ledger / "lookup" / entry["name"]
    for name, e in run_entries(entry):
        if xxh3_128_hexdigest(bytes_of(open_column(folder, name, e)).data) != e["xxh3_128"]:
            raise GeldspurError(
                f"the ledger's {name} is damaged: its checksum doesn't fit its bytes",
                where=str(folder / f"{name}.bin"),
                todo=f"make the look-ups again: geldspur compact --ledger {ledger}",
            )
