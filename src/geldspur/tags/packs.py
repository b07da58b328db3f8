"""One TagPack or ActorPack: its bytes in, its tags or actors and all problems out.

Format: GraphSense's tagpack_schema.yaml and actorpack_schema.yaml; what is mandatory there and what is asked
here is in docs/tags.md.
"""

import hashlib
from dataclasses import dataclass

from geldspur.bitcoin.addresses import ForeignAddress, MalformedAddress, decode, encode
from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError
from geldspur.tags.fields import Fields, Problems, Unusable, clean
from geldspur.tags.model import Actor, Counts, Pack, PackKind, Problem, Tag
from geldspur.tags.taxonomy import MISSING_GRADE, confidence_levels
from geldspur.tags.yamltext import Mapping, Scalar, Sequence, YamlError, load

_HEADER_FIELDS = frozenset({"title", "creator", "description", "owner", "is_public"})
_TAG_FIELDS = frozenset(
    {
        "label",
        "source",
        "currency",
        "network",
        "context",
        "confidence",
        "is_cluster_definer",
        "lastmod",
        "category",
        "abuse",
        "address",
        "tx_hash",
        "actor",
        "concepts",
        "tag_type",
    }
)
_ACTOR_FIELDS = frozenset({"id", "uri", "label", "lastmod", "categories", "jurisdictions", "context", "aliases"})
_TODO = "see docs/tags.md for what a pack looks like"


@dataclass(frozen=True, slots=True)
class ParsedPack:
    """What a pack holds; one of `tags` and `actors` is empty."""

    pack: Pack
    data: bytes
    """The pack as it was given."""
    tags: list[Tag]
    actors: list[Actor]
    problems: list[Problem]


def parse_pack(data: bytes, file: str, network: Network) -> ParsedPack:
    """Read a pack; `file` names it in problems.

    Raises GeldspurError where it is no pack at all: not YAML, not a mapping, no title or creator, neither a
    list of tags nor one of actors. A single bad entry is left out and reported.
    """
    problems = Problems(file)
    root = _load(data, file)
    header = Fields(root, root, problems)
    kind, entries = _entries(root, file)
    title, creator = (_of_header(header, name, file) for name in ("title", "creator"))
    counts = Counts()
    sha256 = hashlib.sha256(data).hexdigest()
    pack = Pack(title, creator, sha256, kind, len(data), counts)
    tags: list[Tag] = []
    actors: list[Actor] = []
    if kind == "tagpack":
        header.check_names(_HEADER_FIELDS | _TAG_FIELDS | {"tags"})
        tags = _TagReader(pack, root, network, problems).read(entries)
    else:
        header.check_names(_HEADER_FIELDS | _ACTOR_FIELDS | {"actors"})
        actors = _read_actors(pack, root, entries, problems)
    return ParsedPack(pack, data, tags, actors, problems.list())


def _load(data: bytes, file: str) -> Mapping:
    try:
        root = load(data)
    except YamlError as error:
        raise GeldspurError(f"not a tag pack: {error.reason}", where=f"{file}, line {error.line}", todo=_TODO) from None
    if not isinstance(root, Mapping):
        raise GeldspurError("not a tag pack: the file is not a YAML mapping", where=file, todo=_TODO)
    return root


def _entries(root: Mapping, file: str) -> tuple[PackKind, Sequence]:
    named = [name for name in ("tags", "actors") if name in root.items]
    if len(named) != 1:
        reason = "both tags and actors" if named else "neither tags nor actors"
        raise GeldspurError(f"not a tag pack: {reason} in it", where=file, todo=_TODO)
    entries = root.items[named[0]]
    if not isinstance(entries, Sequence):
        raise GeldspurError(
            f"not a tag pack: {named[0]} is not a list", where=f"{file}, line {entries.line}", todo=_TODO
        )
    return ("tagpack" if named[0] == "tags" else "actorpack"), entries


def _of_header(header: Fields, name: str, file: str) -> str:
    try:
        return header.required(name)
    except Unusable as error:
        raise GeldspurError(f"not a tag pack: {error.reason}", where=f"{file}, line {error.line}", todo=_TODO) from None


