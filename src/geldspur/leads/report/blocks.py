"""Single rows of the report as plain values for the template: leads, cash-outs, and their parts.

The template gets strings that are ready to be set and never looks at markup in them; see `plain.clean`.
"""

from collections.abc import Mapping
from typing import Any

from geldspur.flows import StopKind
from geldspur.leads.report.plain import amount, btc, clean, number, sat, share
from geldspur.leads.report.selection import outpoint
from geldspur.leads.report.words import AGAINST_NONE_CHECKED, AGAINST_NONE_FOUND, NOT_REVIEWED, STOPS
from geldspur.leads.schema import (
    Alternative,
    Cashout,
    Explanation,
    Inference,
    Join,
    Lead,
    Output,
    Review,
    Site,
    Source,
    Statement,
    Step,
    Stop,
    TagRef,
    Trail,
)

AGAINST_SHOWN = 20  # statements; the data file has them all

Block = dict[str, Any]
Creators = Mapping[str, str]


def output_block(output: Output) -> Block:
    """An output with its address, value and block."""
    return {
        "outpoint": outpoint(output),
        "address": clean(output.address) if output.address else "no address form (bare script)",
        "amount": amount(output.value_sat),
        "sat": sat(output.value_sat),
        "btc": btc(output.value_sat),
        "time": output.time,
        "height": number(output.height),
        "block": output.block_hash,
    }


def site_text(site: Site) -> str:
    """The row of the site file with its carried columns."""
    columns = "; ".join(f"{clean(name, 60)}: {clean(value) or '-'}" for name, value in site.columns.items())
    return f"line {site.row}" + (f" ({columns})" if columns else "")


def grade_text(tag: TagRef, creators: Creators) -> str:
    """`attributed by CREATOR, PACK (GRADE, level N of 100)`."""
    level = "no level stated" if tag.confidence_level is None else f"level {tag.confidence_level} of 100"
    by = ", ".join(clean(part, 120) for part in (creators.get(tag.pack), tag.pack) if part)
    return f"attributed by {by} ({clean(tag.confidence, 60)}, {level})"


def creators_of(packs: list[dict[str, Any]]) -> Creators:
    """Who made which pack, by title; packs of one title by different creators are left out."""
    made: dict[str, set[str]] = {}
    for pack in packs:
        made.setdefault(str(pack.get("title")), set()).add(str(pack.get("creator") or ""))
    return {title: names.pop() for title, names in made.items() if len(names) == 1}


def tag_block(tag: TagRef | None, creators: Creators) -> Block | None:
    """Who attributes which address to a service, on what grounds."""
    if tag is None:
        return None
    return {
        "by": grade_text(tag, creators),
        "label": clean(tag.label, 120),
        "address": clean(tag.address),
        "source": clean(tag.source) or "not stated",
        "category": clean(tag.category or "not stated", 80),
        "lastmod": clean(tag.lastmod or "not stated", 40),
    }


def join_block(join: Join) -> Block:
    """Two addresses held to be one wallet, and the transactions that say so."""
    return {
        "rule": clean(join.rule, 60),
        "from": clean(join.from_address),
        "to": clean(join.to_address),
        "chain": [
            {"txid": clean(txid), "address": clean(address)}
            for txid, address in zip(join.transactions, join.addresses[1:], strict=False)
        ],
    }


def step_block(step: Step) -> Block:
    """One transaction of a path."""
    return {
        "outpoint": f"{step.txid}:{step.vout}",
        "vin": "" if step.vin is None else f"input {step.vin}",
        "rule": clean(step.rule, 60) if step.rule else "",
        "time": step.time,
        "height": number(step.height),
        "btc": btc(step.value_sat),
        "sat": sat(step.value_sat),
    }


def stop_block(stop: Stop) -> Block:
    """Where following ended, and why."""
    name, _ = STOPS[StopKind(stop.kind)]
    return {"kind": stop.kind, "name": name, "detail": clean(stop.detail), "txid": clean(stop.txid or "")}


def alternative_block(alternative: Alternative) -> Block:
    """Another reading of where the money came from."""
    return {
        "service": clean(alternative.service, 120) if alternative.service else "no service named",
        "share": share(alternative.share),
        "path": [step_block(step) for step in alternative.path],
        "stop": stop_block(alternative.stop) if alternative.stop else None,
    }


