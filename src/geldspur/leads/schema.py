"""The shape of every row that `geldspur leads` writes.

Facts (read from the ledger), inferences (a rule applied to facts) and attributions (what a source says about
an address) are three layers: a `Statement` belongs to exactly one of them.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from geldspur.flows import StopKind

SCHEMA_VERSION = 1


class Layer(StrEnum):
    """What a statement rests on."""

    FACT = "fact"
    INFERENCE = "inference"
    ATTRIBUTION = "attribution"


class Band(StrEnum):
    """How strong a lead is; only strong and moderate leads leave the house."""

    STRONG = "strong"
    MODERATE = "moderate"
    WEAK = "weak"
    NONE = "none"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=True)


class Output(_Row):
    """A transaction output. Fact."""

    txid: str
    vout: int
    address: str | None = Field(description="None where the script has no address form")
    value_sat: int
    height: int
    time: str = Field(description="the block's time, UTC, ends in Z")
    block_hash: str


class Site(_Row):
    """The row of the site file that a payment answers to."""

    row: int = Field(description="line number in the site file, the header being line 1")
    columns: dict[str, str] = Field(description="the row's other columns, as they stand in the file")


class TagRef(_Row):
    """Who says that an address is a service's. Attribution."""

    address: str
    label: str
    actor: str | None
    category: str | None
    pack: str
    creator: str | None = None
    source: str
    confidence: str = Field(description="the TagPack's grade, verbatim: an ordinal source grade, not a probability")
    confidence_level: int | None = None
    lastmod: str | None


class Join(_Row):
    """Why two addresses are held to be one wallet. Inference."""

    from_address: str
    to_address: str
    rule: str
    transactions: list[str] = Field(description="the co-spending transactions that join the two, in order")
    addresses: list[str] = Field(description="the addresses in between, one more than transactions")


class Source(_Row):
    """Where a payment's money came from."""

    service: str | None
    exposure: Literal["direct", "indirect", "none"]
    hops: int | None
    withdrawal: Output | None
    jurisdictions: list[str]
    tag: TagRef | None
    share: float | None = Field(description="the part of the payment's value that the named service accounts for")
    tag_join: Join | None = Field(default=None, description="from the tagged address to the withdrawal's input")


class Confidence(_Row):
    """How far a lead may be relied on."""

    probability: float | None = None
    band: Band


class Step(_Row):
    """One transaction of a path; `vout` is the output that the path follows, `vin` the input it came in by."""

    txid: str
    vin: int | None
    vout: int
    height: int
    time: str
    value_sat: int
    rule: str | None = Field(description="the rule that carries the path into this transaction; None on the first")


class Stop(_Row):
    """Where and why following the money ended."""

    kind: StopKind
    txid: str | None = None
    service: str | None = None
    detail: str


class Alternative(_Row):
    """Another service that part of the money came from, or another reading of it."""

    service: str | None
    share: float | None
    path: list[Step]
    stop: Stop | None = None


class Inference(_Row):
    """A rule as it was applied to this lead."""

    rule: str
    version: int
    parameters: dict[str, Any]
    error_rate: str = Field(description="measured rate with interval and population, or 'not measured'")
    joins: list[Join] = Field(default_factory=list)


class Explanation(_Row):
    """Another explanation of what is seen, and whether it was looked into."""

    id: str
    text: str
    checked: bool
    finding: str


class Statement(_Row):
    """One sentence of one layer."""

    layer: Layer
    text: str


class Review(_Row):
    """The second examiner's word; it never changes the band."""

    examiner: str | None = None
    time: str | None = None
    result: str = "not reviewed"


class Trail(_Row):
    """What leads and cash-outs have in common: the grounds of a claim."""

    confidence: Confidence
    path: list[Step]
    stop: Stop
    inferences: list[Inference]
    explanations: list[Explanation]
    against: list[Statement]
    statements: list[Statement]
    review: Review = Review()


class Lead(Trail):
    """One payment that the site received, and the service its money came from."""

    payment: Output
    site: Site
    source: Source
    alternatives: list[Alternative]
    excluded: bool = Field(default=False, description="named by --exclude as the investigators' own payment")


class Cashout(Trail):
    """A deposit of the site's money at a service."""

    payment: Output
    service: str | None
    hops: int
    jurisdictions: list[str]
    tag: TagRef | None
    tag_join: Join | None = Field(default=None, description="from the tagged address to the deposit address")


class Payout(_Row):
    """Something else that the site's money paid."""

    payment: Output
    kind: Literal["payout", "refund"]
    hops: int
    path: list[Step]
    statements: list[Statement]


class NotPayment(_Row):
    """An output to the site that is not counted as a payment, with the reason."""

    payment: Output
    site: Site
    reason: Literal["dust", "forced-reuse", "own-change"]
    threshold_sat: int | None
    detail: str


class Malformed(_Row):
    """A line of the site file that could not be used."""

    line: int
    text: str
    reason: str


class Coverage(_Row):
    """What became of every line of the site file. The numbers add up."""

    lines: int
    addresses: int
    paid: int
    never_seen: int
    duplicate: list[Malformed]
    malformed: list[Malformed]
    other_network: list[Malformed]


class Customer(_Row):
    """The payments of one customer (one value of the site file's customer column, else one address)."""

    customer: str
    addresses: list[str]
    payments: int
    value_sat: int
    first_time: str
    last_time: str
    services: list[str] = Field(description="services named by strong or moderate leads")
    leads: list[str] = Field(description="txid:vout of each payment")


class LedgerState(_Row):
    """The snapshot that a result was made from."""

    network: str
    tip_height: int
    tip_hash: str
    tip_time: str
    manifest_sha256: str


class FileHash(_Row):
    """A file and the digest of its bytes."""

    path: str
    sha256: str
    size: int


class LeadsManifest(_Row):
    """What a leads directory was made from, and the digests of its files."""

    format: Literal["geldspur-leads/1"] = "geldspur-leads/1"
    program: str
    ledger: LedgerState
    ledger_checked: bool = Field(False, description="were the ledger's bytes compared with their checksums before?")
    tags_edition: str
    tags_lastmod: str | None
    packs: list[dict[str, Any]]
    wallets_edition: str
    rules_sha256: str
    parameters: dict[str, Any]
    site_sha256: str
    exclude_sha256: str | None
    counts: dict[str, int]
    files: list[FileHash]
