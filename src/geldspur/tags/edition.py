"""An edition of tags, opened: what a fixed set of packs says about addresses."""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.tags.model import Actor, Counts, Pack, Tag
from geldspur.tags.taxonomy import ServiceKind, confidence_levels, kind_of

FORMAT = "geldspur-tags/1"
_EDITION = re.compile(r"[0-9a-f]{16}")
REPAIR = "remove the folder tags of the ledger, then add all packs again with: geldspur tags add"


class TagEdition:
    """The tags and actors of one edition, read-only, in the order of the files."""

    def __init__(self, folder: Path, manifest: dict[str, Any], tags: list[Tag], actors: dict[str, Actor]) -> None:
        self.folder = folder
        self.edition: str = manifest["edition"]
        self.network: str = manifest["network"]
        self.lastmod: str | None = manifest["lastmod"]
        """The newest date of a tag, as its pack writes it."""
        self.packs = [pack_of(row) for row in manifest["packs"]]
        self.tags = tags
        self.actors = actors

    def service_of(self, tag: Tag) -> str:
        """The name under which a tag's service is known: its actor's id, else its label."""
        return tag.actor or tag.label

    def jurisdictions_of(self, service: str) -> tuple[str, ...]:
        """ISO 3166-1 alpha-2 codes of the countries that a service answers to; empty where none is known."""
        actor = self.actors.get(service)
        return actor.jurisdictions if actor else ()

    def kind_of(self, tag: Tag) -> ServiceKind:
        """What kind of party a tag points to."""
        actor = self.actors.get(tag.actor) if tag.actor else None
        categories = actor.categories if actor else ()
        return kind_of(tag.category, categories, concepts=tag.concepts, abuse=tag.abuse)

    @cached_property
    def by_address(self) -> dict[str, list[Tag]]:
        """The tags of each address."""
        found: dict[str, list[Tag]] = {}
        for tag in self.tags:
            found.setdefault(tag.address, []).append(tag)
        return found


def open_tags(ledger_dir: Path) -> TagEdition:
    """The edition of tags in use on a ledger.

    Raises GeldspurError where no tags were added, or where the edition is damaged or of another version.
    """
    edition = current_edition(ledger_dir)
    if edition is None:
        raise GeldspurError(
            "no tags were added to this ledger",
            where=str(ledger_dir),
            todo="add some with: geldspur tags add --ledger DIR PACK.yaml...",
        )
    folder = ledger_dir / "tags" / edition
    manifest = read_manifest(folder)
    packs = {row["sha256"]: pack_of(row) for row in manifest["packs"]}
    levels = confidence_levels()
    try:
        tags = [_tag_of(row, packs, levels) for row in _rows(folder / "tags.jsonl", manifest)]
        actors = {row["id"]: _actor_of(row) for row in _rows(folder / "actors.jsonl", manifest)}
    except (KeyError, TypeError, ValueError) as error:
        raise GeldspurError(f"the tags are damaged: {error!r}", where=str(folder), todo=REPAIR) from None
    return TagEdition(folder, manifest, tags, actors)


def current_edition(ledger_dir: Path) -> str | None:
    """The id of the edition in use; None where there is none."""
    path = ledger_dir / "tags" / "current"
    try:
        edition = path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError) as error:
        raise GeldspurError(f"the edition of tags in use can't be read: {error}", where=str(path)) from None
    if not _EDITION.fullmatch(edition):
        raise GeldspurError("this file does not name an edition of tags", where=str(path), todo=REPAIR)
    return edition


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an edition; GeldspurError where it is missing, damaged or of another version."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise GeldspurError(f"the tags' manifest can't be read: {error}", where=str(path), todo=REPAIR) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise GeldspurError(
            f"these tags were written by another version (this program reads {FORMAT})",
            where=str(path),
            todo=REPAIR,
        )
    return manifest


def _rows(path: Path, manifest: dict[str, Any]) -> Iterable[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GeldspurError(f"the tags can't be read: {error}", where=str(path), todo=REPAIR) from None
    expected = next((f["sha256"] for f in manifest["files"] if f["path"] == path.name), None)
    if hashlib.sha256(data).hexdigest() != expected:
        raise GeldspurError("the tags differ from their manifest", where=str(path), todo=REPAIR)
    return map(json.loads, data.splitlines())


def pack_of(row: dict[str, Any]) -> Pack:
    """A pack as a manifest names it."""
    counts = Counts(**row["counts"])
    return Pack(row["title"], row["creator"], row["sha256"], row["kind"], row["size"], counts)


def tag_row(tag: Tag) -> dict[str, Any]:
    """A tag as a line of tags.jsonl; what its pack says once for all tags is in the manifest."""
    return {
        "address": tag.address,
        "script_type": tag.script_type.label,
        "payload": tag.payload.hex(),
        "label": tag.label,
        "actor": tag.actor,
        "category": tag.category,
        "concepts": tag.concepts,
        "abuse": tag.abuse,
        "source": tag.source,
        "confidence": tag.confidence,
        "is_cluster_definer": tag.is_cluster_definer,
        "lastmod": tag.lastmod,
        "pack": tag.pack_sha256,
        "line": tag.line,
    }


def _tag_of(row: dict[str, Any], packs: dict[str, Pack], levels: dict[str, int]) -> Tag:
    pack = packs[row["pack"]]
    return Tag(
        address=row["address"],
        script_type=ScriptType[row["script_type"].upper()],
        payload=bytes.fromhex(row["payload"]),
        label=row["label"],
        actor=row["actor"],
        category=row["category"],
        concepts=tuple(row["concepts"]),
        abuse=row["abuse"],
        source=row["source"],
        confidence=row["confidence"],
        confidence_level=levels[row["confidence"]],
        is_cluster_definer=row["is_cluster_definer"],
        lastmod=row["lastmod"],
        pack=pack.title,
        pack_sha256=pack.sha256,
        creator=pack.creator,
        line=row["line"],
    )


def actor_row(actor: Actor) -> dict[str, Any]:
    """An actor as a line of actors.jsonl."""
    return {
        "id": actor.id,
        "label": actor.label,
        "uri": actor.uri,
        "categories": actor.categories,
        "jurisdictions": actor.jurisdictions,
        "lastmod": actor.lastmod,
        "pack": actor.pack_sha256,
        "line": actor.line,
    }


def _actor_of(row: dict[str, Any]) -> Actor:
    return Actor(
        id=row["id"],
        label=row["label"],
        uri=row["uri"],
        categories=tuple(row["categories"]),
        jurisdictions=tuple(row["jurisdictions"]),
        lastmod=row["lastmod"],
        pack_sha256=row["pack"],
        line=row["line"],
    )
