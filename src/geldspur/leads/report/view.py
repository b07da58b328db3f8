"""The whole report as plain values for the template: sections in reading order."""

from typing import Any

import pycountry

from geldspur.leads.report.blocks import (
    Block,
    cashout_block,
    creators_of,
    exposure_text,
    lead_block,
    output_block,
    parameter_rows,
    reviewed,
    service_name,
    site_text,
    step_block,
    stop_block,
)
from geldspur.leads.report.flow import build_flow
from geldspur.leads.report.picture import draw
from geldspur.leads.report.plain import btc, clean, number, sat
from geldspur.leads.report.requests import request_blocks
from geldspur.leads.report.selection import NO_COUNTRY, Selection, outpoint
from geldspur.leads.report.summary import stops, summary
from geldspur.leads.report.words import (
    ACCOUNT,
    CASHOUT_ACCOUNT,
    LAYERS,
    LIMITS,
    NOT_REVIEWED,
    STANDING,
    TAGS_CHANGE,
)
from geldspur.leads.schema import Cashout, Lead, LeadsManifest, Malformed
from geldspur.rules import RULES
from geldspur.wording import counted

PACK_COLUMNS = ("title", "creator", "kind", "sha256")


def country_name(code: str) -> str:
    """A country's English name, or the code where ISO 3166 has none."""
    if code == NO_COUNTRY:
        return "no jurisdiction stated"
    found = pycountry.countries.get(alpha_2=code)
    return str(found.name) if found else clean(code, 40)


def review_mark(selection: Selection) -> str:
    """What every page says about the second examiner's review."""
    rows: list[Lead | Cashout] = [*selection.leads, *selection.cashouts]
    open_rows = sum(not reviewed(row.review) for row in rows)
    if open_rows == 0 and rows:
        return "reviewed by a second examiner"
    if open_rows == len(rows):
        return NOT_REVIEWED
    return f"{NOT_REVIEWED}: {number(open_rows)} of {number(len(rows))} rows"


def _unnamed_row(lead: Lead) -> Block:
    return {
        "outpoint": outpoint(lead.payment),
        "address": output_block(lead.payment)["address"],
        "btc": btc(lead.payment.value_sat),
        "sat": number(lead.payment.value_sat),
        "time": lead.payment.time,
        "band": lead.confidence.band,
        "service": service_name(lead.source.service),
        "exposure": exposure_text(lead.source),
        "site": site_text(lead.site),
        "stop": stop_block(lead.stop),
    }


def _customers(selection: Selection, rows: int) -> list[Block]:
    ranked = sorted(selection.customers, key=lambda customer: (-customer.value_sat, customer.customer))
    return [
        {
            "customer": clean(customer.customer, 80),
            "addresses": number(len(customer.addresses)),
            "payments": number(customer.payments),
            "sat": number(customer.value_sat),
            "btc": btc(customer.value_sat),
            "first": customer.first_time,
            "last": customer.last_time,
            "services": ", ".join(clean(name, 60) for name in customer.services) or "none named",
        }
        for customer in ranked[:rows]
    ]


def _aside(selection: Selection, rows: int) -> Block:
    """What is not counted as a customer's payment: own test payments, dust, own change."""
    return {
        "excluded": [
            {**output_block(lead.payment), "site": site_text(lead.site)} for lead in selection.excluded[:rows]
        ],
        "not_payments": [
            {
                **output_block(row.payment),
                "site": site_text(row.site),
                "reason": row.reason,
                "threshold": "" if row.threshold_sat is None else sat(row.threshold_sat),
                "detail": clean(row.detail),
            }
            for row in selection.not_payments[:rows]
        ],
    }


def _payouts(selection: Selection, rows: int) -> list[Block]:
    return [
        {
            **output_block(row.payment),
            "kind": row.kind,
            "hops": number(row.hops),
            "from": step_block(row.path[0])["outpoint"] if row.path else "",
        }
        for row in selection.payouts[:rows]
    ]


def _lines(rows: list[Malformed], limit: int) -> Block:
    return {
        "count": number(len(rows)),
        "rows": [
            {"line": number(row.line), "text": clean(row.text, 120), "reason": clean(row.reason, 200)}
            for row in rows[:limit]
        ],
        "left": number(max(0, len(rows) - limit)),
    }


