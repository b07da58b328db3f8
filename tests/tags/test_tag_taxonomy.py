import csv
from pathlib import Path

import pytest
import yaml

from geldspur.tags.taxonomy import CONCEPTS, ServiceKind, confidence_levels, kind_of


def test_the_table_of_grades_is_graphsenses(shared: Path) -> None:
    with (shared / "real" / "tagpacks" / "schema" / "confidence.csv").open(encoding="utf-8") as file:
        expected = {row["id"]: int(row["level"]) for row in csv.DictReader(file)}
    assert confidence_levels() == expected
    assert len(expected) == 14


def test_every_concept_of_the_taxonomy_has_a_kind(shared: Path) -> None:
    taxonomy = yaml.safe_load((shared / "real" / "tagpacks" / "schema" / "concepts.yaml").read_text("utf-8"))
    names = {name for key, entry in taxonomy.items() if key != "scheme" for name in (key, entry["id"])}
    assert names == CONCEPTS


@pytest.mark.parametrize(
    ("category", "actor", "kind"),
    [
        ("exchange", (), ServiceKind.CUSTODIAL),
        ("wallet_service", (), ServiceKind.CUSTODIAL),
        ("coinjoin", ("exchange",), ServiceKind.MIXER),
        (None, ("organization", "mixing_service", "exchange"), ServiceKind.MIXER),
        (None, ("organization", "exchange"), ServiceKind.CUSTODIAL),
        (None, ("organization", "service"), ServiceKind.OTHER_SERVICE),
        (None, ("drugs", "market", "weapons"), ServiceKind.OTHER_SERVICE),
        (None, ("sanction", "exchange"), ServiceKind.CUSTODIAL),
        ("user", ("exchange",), ServiceKind.PERSON_OR_ABUSE),
        # how a wallet is used says nothing of whose it is
        ("cold_wallet", ("exchange",), ServiceKind.CUSTODIAL),
        ("no_such_concept", (), ServiceKind.UNKNOWN),
        (None, (), ServiceKind.UNKNOWN),
    ],
)
def test_a_tags_category_decides_before_its_actors(
    category: str | None, actor: tuple[str, ...], kind: ServiceKind
) -> None:
    assert kind_of(category, actor) == kind


@pytest.mark.parametrize(
    ("category", "abuse", "kind"),
    [
        (None, "ransomware", ServiceKind.PERSON_OR_ABUSE),
        ("exchange", "service_hack", ServiceKind.PERSON_OR_ABUSE),
        ("exchange", "sanction", ServiceKind.CUSTODIAL),
        ("mixing_service", "money_laundering", ServiceKind.MIXER),
        ("market", "drugs", ServiceKind.OTHER_SERVICE),
    ],
)
def test_an_address_of_an_abuse_is_never_custodial(category: str | None, abuse: str, kind: ServiceKind) -> None:
    assert kind_of(category, abuse=abuse) == kind


def test_concepts_stand_in_for_a_missing_category() -> None:
    assert kind_of(None, ("organization",), concepts=("exchange",)) == ServiceKind.CUSTODIAL
