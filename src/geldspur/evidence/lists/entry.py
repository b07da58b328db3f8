"""What a reader of a list hands over: entries, what it could not read, and what the list says of itself."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

DigestKind = Literal["md5", "sha1", "sha256"]
ListKind = Literal["material", "benign"]
DIGESTS: tuple[DigestKind, ...] = get_args(DigestKind)
WIDTH = {"md5": 16, "sha1": 20, "sha256": 32, "pdq": 32}
NO_QUALITY = 255
LEAST_QUALITY = 50
"""ThreatExchange discards PDQ hashes of lower quality: too little structure to compare (`pdq/README.md`)."""

EMPTY = {
    "md5": bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
    "sha1": bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    "sha256": bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
}
"""Digests of no bytes at all: every empty file has them, so that a match would say nothing."""


@dataclass(slots=True)
class Facts:
    """What a list says of itself; a reader may learn some of it only while it reads."""

    format: str
    version: str | None = None
    made: str | None = None
    scheme: str | None = None
    kind: ListKind = "material"
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """One entry. `digests`: (kind, digest); `pdqs`: (hash, quality or `NO_QUALITY`).

    `others`: names of fingerprints that can't be compared here. `flaws`: fields that could not be read, in an entry
    whose other fields could.
    """

    digests: list[tuple[DigestKind, bytes]] = field(default_factory=list)
    pdqs: list[tuple[bytes, int]] = field(default_factory=list)
    category: str | None = None
    others: set[str] = field(default_factory=set)
    flaws: list[str] = field(default_factory=list)
    where: str = ""

    @property
    def is_blank(self) -> bool:
        """Does it hold no fingerprint of any kind?"""
        return not (self.digests or self.pdqs or self.others)


@dataclass(frozen=True, slots=True)
class Block:
    """Many entries of one digest each, without category: the quick way for plain lists. uint8[n, width]."""

    kind: DigestKind
    digests: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be read: where it stands (line or record), and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A record that withdraws an entry, or an entry that the list itself withdraws."""


Item = Entry | Block | Rejected | Deleted


@dataclass(slots=True)
class Reading:
    """A list as its reader gives it: `facts` are complete when `items` are exhausted."""

    facts: Facts
    items: Iterator[Item]


_BASE64_LENGTH = {24: 16, 28: 20, 44: 32}


def digest_of(value: Any, width: int) -> bytes | None:
    """The digest that a field holds, as hexadecimal or (some exporters) base64 text; None where it holds none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        if len(text) == 2 * width:
            return binascii.unhexlify(text)
        if _BASE64_LENGTH.get(len(text)) == width:
            raw = base64.b64decode(text, validate=True)
            return raw if len(raw) == width else None
    except ValueError:
        return None
    return None


def quality_of(value: Any) -> int | None:
    """A PDQ quality, 0 to 100; None where the value is none."""
    try:
        quality = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(quality) if 0 <= quality <= 100 else None


_KNOWN = {
    "md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq",
    "photodna": "PhotoDNA", "pdna": "PhotoDNA", "photodna3": "PhotoDNA", "tmkpdqf": "TMK+PDQF", "tmk": "TMK+PDQF",
    "ssvhpdna": "SSVH-PDNA", "ssvhsaferhash": "SSVH-Safer", "netclean": "NetClean", "videntifier": "Videntifier",
    "vpdq": "vPDQ", "videovpdq": "vPDQ",
}  # fmt: skip
_LONGEST_NAME, _LONGEST_WORDS, _LARGEST = 40, 200, 1e9


@lru_cache(maxsize=4096)
def known_kind(name: str) -> str | None:
    """The kind of fingerprint that a name stands for: 'md5', 'sha1', 'sha256', 'pdq' or another known one's name."""
    return _KNOWN.get("".join(c for c in name.lower() if c.isalnum()))


def kind_of(name: Any) -> str:
    """As `known_kind`; where the name is not known, the name itself, fit to be printed."""
    text = name if isinstance(name, str) else "unnamed"
    if (known := known_kind(text[:_LONGEST_WORDS])) is not None:
        return known
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST_NAME]).strip() or "unnamed"


def add_hash(entry: Entry, name: Any, value: Any, quality: int = NO_QUALITY) -> None:
    """Put one named hash into an entry: compared if it can be, named if it can't, a flaw if it is malformed.

    Empty values (null, "", [], {}) say that there is none.
    """
    if value is None or value in ("", [], {}):
        return
    kind = kind_of(name)
    if kind not in WIDTH:
        entry.others.add(kind)
        return
    digest = digest_of(value, WIDTH[kind])
    if digest is None:
        entry.flaws.append(f"{kind} is not {2 * WIDTH[kind]} hexadecimal digits")
    elif kind == "pdq":
        entry.pdqs.append((digest, quality))
    elif (kind, digest) not in entry.digests:
        entry.digests.append((kind, digest))  # type: ignore[arg-type]


def finished(entry: Entry) -> Entry | Rejected:
    """The entry, or a rejection where it holds nothing that could be used."""
    if not entry.is_blank:
        return entry
    return Rejected(entry.where, entry.flaws[0] if entry.flaws else "holds no hash")


def words_of(value: Any) -> str | None:
    """A list's own words, fit to be printed: 1, 1.0 and "1" are the same, null and "" are none."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    if isinstance(value, float | Decimal) and -_LARGEST < value < _LARGEST and value == int(value):
        value = int(value)
    text = str(value)[: 2 * _LONGEST_WORDS].strip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text[:_LONGEST_WORDS] or None
