"""Sealed packages: for each country its leads, requests, report, and the means to check them without us."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from geldspur.errors import GeldspurError, UsageError
from geldspur.leads import proofs, readme
from geldspur.leads.files import MANIFEST, LeadsData, present, read_leads_dir, rows_bytes
from geldspur.leads.report import write_report
from geldspur.leads.report.selection import Selection, actionable, countries, select
from geldspur.leads.requests import by_service, request_files
from geldspur.leads.schema import Cashout, Lead, LeadsManifest
from geldspur.ledger import Ledger
from geldspur.ledger.columns import staging
from geldspur.progress import SILENT, Progress
from geldspur.proof import manifest as hashes
from geldspur.proof import verifier
from geldspur.rules import ruleset_hash
from geldspur.tags import open_tags
from geldspur.wallets import edition_of

INDEX = "packages.json"
FORMAT = "geldspur-packages/1"
Renderer = Callable[[LeadsData, Path, str], None]
"""Writes the PDF report on a country's leads."""


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What a ledger directory holds now, to be compared with what the leads were made from."""

    tip_hash: str
    tags_edition: str
    wallets_edition: str
    rules_sha256: str


def current_state(ledger: Ledger) -> CurrentState:
    """The ledger as it stands, with its tags, wallets and the program's rules."""
    tags = open_tags(ledger.folder)
    return CurrentState(ledger.tip_hash, tags.edition, edition_of(ledger, tags), ruleset_hash())


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """One package that was written. `manifest_sha256` is what a recipient compares."""

    country: str
    path: Path
    sha256: str
    size: int
    manifest_sha256: str
    services: tuple[str, ...]
    leads: int
    cashouts: int
    transactions: int
    blocks: int


def package(
    ledger: Ledger,
    leads_dir: Path,
    out: Path,
    *,
    current: CurrentState,
    render: Renderer | None = None,
    progress: Progress = SILENT,
) -> list[PackageInfo]:
    """Write one sealed zip a country into the directory `out`, by the jurisdictions of the services named.

    Strong and moderate leads and cash-outs go out, the investigators' own payments don't. A service of
    several jurisdictions goes into each country's package, one of none into `ZZ.zip`. Each package is
    verified before any is published; what was at `out` is replaced as a whole. Same input, same bytes.

    Raises GeldspurError where the leads were made from another state of the ledger than `current`, where a
    file of the leads was changed, or where the source can't give the raw transactions; UsageError where `out`
    must not be overwritten.
    """
    _check_target(out)
    data = read_leads_dir(leads_dir)
    _check_state(data.manifest, ledger, current, leads_dir)
    chosen = _by_country(data)
    grounds = proofs.Grounds(ledger)
    needed = {c: {tx for row in _rows(selection) for tx in grounds.of(row)} for c, selection in chosen.items()}
    proved = proofs.prove(ledger, {tx for txs in needed.values() for tx in txs}, progress)
    leads_sha256 = hashes.digest_file(leads_dir, MANIFEST).sha256
    infos: list[PackageInfo] = []
    with staging(out) as work, progress.task("Sealing packages", len(chosen), "packages") as task:
        for country, selection in chosen.items():
            files = _content(selection, country, leads_sha256)
            files |= proved.files(needed[country], ledger.tip_height)
            files["report.pdf"] = _report(render or _render, data, country)
            files[MANIFEST] = _manifest(selection, country, leads_sha256, files)
            path = work / f"{country}.zip"
            _write(path, files)
            infos.append(_info(path, out, selection, country, files))
            task.advance(1)
        (work / INDEX).write_bytes(_index(infos, leads_sha256))
    return infos


def _render(data: LeadsData, path: Path, country: str) -> None:
    write_report(data, path, country=country)


def _rows(selection: Selection) -> Sequence[Lead | Cashout]:
    return [*selection.leads, *selection.cashouts]


