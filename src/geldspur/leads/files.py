"""A leads directory: its rows read back from disk, and written as a whole or not at all."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from geldspur.errors import GeldspurError, UsageError
from geldspur.leads.schema import (
    Cashout,
    Coverage,
    Customer,
    FileHash,
    Lead,
    LeadsManifest,
    NotPayment,
    Payout,
)
from geldspur.ledger.columns import staging
from geldspur.proof import manifest as hashes

MANIFEST = "manifest.json"
REPORT = "report.pdf"
FORMAT = "geldspur-leads/1"
_TABLES: Mapping[str, type[BaseModel]] = {
    "leads": Lead,
    "cashouts": Cashout,
    "payouts": Payout,
    "not_payments": NotPayment,
    "customers": Customer,
}
_REMAKE = "make the leads again with: geldspur leads"
_Row = TypeVar("_Row", bound=BaseModel)

Writer = Callable[["LeadsData", Path], None]
"""Writes one more file of a leads directory, such as wallets.csv, from the rows in their final order."""


@dataclass(frozen=True, slots=True)
class LeadsData:
    """The rows of a leads directory, in the order of its files, and its manifest."""

    leads: Sequence[Lead]
    cashouts: Sequence[Cashout]
    payouts: Sequence[Payout]
    not_payments: Sequence[NotPayment]
    customers: Sequence[Customer]
    coverage: Coverage
    manifest: LeadsManifest

    def in_order(self, position: Callable[[str], int]) -> "LeadsData":
        """The same rows by height, position of the transaction in its block, vout; customers stay put.

        `position` gives the position for a txid.
        """

        def place(row: Lead | Cashout | Payout | NotPayment) -> tuple[int, int, int]:
            return row.payment.height, position(row.payment.txid), row.payment.vout

        return replace(
            self,
            leads=sorted(self.leads, key=place),
            cashouts=sorted(self.cashouts, key=place),
            payouts=sorted(self.payouts, key=place),
            not_payments=sorted(self.not_payments, key=place),
        )


def read_leads_dir(folder: Path) -> LeadsData:
    """The content of a leads directory.

    Raises GeldspurError where there is none, where a file is not the one that the manifest describes, or
    where it was written by another version.
    """
    manifest = _read_manifest(folder)
    listed = {entry.path for entry in manifest.files}
    missing = sorted({*(f"{name}.jsonl" for name in _TABLES), "coverage.json"} - listed)
    if missing:
        raise GeldspurError(f"the manifest lists no {missing[0]}", where=str(folder / MANIFEST), todo=_REMAKE)
    entries = [hashes.Entry(entry.path, entry.sha256, entry.size) for entry in manifest.files]
    hashes.check_files(folder, entries, todo=_REMAKE)
    return LeadsData(
        leads=_read_rows(folder / "leads.jsonl", Lead),
        cashouts=_read_rows(folder / "cashouts.jsonl", Cashout),
        payouts=_read_rows(folder / "payouts.jsonl", Payout),
        not_payments=_read_rows(folder / "not_payments.jsonl", NotPayment),
        customers=_read_rows(folder / "customers.jsonl", Customer),
        coverage=_parse(Coverage, (folder / "coverage.json").read_bytes(), str(folder / "coverage.json")),
        manifest=manifest,
    )


def present(out: Path) -> set[str]:
    """What is at a place that is to be written to: the files of a folder by their paths in it, else the file itself."""
    if out.is_dir():
        return {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    return {out.name} if out.exists() else set()


def check_target(out: Path) -> None:
    """Refuse a place that `write_leads_dir` would not write to: call it before long work.

    An earlier leads directory may be replaced, if it holds nothing but its own files. Raises UsageError.
    """
    found = present(out)
    if not found:
        return
    try:
        own = {MANIFEST, *(entry.path for entry in _read_manifest(out).files)}
    except GeldspurError:
        raise UsageError(
            "this is something else than an earlier leads directory",
            where=str(out),
            todo="choose another --out",
        ) from None
    strangers = sorted(found - own)
    if strangers:
        raise UsageError(
            f"the earlier leads directory also holds {strangers[0]}, which `geldspur leads` did not write",
            where=str(out),
            todo="move it away, or choose another --out",
        )


def write_leads_dir(
    data: LeadsData,
    out: Path,
    *,
    position: Callable[[str], int],
    others: Mapping[str, Writer] | None = None,
) -> LeadsData:
    """Write all files of a leads directory, or none: what was at `out` is replaced as a whole.

    Rows go by height, position of the transaction in its block (which `position` gives for a txid) and vout.
    `others` are further files by name, each with what writes it. The manifest's list of files is made here.
    Returns the data as written. Raises UsageError for a place that must not be overwritten, GeldspurError
    where writing fails.
    """
    check_target(out)
    data = data.in_order(position)
    with staging(out) as work:
        for name in _TABLES:
            (work / f"{name}.jsonl").write_bytes(rows_bytes(getattr(data, name)))
        (work / "coverage.json").write_bytes(row_bytes(data.coverage))
        for name, write in sorted((others or {}).items()):
            write(data, work / name)
        paths = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
        found = [hashes.digest_file(work, path) for path in paths]
        files = [FileHash(path=entry.path, sha256=entry.sha256, size=entry.size) for entry in found]
        data = replace(data, manifest=data.manifest.model_copy(update={"files": files}))
        content = json.dumps(data.manifest.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
        (work / MANIFEST).write_text(content, encoding="utf-8", newline="\n")
    return data


def row_bytes(row: BaseModel) -> bytes:
    """A row as a line of JSON: keys in the schema's order, no spaces, UTF-8."""
    content = row.model_dump(mode="json")
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def rows_bytes(rows: Iterable[BaseModel]) -> bytes:
    """Rows as JSON lines."""
    return b"".join(map(row_bytes, rows))


def _read_manifest(folder: Path) -> LeadsManifest:
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise GeldspurError(
            f"{folder} is no leads directory: {error.strerror}",
            where=str(path),
            todo="give the directory that `geldspur leads --out` wrote",
        ) from error
    try:
        content: Any = json.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise GeldspurError("not the manifest of a leads directory", where=str(path), todo=_REMAKE)
    return _parse(LeadsManifest, raw, str(path))


def _read_rows(path: Path, model: type[_Row]) -> list[_Row]:
    with path.open("rb") as file:
        return [_parse(model, line, f"{path}, line {number}") for number, line in enumerate(file, 1)]


def _parse(model: type[_Row], raw: bytes, where: str) -> _Row:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GeldspurError(
            f"not as this version writes it: {place}: {first['msg']}", where=where, todo=_REMAKE
        ) from None
