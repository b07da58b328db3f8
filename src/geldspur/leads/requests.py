"""What to ask a service: a list for machines and a letter to complete, one pair a service."""

import csv
import hashlib
import io
import re
import textwrap
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from geldspur.leads.report.selection import NO_COUNTRY, countries
from geldspur.leads.report.words import (
    ACCOUNT,
    CASHOUT_ACCOUNT,
    REQUEST_ASKS,
    REQUEST_ASKS_CASHOUT,
    STANDING,
)
from geldspur.leads.schema import Cashout, Lead, LeadsManifest, Output, TagRef
from geldspur.proof.verifier import REQUEST_FACTS, btc, cell, visible

COLUMNS = (
    "request", *REQUEST_FACTS, "block_height", "block_hash", "payment_address", "rules",
    "tagged_address", "tag_label", "tag_pack", "tag_source", "tag_confidence", "tag_lastmod",
    "also_sent_to", "questions", "legal_basis",
)  # fmt: skip
_BLANK = "_" * 40
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\Z")
_NAME_LENGTH = 60
_WIDTH = 100


@dataclass(slots=True)
class ServiceRows:
    """The rows of one service, in ledger order."""

    service: str
    leads: list[Lead] = field(default_factory=list)
    cashouts: list[Cashout] = field(default_factory=list)

    @property
    def rows(self) -> list[Lead | Cashout]:
        """Withdrawals, then deposits."""
        return [*self.leads, *self.cashouts]

    @property
    def jurisdictions(self) -> list[str]:
        """All countries that the service is said to answer to."""
        stated = [lead.source.jurisdictions for lead in self.leads] + [row.jurisdictions for row in self.cashouts]
        return sorted({country for codes in stated for country in countries(codes)})


def by_service(leads: Iterable[Lead], cashouts: Iterable[Cashout]) -> list[ServiceRows]:
    """The rows that name a service, gathered by service, in order of the names."""
    found: dict[str, ServiceRows] = {}
    for lead in leads:
        if lead.source.service:
            found.setdefault(lead.source.service, ServiceRows(lead.source.service)).leads.append(lead)
    for row in cashouts:
        if row.service:
            found.setdefault(row.service, ServiceRows(row.service)).cashouts.append(row)
    return [found[name] for name in sorted(found)]


def file_names(services: Iterable[str]) -> dict[str, str]:
    """A file name (without its ending) for each service: plain ASCII, no two alike, the same in every run.

    Where two names come out alike, all of them get the start of the service's SHA-256.
    """
    names = sorted(set(services))
    plain = {name: _plain_name(name) for name in names}
    shared = Counter(plain.values())
    return {
        name: plain[name]
        if shared[plain[name]] == 1
        else f"{plain[name]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
        for name in names
    }


def request_files(services: Sequence[ServiceRows], country: str, manifest: LeadsManifest) -> dict[str, bytes]:
    """requests/NAME.csv and requests/NAME.txt for each service."""
    files = {}
    names = file_names(rows.service for rows in services)
    for rows in services:
        files[f"requests/{names[rows.service]}.csv"] = _table(rows, country)
        files[f"requests/{names[rows.service]}.txt"] = _letter(rows, country, manifest).encode()
    return files


def also_sent_to(rows: ServiceRows, country: str) -> list[str]:
    """The other countries whose packages hold the same rows."""
    return [code for code in rows.jurisdictions if code not in (country, NO_COUNTRY)]


def _plain_name(service: str) -> str:
    text = unicodedata.normalize("NFKD", service).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:_NAME_LENGTH].strip("-") or "service"
    return f"service-{text}" if _RESERVED.match(text) else text