def _check_target(out: Path) -> None:
    """Refuse to replace anything but earlier packages. Raises UsageError."""
    found = present(out)
    if not found:
        return
    try:
        index = json.loads((out / INDEX).read_bytes())
        own = {INDEX, *(entry["file"] for entry in index["packages"])} if index["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        own = set()
    strangers = sorted(found - own)
    if strangers:
        raise UsageError(
            f"the directory holds {strangers[0]}, which is no earlier package",
            where=str(out),
            todo="choose another --out",
        )


def _check_state(manifest: LeadsManifest, ledger: Ledger, current: CurrentState, leads_dir: Path) -> None:
    """Refuse leads that were made from another state than the present one."""
    pairs = {
        "network": (manifest.ledger.network, ledger.network.name),
        "tip": (manifest.ledger.tip_hash, current.tip_hash),
        "tip of blocks": (manifest.ledger.tip_hash, ledger.tip_hash),
        "edition of tags": (manifest.tags_edition, current.tags_edition),
        "edition of wallets": (manifest.wallets_edition, current.wallets_edition),
        "rules": (manifest.rules_sha256, current.rules_sha256),
    }
    for what, (then, now) in pairs.items():
        if then != now:
            raise GeldspurError(
                f"the leads were made from another {what} than the ledger's present one (then {then}, now {now})",
                where=str(leads_dir),
                todo="make the leads again with: geldspur leads",
            )


def _by_country(data: LeadsData) -> dict[str, Selection]:
    """The rows of each country that has any, in order of the codes."""
    codes: set[str] = set()
    for lead in data.leads:
        if actionable(lead) and not lead.excluded:
            codes.update(countries(lead.source.jurisdictions))
    for row in data.cashouts:
        if actionable(row):
            codes.update(countries(row.jurisdictions))
    for code in sorted(codes):
        if not re.fullmatch("[A-Z]{2}", code):
            raise GeldspurError(
                f"{code!a} is no country code",
                todo="correct the jurisdictions of the actor pack, and add it again",
            )
    return {code: select(data, code) for code in sorted(codes)}


def _content(selection: Selection, country: str, leads_sha256: str) -> dict[str, bytes]:
    own_verifier = Path(verifier.__file__).read_bytes()
    services = by_service(selection.leads, selection.cashouts)
    text = readme.package_readme(
        country,
        selection,
        services,
        leads_sha256=leads_sha256,
        verifier_sha256=hashlib.sha256(own_verifier).hexdigest(),
    )
    return {
        "README.txt": text.encode(),
        "verify.py": own_verifier,
        "leads.jsonl": rows_bytes(selection.leads),
        "cashouts.jsonl": rows_bytes(selection.cashouts),
        **request_files(services, country, selection.manifest),
    }


def _report(render: Renderer, data: LeadsData, country: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.pdf"
        render(data, path, country)
        return path.read_bytes()


def _manifest(selection: Selection, country: str, leads_sha256: str, files: Mapping[str, bytes]) -> bytes:
    made_from = selection.manifest
    fields = {
        "format": verifier.PACKAGE_FORMAT,
        "program": made_from.program,
        "network": made_from.ledger.network,
        "country": country,
        "snapshot": {
            "tip_height": made_from.ledger.tip_height,
            "tip_hash": made_from.ledger.tip_hash,
            "tip_time": made_from.ledger.tip_time,
        },
        "made_from": {
            "leads_sha256": leads_sha256,
            "ledger_sha256": made_from.ledger.manifest_sha256,
            "tags_edition": made_from.tags_edition,
            "tags_lastmod": made_from.tags_lastmod,
            "wallets_edition": made_from.wallets_edition,
            "rules_sha256": made_from.rules_sha256,
        },
        "counts": {"leads": len(selection.leads), "cashouts": len(selection.cashouts)},
    }
    return hashes.build(fields, [hashes.digest(path, content) for path, content in files.items()])


def _write(path: Path, files: dict[str, bytes]) -> None:
    """Write the archive and check it as its recipient would."""
    size = sum(len(content) for content in files.values())
    if size > verifier.MAX_BYTES or len(files) > verifier.MAX_FILES:
        raise GeldspurError(
            f"the package for {path.stem} would hold {len(files):,} files and {size:,} bytes; "
            f"{verifier.MAX_FILES:,} files and {verifier.MAX_BYTES:,} bytes are the limit",
            todo="split the site file, and package each part",
        )
    with path.open("wb") as file:
        file.writelines(verifier.archive(files))
    report = verifier.verify(path)
    if not report.verified:
        failed = next(check for check in report.checks if not check.passed)
        raise GeldspurError(
            f"the package for {path.stem} fails its own verification ({failed.name}: {failed.detail})",
            todo="nothing was written; make the leads again with: geldspur leads",
        )


def _info(path: Path, out: Path, selection: Selection, country: str, files: Mapping[str, bytes]) -> PackageInfo:
    entry = hashes.digest_file(path.parent, path.name)
    services = by_service(selection.leads, selection.cashouts)
    return PackageInfo(
        country=country,
        path=out / path.name,
        sha256=entry.sha256,
        size=entry.size,
        manifest_sha256=hashlib.sha256(files[MANIFEST]).hexdigest(),
        services=tuple(rows.service for rows in services),
        leads=len(selection.leads),
        cashouts=len(selection.cashouts),
        transactions=files["proof/transactions.jsonl"].count(b"\n"),
        blocks=files["proof/blocks.jsonl"].count(b"\n"),
    )


def _index(infos: Iterable[PackageInfo], leads_sha256: str) -> bytes:
    """packages.json: what was written, with the digests that recipients are told by another way."""
    rows = [{"file": info.path.name} | {k: v for k, v in asdict(info).items() if k != "path"} for info in infos]
    content = {"format": FORMAT, "leads_sha256": leads_sha256, "packages": rows}
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