class _TagReader:
    """The tags of one pack."""

    def __init__(self, pack: Pack, header: Mapping, network: Network, problems: Problems) -> None:
        self._pack = pack
        self._header = header
        self._network = network
        self._problems = problems
        self._without_grade: list[int] = []
        self._levels = confidence_levels()

    def read(self, entries: Sequence) -> list[Tag]:
        counts = self._pack.counts
        kept: dict[tuple[object, ...], Tag] = {}
        for entry in entries.items:
            counts.read += 1
            try:
                if not isinstance(entry, Mapping):
                    raise Unusable(entry.line, self._pack.title, "a tag that is not a mapping")
                tag = self._read_one(Fields(entry, self._header, self._problems))
            except Unusable as error:
                counts.unusable += 1
                self._problems.add(error.line, error.text, f"{error.reason}; the tag is left out")
                continue
            if tag is None:
                continue
            said = (
                tag.address, tag.label, tag.actor, tag.category, tag.concepts, tag.abuse, tag.source,
                tag.confidence, tag.is_cluster_definer, tag.lastmod,
            )  # fmt: skip
            if said in kept:
                counts.duplicate += 1
            else:
                counts.kept += 1
                kept[said] = tag
        if self._without_grade:
            reason = f"no confidence stated for {len(self._without_grade)} tags; graded '{MISSING_GRADE}'"
            self._problems.add(self._without_grade[0], "confidence", reason)
        return list(kept.values())

    def _read_one(self, fields: Fields) -> Tag | None:
        """The tag, or None where it was counted as something else; raises Unusable."""
        counts = self._pack.counts
        fields.check_names(_TAG_FIELDS)
        currency = self._currency(fields)
        if currency != "BTC":
            counts.skip_currency(currency)
            return None
        if fields.find("address") is None and fields.find("tx_hash") is not None:
            counts.on_transaction += 1
            return None
        text = fields.required("address")
        try:
            script_type, payload = decode(text, self._network)
        except ForeignAddress:
            counts.other_network += 1
            return None
        except MalformedAddress as error:
            counts.malformed += 1
            self._problems.add(fields.own.items.get("address", fields.own).line, error.text, error.reason)
            return None
        address = encode(script_type, payload, self._network)
        assert address is not None
        grade, level = self._grade(fields)
        return Tag(
            address=address,
            script_type=script_type,
            payload=payload,
            label=fields.required("label"),
            actor=fields.text("actor"),
            category=fields.concept("category"),
            concepts=fields.concepts("concepts"),
            abuse=fields.concept("abuse"),
            source=fields.required("source"),
            confidence=grade,
            confidence_level=level,
            is_cluster_definer=fields.flag("is_cluster_definer"),
            lastmod=fields.day("lastmod"),
            pack=self._pack.title,
            pack_sha256=self._pack.sha256,
            creator=self._pack.creator,
            line=fields.own.line,
        )

    def _currency(self, fields: Fields) -> str:
        """The network that a tag is for: its own network or currency, else the header's."""
        for scope in (fields.own, self._header):
            for name in ("network", "currency"):
                node = scope.items.get(name)
                if node is not None and not (isinstance(node, Scalar) and not node.text):
                    return clean(node, name).upper()
        raise Unusable(fields.own.line, "currency", "neither network nor currency is stated")

    def _grade(self, fields: Fields) -> tuple[str, int]:
        node = fields.find("confidence")
        if node is None:
            self._without_grade.append(fields.own.line)
            return MISSING_GRADE, self._levels[MISSING_GRADE]
        grade = clean(node, "confidence")
        level = self._levels.get(grade)
        if level is None:
            raise Unusable(node.line, grade, "not a grade of confidence")
        return grade, level


def _read_actors(pack: Pack, header: Mapping, entries: Sequence, problems: Problems) -> list[Actor]:
    counts = pack.counts
    kept: dict[str, Actor] = {}
    for entry in entries.items:
        counts.read += 1
        try:
            if not isinstance(entry, Mapping):
                raise Unusable(entry.line, pack.title, "an actor that is not a mapping")
            actor = _read_actor(Fields(entry, header, problems), pack.sha256)
        except Unusable as error:
            counts.unusable += 1
            problems.add(error.line, error.text, f"{error.reason}; the actor is left out")
            continue
        if actor.id in kept:
            counts.duplicate += 1
            problems.add(actor.line, actor.id, f"described before, on line {kept[actor.id].line}; left out")
        else:
            counts.kept += 1
            kept[actor.id] = actor
    return list(kept.values())


def _read_actor(fields: Fields, sha256: str) -> Actor:
    fields.check_names(_ACTOR_FIELDS)
    return Actor(
        id=fields.required("id"),
        label=fields.required("label"),
        uri=fields.text("uri"),
        categories=fields.concepts("categories"),
        jurisdictions=fields.countries("jurisdictions"),
        lastmod=fields.day("lastmod"),
        pack_sha256=sha256,
        line=fields.own.line,
    )
