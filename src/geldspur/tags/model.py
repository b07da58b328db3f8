"""What the room hands out: tags, actors, packs, and the report of adding some."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from geldspur.bitcoin.scripts import ScriptType

PackKind = Literal["tagpack", "actorpack"]


@dataclass(frozen=True, slots=True)
class Tag:
    """What one source says about one address. Attribution, never fact."""

    address: str
    script_type: ScriptType
    payload: bytes
    """The hash or program, as `bitcoin.scripts.classify` gives it."""
    label: str
    actor: str | None
    category: str | None
    concepts: tuple[str, ...]
    abuse: str | None
    source: str
    confidence: str
    """The pack's grade, verbatim: an ordinal grade of the source, not a probability."""
    confidence_level: int
    """The grade's level in GraphSense's table, 5 to 100."""
    is_cluster_definer: bool
    lastmod: str | None
    """The date as the pack writes it."""
    pack: str
    """The pack's title."""
    pack_sha256: str
    creator: str
    line: int
    """Where in the pack the tag begins."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A service, organisation or person that tags point to."""

    id: str
    label: str
    uri: str | None
    categories: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    """ISO 3166-1 alpha-2 codes, upper-case, in the pack's order."""
    lastmod: str | None
    pack_sha256: str
    line: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a pack that was left out or ignored, and why."""

    file: str
    line: int
    text: str
    """What stands there: a value, or the name of a field."""
    reason: str


@dataclass(slots=True)
class Counts:
    """What became of the entries of packs. `read` is the sum of all others."""

    read: int = 0
    kept: int = 0
    other_currency: dict[str, int] = field(default_factory=dict)
    """Entries by the currency or network that they are for, where that isn't Bitcoin."""
    other_network: int = 0
    """Valid addresses of Bitcoin networks other than the ledger's."""
    malformed: int = 0
    """Addresses that no Bitcoin network has."""
    on_transaction: int = 0
    """Tags of a transaction instead of an address."""
    unusable: int = 0
    """Entries that lack something mandatory."""
    duplicate: int = 0
    """Entries that repeat another of the same pack."""

    def skip_currency(self, name: str) -> None:
        """Count one entry for something else than Bitcoin."""
        self.other_currency[name] = self.other_currency.get(name, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """The counts for a file, the currencies sorted."""
        return {**asdict(self), "other_currency": dict(sorted(self.other_currency.items()))}


def total(counts: Sequence[Counts]) -> Counts:
    """The sum of the counts of several packs."""
    result = Counts()
    for one in counts:
        for name, value in one.as_dict().items():
            if name != "other_currency":
                setattr(result, name, getattr(result, name) + value)
        for currency, number in one.other_currency.items():
            result.other_currency[currency] = result.other_currency.get(currency, 0) + number
    return result


@dataclass(frozen=True, slots=True)
class Pack:
    """A TagPack or ActorPack of an edition."""

    title: str
    creator: str
    sha256: str
    kind: PackKind
    size: int
    counts: Counts

    @property
    def key(self) -> tuple[str, str, str]:
        """What a newer version of the same pack has in common with this one."""
        return self.creator, self.title, self.kind

    def as_dict(self) -> dict[str, Any]:
        """The pack's row in a manifest."""
        return {
            "title": self.title,
            "creator": self.creator,
            "sha256": self.sha256,
            "kind": self.kind,
            "size": self.size,
            "counts": self.counts.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class AddReport:
    """What adding packs did."""

    edition: str
    previous: str | None
    """The edition that was in use before; None where these are the first tags."""
    changed: bool
    added: tuple[Pack, ...]
    unchanged: tuple[Pack, ...]
    """Packs that the ledger held already, byte for byte."""
    replaced: tuple[Pack, ...]
    """Older packs of the same creator, title and kind as an added one; they are not in the new edition."""
    counts: Counts
    """Over the packs named in this call, those held already included."""
    problems: list[Problem]
    total_tags: int
    total_actors: int
    unknown_actors: tuple[str, ...]
    """Actors that tags of the edition name and no ActorPack describes: their jurisdictions are unknown."""
