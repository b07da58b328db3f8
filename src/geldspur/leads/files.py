"""A leads directory on disk: written whole or not at all, and read back only if nobody changed it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.columns import read_json, staging
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

MANIFEST = "manifest.json"
Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LeadsData:
    """The rows of a leads directory."""

    leads: list[Lead]
    cashouts: list[Cashout]
    payouts: list[Payout]
    not_payments: list[NotPayment]
    customers: list[Customer]
    coverage: Coverage
    manifest: LeadsManifest


def rows_text(rows: Sequence[BaseModel]) -> bytes:
    """JSON lines: one object a line, keys in the schema's order."""
    lines = (json.dumps(r.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) for r in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def write_leads_dir(
    data: LeadsData, out: Path, extra: Mapping[str, bytes], not_found: Sequence[str] = ()
) -> LeadsData:
    """Write all files of a leads directory at `out`; returns the data with the manifest's hashes filled in.

    `extra` are further files by name. An earlier leads directory at `out` is replaced as a whole; anything else
    there is refused with `UsageError`. Nothing half-written remains, whatever goes wrong.
    """
    check_target(out)
    files = {
        "leads.jsonl": rows_text(data.leads),
        "cashouts.jsonl": rows_text(data.cashouts),
        "payouts.jsonl": rows_text(data.payouts),
        "not_payments.jsonl": rows_text(data.not_payments),
        "customers.jsonl": rows_text(data.customers),
        "coverage.json": _pretty(data.coverage),
        "exclusions_not_found.txt": "".join(f"{line}\n" for line in not_found).encode(),
        **extra,
    }
    hashes = [
        FileHash(path=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        for name, content in sorted(files.items())
    ]
    done = replace(data, manifest=data.manifest.model_copy(update={"files": hashes}))
    with staging(out) as work:
        for name, content in files.items():
            (work / name).write_bytes(content)
        (work / MANIFEST).write_bytes(_pretty(done.manifest))
    return done


def check_target(out: Path) -> None:
    """Refuse to write leads over anything but earlier leads; `UsageError` says so."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _is_leads_dir(out))):
        raise UsageError(f"{out} exists and holds something else than leads", todo="choose another place for --out")


def read_leads_dir(folder: Path) -> LeadsData:
    """Read a leads directory back; `GeldspurError` where a file is missing, was changed or can't be understood."""
    if not _is_leads_dir(folder):
        raise GeldspurError(f"{folder} holds no leads", todo="make some with: geldspur leads --ledger DIR --site FILE --out DIR")
    try:
        manifest = LeadsManifest.model_validate(read_json(folder / MANIFEST, "the leads' manifest"))
        for file in manifest.files:
            _check_file(folder, file)
        coverage = Coverage.model_validate_json((folder / "coverage.json").read_bytes())
        return LeadsData(
            _rows(folder / "leads.jsonl", Lead),
            _rows(folder / "cashouts.jsonl", Cashout),
            _rows(folder / "payouts.jsonl", Payout),
            _rows(folder / "not_payments.jsonl", NotPayment),
            _rows(folder / "customers.jsonl", Customer),
            coverage,
            manifest,
        )
    except (ValidationError, OSError) as error:
        raise GeldspurError(
            f"the leads can't be read: {error}", where=str(folder), todo="make them again with this version"
        ) from error


def _is_leads_dir(folder: Path) -> bool:
    try:
        return '"geldspur-leads/' in (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _check_file(folder: Path, file: FileHash) -> None:
    path = folder / file.path
    content = path.read_bytes() if path.is_file() else None
    if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
        raise GeldspurError(
            f"{file.path} {'is missing' if content is None else 'was changed'} since the leads were made",
            where=str(path),
            todo="make the leads again",
        )


def _rows(path: Path, kind: type[Row]) -> list[Row]:
    with path.open("rb") as lines:
        return [kind.model_validate_json(line) for line in lines if line.strip()]


def _pretty(content: BaseModel) -> bytes:
    return (json.dumps(content.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()
