"""What an investigator starts from in a case: the site's addresses and a few known service addresses.

This file is the only gate between the truth of a case and the program under test. Two things pass: addresses
that the site issued for deposits, with the customer account that each was issued to (a seized shop database
would say so), and the known tags. Jurisdictions are those of the ActorPack that goes with the tags.
"""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from geldspur.accuracy.case import Case

# Where the invented exchanges are licensed. Nothing of the truth: the chain does not know it.
JURISDICTIONS = {"ex1": "US", "ex2": "KR", "ex3": "DE", "ex4": "GB", "ex5": "ES", "ex6": "CZ"}

_CATEGORIES = {"mixer": "mixing_service", "merchant": "market"}
_LASTMOD = date(2022, 7, 1)


@dataclass(frozen=True, slots=True)
class CaseInputs:
    """The files that the program under test may read."""

    site: Path
    tagpack: Path
    actorpack: Path


def write_inputs(case: Case, out: Path) -> CaseInputs:
    """Write site.csv, tagpack.yaml and actorpack.yaml of `case` into `out` (made if missing)."""
    out.mkdir(parents=True, exist_ok=True)
    inputs = CaseInputs(out / "site.csv", out / "tagpack.yaml", out / "actorpack.yaml")
    with inputs.site.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["address", "customer"])
        writer.writerows(site_rows(case))
    tags = case.table("known_tags")
    _write_yaml(inputs.tagpack, _tagpack(tags))
    _write_yaml(inputs.actorpack, _actorpack(sorted({tag["actor"] for tag in tags})))
    return inputs


def site_rows(case: Case) -> list[tuple[str, str]]:
    """(address, customer account) of every deposit address that the site issued, in order of the truth."""
    return [(a["address"], a["holder"]) for a in case.table("addresses") if a["role"] == "site_deposit"]


def _tagpack(tags: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "title": "Known service addresses",
        "creator": "case",
        "currency": "BTC",
        "network": "BTC",
        "confidence": "forensic_investigation",
        "is_cluster_definer": True,
        "lastmod": _LASTMOD,
        "tags": [
            {
                "address": tag["address"],
                "label": tag["actor"],
                "actor": tag["actor"],
                "category": _category(tag["actor"]),
                "source": "case file",
            }
            for tag in tags
        ],
    }


def _actorpack(actors: list[str]) -> dict[str, Any]:
    return {
        "title": "Actors of the case",
        "creator": "case",
        "lastmod": _LASTMOD.isoformat(),
        "actors": [
            {
                "id": actor,
                "label": actor,
                "uri": f"{actor}.example",
                "categories": [_category(actor)],
                "jurisdictions": [JURISDICTIONS[actor]] if actor in JURISDICTIONS else [],
            }
            for actor in actors
        ],
    }


def _category(actor: str) -> str:
    return "exchange" if actor.startswith("ex") else _CATEGORIES.get(actor, "service")


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
