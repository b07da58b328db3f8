"""Reading what the investigator brings: the site's addresses, and payments of their own to keep apart."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from geldspur.bitcoin.addresses import AddressError, Decoded, ForeignAddress, MalformedAddress, decode
from geldspur.errors import UsageError
from geldspur.leads.schema import Coverage, Malformed, Site
from geldspur.ledger import Ledger


@dataclass(slots=True)
class SiteFile:
    """The site's addresses as far as they can be used."""

    sha256: str
    rows: dict[int, Site] = field(default_factory=dict)
    """By script id, for addresses that the ledger knows."""
    addresses: dict[int, str] = field(default_factory=dict)
    coverage: Coverage = field(
        default_factory=lambda: Coverage(
            lines=0, addresses=0, paid=0, never_seen=0, duplicate=[], malformed=[], other_network=[]
        )
    )


def read_site(path: Path, ledger: Ledger) -> SiteFile:
    """Read a CSV file with a column `address`; other columns are carried along.

    Every line ends up in exactly one of the coverage's counts. Raises `UsageError` for a file that can't be
    read as such a table, or of which no usable address is left.
    """
    result = SiteFile(_digest(path))
    first_line: dict[tuple[int, bytes], int] = {}
    good: list[tuple[int, str, dict[str, str], Decoded]] = []
    for line, row in _table(path, "address"):
        result.coverage.lines += 1
        text = row.pop("address").strip()
        try:
            key = decode(text, ledger.network)
        except ForeignAddress as error:
            result.coverage.other_network.append(_bad(line, error))
            continue
        except MalformedAddress as error:
            result.coverage.malformed.append(_bad(line, error))
            continue
        earlier = first_line.setdefault((int(key.script_type), key.payload), line)
        if earlier != line:
            reason = f"the same address stands in line {earlier}"
            result.coverage.duplicate.append(Malformed(line=line, text=text, reason=reason))
            continue
        good.append((line, text, row, key))
    if not good:
        raise _nothing_left(path, result.coverage)
    result.coverage.addresses = len(good)
    scripts = ledger.scripts_of([key for *_, key in good])
    for (line, text, columns, _), script in zip(good, scripts, strict=True):
        if script is not None:
            result.rows[script] = Site(row=line, columns=columns)
            result.addresses[script] = text
    result.coverage.paid = len(result.rows)
    result.coverage.never_seen = len(good) - len(result.rows)
    return result


def _bad(line: int, error: AddressError) -> Malformed:
    # The error's text, not the file's: it hides what could be a private key.
    return Malformed(line=line, text=error.text, reason=error.reason)


def read_excluded(path: Path | None, ledger: Ledger) -> tuple[str | None, set[int], list[str]]:
    """Payments that investigators made themselves: (digest, output rows, what could not be matched).

    The file has a column `txid` and may have a column `vout`; without it all outputs of the transaction count.
    """
    if path is None:
        return None, set(), []
    rows: set[int] = set()
    unmatched = []
    for line, row in _table(path, "txid"):
        txid, vout = row["txid"].strip().lower(), row.get("vout", "").strip()
        try:
            tx = ledger.tx_index(txid) if len(bytes.fromhex(txid)) == 32 else None
        except ValueError:
            tx = None
        outputs = range(int(ledger.tx_out[tx]), int(ledger.tx_out[tx + 1])) if tx is not None else range(0)
        if vout:
            outputs = outputs[int(vout) : int(vout) + 1] if vout.isdecimal() else range(0)
        if not outputs:
            unmatched.append(f"line {line}: {txid}{':' + vout if vout else ''} is not in the ledger")
        rows.update(outputs)
    return _digest(path), rows, unmatched


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path.name} can't be read: {error.strerror}", where=str(path), todo="check the path"
        ) from error


def _table(path: Path, needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, columns) of each row of a CSV file with a header; comma, semicolon and tab are understood."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path.name} is not UTF-8 text",
            where=f"{path}, byte {error.start:,}",
            todo="save it as CSV UTF-8",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path.name} can't be read: {error.strerror}", where=str(path), todo="check the path"
        ) from error
    lines = text.splitlines(keepends=True)
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        names = [name.strip() for name in next(reader, [])]
        lowered = [name.lower() for name in names]
        if needed not in lowered:
            raise UsageError(
                f"{path.name} has no column '{needed}'",
                where=f"{path}, line 1: {head.strip()[:80]!r}",
                todo=f"name the column that holds it '{needed}' in the first line",
            )
        names[lowered.index(needed)] = needed
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(names) - len(cells))]
                yield line, dict(zip(names, padded, strict=False))
    except csv.Error as error:
        raise UsageError(
            f"{path.name} is no proper CSV: {error}",
            where=f"{path}, line {reader.line_num}",
            todo="mend that line, or save the table as CSV again",
        ) from error


def _nothing_left(path: Path, coverage: Coverage) -> UsageError:
    bad = [*coverage.malformed, *coverage.other_network]
    shown = "; ".join(f"line {m.line}: {m.text[:60]!r}: {m.reason}" for m in bad[:5])
    more = f"; and {len(bad) - 5:,} more lines" if len(bad) > 5 else ""
    return UsageError(
        f"{path.name} holds no address that this ledger's network has",
        where=(shown + more) or str(path),
        todo="check the file, and that the ledger is of the right network",
    )