def _coverage(selection: Selection, rows: int) -> Block | None:
    if selection.country is not None:
        return None  # the whole site file is no concern of one country's package
    coverage = selection.coverage
    refused = len(coverage.duplicate) + len(coverage.malformed) + len(coverage.other_network)
    return {
        "lines": number(coverage.lines),
        "addresses": number(coverage.addresses),
        "paid": number(coverage.paid),
        "never_seen": number(coverage.never_seen),
        "other": [
            {"title": "Malformed", **_lines(coverage.malformed, rows)},
            {"title": "Of another network", **_lines(coverage.other_network, rows)},
            {"title": "Duplicate", **_lines(coverage.duplicate, rows)},
        ],
        "adds_up": (
            f"{number(coverage.addresses)} addresses + {number(refused)} lines not used "
            f"= {number(coverage.addresses + refused)} of {counted(coverage.lines, 'line')}; "
            f"{number(coverage.paid)} paid + {number(coverage.never_seen)} never seen "
            f"= {counted(coverage.paid + coverage.never_seen, 'address', 'addresses')}."
        ),
    }


def _snapshot(manifest: LeadsManifest, whole: bool) -> Block:
    ledger = manifest.ledger
    return {
        "rows": [
            ["Network", clean(ledger.network, 40), False],
            ["Tip height", number(ledger.tip_height), False],
            ["Tip hash", ledger.tip_hash, True],
            ["Tip time", ledger.tip_time, False],
            ["Ledger manifest (SHA-256)", ledger.manifest_sha256, True],
            ["Ledger's checksums", "compared before tracing" if manifest.ledger_checked else "not compared", False],
            ["Tags edition", clean(manifest.tags_edition, 100), True],
            ["Tags last modified", clean(manifest.tags_lastmod or "not stated", 40), False],
            ["Wallets edition", clean(manifest.wallets_edition, 100), True],
            ["Rules (SHA-256)", manifest.rules_sha256, True],
            ["Program", clean(manifest.program, 100), False],
            ["Site file (SHA-256)", manifest.site_sha256, True],
            [
                "Excluded payments (SHA-256)",
                manifest.exclude_sha256 or "none given",
                bool(manifest.exclude_sha256),
            ],
        ],
        "packs": [
            [clean(str(pack.get(name) or "not stated"), 200) for name in ("title", "creator", "kind", "sha256")]
            for pack in manifest.packs
        ],
        "parameters": parameter_rows(manifest.parameters),
        "counts": parameter_rows(dict(manifest.counts)) if whole else [],
        "files": [[clean(file.path), file.sha256, number(file.size)] for file in manifest.files],
    }


def _rules() -> list[Block]:
    """Every rule of the program's rule set, in its order."""
    return [
        {
            "id": rule.id,
            "version": number(rule.version),
            "title": rule.title,
            "states": rule.states,
            "source": clean(rule.source, 1000),
            "error_rate": clean(rule.error_rate, 2000),
            "questions": list(rule.questions),
        }
        for rule in RULES.values()
    ]


def build_view(selection: Selection, lead_blocks: int, table_rows: int) -> dict[str, Any]:
    """Everything that the template sets, at most `lead_blocks` blocks and `table_rows` rows a table."""
    manifest, country = selection.manifest, selection.country
    named, unnamed = selection.named, selection.unnamed
    flow = build_flow(selection)
    creators = creators_of(manifest.packs)
    return {
        "country": None if country is None else {"code": country, "name": country_name(country)},
        "standing": STANDING,
        "review": review_mark(selection),
        "account": ACCOUNT,
        "cashout_account": CASHOUT_ACCOUNT,
        "tags_change": TAGS_CHANGE,
        "layers": {layer.value: text for layer, text in LAYERS.items()},
        "limits": [list(limit) for limit in LIMITS],
        "head": {
            "network": clean(manifest.ledger.network, 40),
            "height": number(manifest.ledger.tip_height),
            "time": manifest.ledger.tip_time,
            "hash": manifest.ledger.tip_hash,
            "tags": clean(manifest.tags_lastmod or "not stated", 40),
            "program": clean(manifest.program, 100),
        },
        "summary": summary(selection),
        "flow": draw(flow),
        "flow_alt": flow.describe(),
        "stops": stops(selection.leads),
        "leads": [lead_block(lead, place, creators) for place, lead in enumerate(named[:lead_blocks], 1)],
        "leads_total": len(named),
        "unnamed": [_unnamed_row(lead) for lead in unnamed[:table_rows]],
        "unnamed_total": len(unnamed),
        "cashouts": [
            cashout_block(cashout, place, creators) for place, cashout in enumerate(selection.cashouts[:lead_blocks], 1)
        ],
        "cashouts_total": len(selection.cashouts),
        "payouts": _payouts(selection, table_rows),
        "payouts_total": len(selection.payouts),
        "customers": _customers(selection, table_rows),
        "customers_total": len(selection.customers),
        "aside": _aside(selection, table_rows),
        "requests": request_blocks(selection, table_rows) if country is not None else [],
        "coverage": _coverage(selection, table_rows),
        "rules": _rules(),
        "snapshot": _snapshot(manifest, country is None),
    }