def _table(rows: ServiceRows, country: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    others = " ".join(also_sent_to(rows, country))
    for number, row in enumerate(rows.rows, 1):
        record = {
            "request": str(number),
            "also_sent_to": others,
            "legal_basis": "",
            **_facts(row),
            **_tag(row),
        }
        writer.writerow([cell(record[column]) for column in COLUMNS])
    return text.getvalue().encode()


def _facts(row: Lead | Cashout) -> dict[str, str]:
    """What the ledger says, and by which rules the payment was tied to the service."""
    if isinstance(row, Lead):
        assert row.source.service and row.source.withdrawal
        kind, service, hops, asked = "withdrawal", row.source.service, row.source.hops, row.source.withdrawal
        asks = [*REQUEST_ASKS, f"Which other withdrawals went to {asked.address or 'this output'}?"]
    else:
        assert row.service
        kind, service, hops, asked = "deposit", row.service, row.hops, row.payment
        asks = [*REQUEST_ASKS_CASHOUT]
    return {
        "kind": kind,
        "service": service,
        "band": row.confidence.band,
        "hops": str(hops),
        **_output(asked, "", "amount"),
        "address": asked.address or "",
        "block_height": str(asked.height),
        "block_hash": asked.block_hash,
        **_output(row.payment, "payment_", "payment"),
        "payment_address": row.payment.address or "",
        "rules": " ".join(_rules(row)),
        "questions": " ".join(asks),
    }


def _output(output: Output, prefix: str, amount: str) -> dict[str, str]:
    return {
        f"{prefix}txid": output.txid,
        f"{prefix}vout": str(output.vout),
        f"{prefix}time_utc": output.time,
        f"{amount}_sat": str(output.value_sat),
        f"{amount}_btc": btc(output.value_sat),
    }


def _rules(row: Lead | Cashout) -> list[str]:
    return list(dict.fromkeys(inference.rule for inference in row.inferences))


def _tag_of(row: Lead | Cashout) -> TagRef | None:
    return row.source.tag if isinstance(row, Lead) else row.tag


def _tag(row: Lead | Cashout) -> dict[str, str]:
    tag = _tag_of(row)
    return {
        "tagged_address": tag.address if tag else "",
        "tag_label": tag.label if tag else "",
        "tag_pack": tag.pack if tag else "",
        "tag_source": tag.source if tag else "",
        "tag_confidence": tag.confidence if tag else "",
        "tag_lastmod": (tag.lastmod or "") if tag else "",
    }


def _letter(rows: ServiceRows, country: str, manifest: LeadsManifest) -> str:
    others = also_sent_to(rows, country)
    ledger = manifest.ledger
    lines = [
        "REQUEST FOR INFORMATION (draft, to be completed by the requesting authority)",
        "",
        f"To:                    {visible(rows.service)}",
        f"Country:               {country}" + (f" (also sent to: {', '.join(others)})" if others else ""),
        f"Requesting authority:  {_BLANK}",
        f"Reference:             {_BLANK}",
        f"Legal basis:           {_BLANK}",
        "",
        f"As of block {ledger.tip_height:,} of {ledger.tip_time} ({ledger.network}), block hash",
        f"{ledger.tip_hash}.",
        "",
        "Why this request goes to you",
        *_attributions(rows),
        "",
        _wrapped(STANDING),
    ]
    if rows.leads:
        lines += ["", f"WITHDRAWALS ({len(rows.leads)})", "", _wrapped(ACCOUNT), "", "For each withdrawal:"]
        lines += [f"- {ask}" for ask in REQUEST_ASKS]
        lines += ["- Which other withdrawals went to the receiving address named with it?"]
    for number, row in enumerate(rows.rows, 1):
        if number == len(rows.leads) + 1:
            lines += ["", f"DEPOSITS ({len(rows.cashouts)})", "", _wrapped(CASHOUT_ACCOUNT), "", "For each deposit:"]
            lines += [f"- {ask}" for ask in REQUEST_ASKS_CASHOUT]
        lines += ["", *_item(number, row)]
    return "\n".join(lines) + "\n"


def _attributions(rows: ServiceRows) -> list[str]:
    """One line a tag that names the service: what its source says, with the source's own grade."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, row in enumerate(rows.rows, 1):
        found[tuple(_tag(row).values())].append(number)
    lines = []
    for (address, label, pack, source, confidence, lastmod), numbers in sorted(found.items()):
        text = f"- address {address}: attributed to '{label}' by {pack} (source: {source}; grade: {confidence}"
        text += f"; last changed {lastmod}" if lastmod else ""
        lines.append(_wrapped(visible(f"{text}); for {_ranges(numbers)}"), "  "))
    return lines


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _ranges(numbers: Sequence[int]) -> str:
    """[1, 2, 3, 5] as "no. 1-3, 5"."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return "no. " + ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def _item(number: int, row: Lead | Cashout) -> list[str]:
    facts = {key: visible(value) for key, value in _facts(row).items()}
    lines = [
        f"{number}. {facts['kind'].capitalize()} {facts['txid']}:{facts['vout']}",
        f"   {'received at' if facts['kind'] == 'withdrawal' else 'deposit address'}: "
        + (facts["address"] or "a script without an address"),
        f"   time: {facts['time_utc']} (block {int(facts['block_height']):,})",
        f"   amount: {int(facts['amount_sat']):,} sat = {facts['amount_btc']} BTC",
    ]
    if facts["kind"] == "withdrawal":
        lines += [
            f"   led to the payment {facts['payment_txid']}:{facts['payment_vout']}",
            f"   of {facts['payment_time_utc']}, {int(facts['payment_sat']):,} sat = {facts['payment_btc']} BTC",
        ]
    hops = int(facts["hops"])
    between = f"{hops} transaction{'' if hops == 1 else 's'}"
    after = "after the withdrawal" if facts["kind"] == "withdrawal" else "after the site's sweep"
    rules = f"; inferences by: {facts['rules']}" if facts["rules"] else "; no inference between"
    return [*lines, f"   {between} {after}; band {facts['band']}{rules}"]