def inference_block(inference: Inference, shown: Join | None) -> Block:
    """A rule as it was applied, without the join that the row shows on its own."""
    parameters = ", ".join(f"{key} = {_plain(value)}" for key, value in sorted(inference.parameters.items()))
    return {
        "rule": f"{clean(inference.rule, 60)} version {inference.version}",
        "error_rate": clean(inference.error_rate, 1000),
        "parameters": clean(parameters) or "none",
        "joins": [join_block(join) for join in inference.joins if join != shown],
    }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} = {_plain(part)}" for key, part in sorted(value.items())) + ")"
    if isinstance(value, list):
        return "(" + ", ".join(_plain(part) for part in value) + ")"
    return str(value)


def parameter_rows(parameters: dict[str, Any]) -> list[list[str]]:
    """Parameters as pairs of name and value, by name."""
    return [[clean(key, 80), clean(_plain(value))] for key, value in sorted(parameters.items())]


def statement_block(statement: Statement) -> Block:
    """One sentence and its layer."""
    return {"layer": statement.layer, "text": clean(statement.text, 1000)}


def explanation_block(explanation: Explanation) -> Block:
    """Another explanation and whether it was looked into."""
    return {
        "id": clean(explanation.id, 40),
        "text": clean(explanation.text),
        "checked": explanation.checked,
        "finding": clean(explanation.finding),
    }


def review_block(review: Review) -> Block:
    """The second examiner's word."""
    return {
        "examiner": clean(review.examiner or "", 120),
        "time": clean(review.time or "", 40),
        "result": clean(review.result, 200),
        "done": reviewed(review),
    }


def reviewed(review: Review) -> bool:
    """Whether a second examiner has signed."""
    return review.result != NOT_REVIEWED and bool(review.examiner)


def _grounds(row: Trail, shown: Join | None) -> Block:
    checked = any(explanation.checked for explanation in row.explanations)
    probability = row.confidence.probability
    return {
        "band": row.confidence.band,
        "probability": "not calibrated, so none is given" if probability is None else f"{probability:.3f}",
        "path": [step_block(step) for step in row.path],
        "stop": stop_block(row.stop),
        "inferences": [inference_block(inference, shown) for inference in row.inferences],
        "explanations": [explanation_block(explanation) for explanation in row.explanations],
        "against": [statement_block(statement) for statement in row.against[:AGAINST_SHOWN]],
        "against_total": len(row.against),
        "against_none": AGAINST_NONE_FOUND if checked else AGAINST_NONE_CHECKED,
        "statements": [statement_block(statement) for statement in row.statements],
        "review": review_block(row.review),
    }


def exposure_text(source: Source) -> str:
    """How near the service is, in words."""
    hops = "" if source.hops is None else f"{number(source.hops)} transaction{'' if source.hops == 1 else 's'}"
    if source.exposure == "direct":
        return "direct: the withdrawal itself pays the site"
    if source.exposure == "indirect":
        return f"indirect: {hops or 'some transactions'} after the withdrawal, the payment included"
    return "none: no service named"


def service_name(service: str | None) -> str:
    """A service's name, or the words for its absence."""
    return clean(service, 120) if service else "no service named"


def lead_block(lead: Lead, place: int, creators: Creators) -> Block:
    """All that the report says about one lead; `place` counts from 1."""
    source = lead.source
    return {
        "place": place,
        "payment": output_block(lead.payment),
        "site": site_text(lead.site),
        "service": service_name(source.service),
        "jurisdictions": jurisdiction_text(source.jurisdictions),
        "exposure": exposure_text(source),
        "share": share(source.share),
        "withdrawal": output_block(source.withdrawal) if source.withdrawal else None,
        "tag": tag_block(source.tag, creators),
        "tag_join": join_block(source.tag_join) if source.tag_join else None,
        "alternatives": [alternative_block(alternative) for alternative in lead.alternatives],
        **_grounds(lead, source.tag_join),
    }


def cashout_block(cashout: Cashout, place: int, creators: Creators) -> Block:
    """All that the report says about one cash-out; `place` counts from 1."""
    later = f"{number(cashout.hops)} transaction{'' if cashout.hops == 1 else 's'} after the sweep"
    return {
        "place": place,
        "payment": output_block(cashout.payment),
        "service": service_name(cashout.service),
        "jurisdictions": jurisdiction_text(cashout.jurisdictions),
        "exposure": "the sweep itself pays the deposit" if cashout.hops == 0 else f"{later}, the deposit included",
        "tag": tag_block(cashout.tag, creators),
        "tag_join": join_block(cashout.tag_join) if cashout.tag_join else None,
        **_grounds(cashout, cashout.tag_join),
    }


def jurisdiction_text(jurisdictions: list[str]) -> str:
    """Country codes, or the words for their absence."""
    return ", ".join(clean(code, 40) for code in jurisdictions) if jurisdictions else "not stated by the source"
