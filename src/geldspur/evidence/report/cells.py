"""CSV cells that a spreadsheet shows and never runs."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_STARTS_FORMULA = re.compile(r"(^\s*|;\s*)([=+\-@\t\r|%＝＋－＠])")  # noqa: RUF001 (some take wide signs for the narrow)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Value = str | int | bytes | None


def cell(value: Value) -> str:
    r"""A value as a cell: bytes in hexadecimal, nothing as nothing.

    Spreadsheets take a cell that begins with = + - @ for a formula; where they split at semicolons, so does what
    follows one. Such a sign is written as \xNN, so that `names.raw` gives a name's bytes back from its cell.
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return str(int(value))
    text = _STARTS_FORMULA.sub(lambda found: found[1] + _escaped(found[2]), value)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{{{code:x}}}"


def write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """A CSV file as RFC 4180 has it but for line ends (a line feed alone), UTF-8 without a mark, rows as they come."""
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(map(cell, row) for row in rows)
