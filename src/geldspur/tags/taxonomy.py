"""The vocabulary of packs: grades of confidence, concepts, and what kind of service a concept means.

Sources: GraphSense's confidence table and concept taxonomy (derived from the INTERPOL Darknet and
Cryptocurrencies Taxonomy), MIT licence. docs/tags.md gives the reason for the kind of each concept.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from importlib import resources

MISSING_GRADE = "unknown"
"""The grade of a tag that states none, as GraphSense's own tool has it."""


class ServiceKind(StrEnum):
    """What a tagged party is to somebody who follows money."""

    CUSTODIAL = "custodial"
    """Holds its customers' coins under accounts: a request can name the customer behind a transaction."""
    MIXER = "mixer"
    """Severs the trail on purpose; nothing is claimed through it."""
    OTHER_SERVICE = "other_service"
    """A service that pools many people's money without accounts that a request is likely to open."""
    PERSON_OR_ABUSE = "person_or_abuse"
    """Somebody or something that is no service: a person, an organisation, a victim, a crime."""
    UNKNOWN = "unknown"
    """The tag does not say."""


_CONCEPTS: dict[ServiceKind, str] = {
    ServiceKind.CUSTODIAL: "exchange wallet_service payment_processor atm",
    ServiceKind.MIXER: "mixing_service coinjoin mixing",
    ServiceKind.OTHER_SERVICE: """
        service market shop gambling faucet escrow_wallet ico_wallet miner mining_service filesharing index
        messaging_service search_engine hosting vpn nameservice defi defi_token defi_lending defi_dex
        defi_dex_pair defi_derivative defi_derivatives defi_bridge defi_dao defi_staking defi_custody
    """,
    ServiceKind.PERSON_OR_ABUSE: """
        organization user donation victim perpetrator
        abuse sexual_abuse child_sexual_abuse violence human_trafficking murder torture scam financial_crime
        investment_fraud ponzi_scheme pyramid_scheme money_laundering extortion sextortion phishing hacking
        service_hack account_hack exploit data_breach social_engineering malware drugs weapons
        payment_card_fraud ransomware sanction counterfeit extremism terrorism terrorism_financing
        black_list gov_black_list
    """,
    ServiceKind.UNKNOWN: """
        concept unknown entity behaviour source mention website_mention forum_mention gray_usage white_usage
        cold_wallet hot_wallet warm_wallet deposit_wallet dark_web item collectible white_list gov_white_list
        deployer funder
    """,
}
_KIND = {concept: kind for kind, concepts in _CONCEPTS.items() for concept in concepts.split()}
CONCEPTS = frozenset(_KIND)
# Being on a list says nothing about what the party is.
_LISTS = frozenset({"sanction", "black_list", "gov_black_list"})


@cache
def confidence_levels() -> dict[str, int]:
    """Level (5 to 100) of each grade of confidence by its id."""
    table = resources.files("geldspur.tags").joinpath("data/confidence.json").read_text("utf-8")
    return {grade: entry["level"] for grade, entry in json.loads(table)["grades"].items()}


def kind_of(
    category: str | None,
    actor_categories: Iterable[str] = (),
    *,
    concepts: Iterable[str] = (),
    abuse: str | None = None,
) -> ServiceKind:
    """What kind of party a tag points to.

    The tag's own category decides, else its concepts, else its actor's categories: the first of the three
    that says anything about the kind. Of several, a mixer counts before all, then the order of `ServiceKind`.
    A tag that reports an abuse is never custodial: a thief's address is often filed under the robbed
    exchange.
    """
    kind = ServiceKind.UNKNOWN
    for said in ((category,) if category else (), concepts, actor_categories):
        kinds = {_KIND.get(concept, ServiceKind.UNKNOWN) for concept in said}
        kind = next((k for k in (ServiceKind.MIXER, *ServiceKind) if k in kinds), ServiceKind.UNKNOWN)
        if kind != ServiceKind.UNKNOWN:
            break
    if abuse and abuse not in _LISTS and kind in (ServiceKind.CUSTODIAL, ServiceKind.UNKNOWN):
        return ServiceKind.PERSON_OR_ABUSE
    return kind
