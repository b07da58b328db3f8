"""NCMEC's hash sharing, version 2: pages of its XML, and entries as JSON with the names of python-threatexchange.

XML: `queryResult/images|videos/{image,video,deletedImage,deletedVideo}` with `id`, `member`, `timestamp`,
`classification` and `fingerprints/{md5,sha1,pdna,pdq,…}`. A `deleted…` record is a tombstone: it withdraws the entry of
the same member and id, wherever in the file that stands, unless the entry is newer. `feedback` (other members' votes)
is not read.
"""

from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists.entry import (
    Deleted,
    Entry,
    Facts,
    Item,
    Reading,
    Rejected,
    add_hash,
    finished,
    words_of,
)
from geldspur.evidence.lists.formats.jsonlist import Shape, records
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task

_CHUNK = 1 << 16
_LONGEST_TEXT = 1 << 20
_ENTRIES = {"image", "video", "deletedimage", "deletedvideo"}
_FIELDS = {"id", "timestamp", "classification"}
_DEEPEST = 64

Record = dict[str, Any]


def read_xml(file: ListFile, task: Task) -> Reading:
    """Pages of the XML interface, saved as a file."""
    facts = Facts("ncmec", version="2", scheme="NCMEC")
    return Reading(facts, _items(lambda t: _xml_records(file, t, facts), task))


def read_json(file: ListFile, task: Task, shape: Shape) -> Reading:
    """Entries as objects with `fingerprints`, and `deleted` for tombstones."""
    facts = Facts("ncmec", scheme="NCMEC")
    return Reading(facts, _items(lambda t: _json_records(file, t, shape), task))


def _items(opened: Callable[[Task | None], Iterator[tuple[str, Record | Rejected]]], task: Task) -> Iterator[Item]:
    """Two passes, because a tombstone may stand after what it withdraws."""
    tombs: dict[tuple[str, str], str] = {}
    for _, record in opened(None):
        if isinstance(record, dict) and record["deleted"] and record["id"]:
            tombs[_key(record)] = max(tombs.get(_key(record), ""), record["timestamp"] or "9")
    for where, record in opened(task):
        if isinstance(record, Rejected):
            yield record
        elif record["deleted"] or tombs.get(_key(record), "") >= (record["timestamp"] or "0"):
            yield Deleted()
        else:
            yield _entry(record, where)


def _key(record: Record) -> tuple[str, str]:
    return str(record["member"]), str(record["id"])


def _entry(record: Record, where: str) -> Entry | Rejected:
    entry = Entry(where=where, category=words_of(record["classification"]))
    for name, value in record["fingerprints"]:
        # large ones (TMK+PDQF, Videntifier) are a link to be followed, without text
        add_hash(entry, name, value or (None if name.lower() in ("md5", "sha1", "pdq") else "linked"))
    return finished(entry)


def _json_records(file: ListFile, task: Task | None, shape: Shape) -> Iterator[tuple[str, Record | Rejected]]:
    for where, found in records(file, task, shape):
        if isinstance(found, Rejected):
            yield where, found
        elif not isinstance(found, dict):
            yield where, Rejected(where, "is no object")
        elif not isinstance(prints := found.get("fingerprints") or {}, dict):
            yield where, Rejected(where, "its fingerprints are no object")
        else:
            yield (
                where,
                {
                    "id": found.get("id"),
                    "member": found.get("member_id"),
                    "timestamp": str(found.get("timestamp") or ""),
                    "classification": found.get("classification"),
                    "deleted": bool(found.get("deleted")),
                    "fingerprints": [(str(name), value) for name, value in prints.items()],
                },
            )


def _xml_records(file: ListFile, task: Task | None, facts: Facts) -> Iterator[tuple[str, Record | Rejected]]:
    with file.open(task) as stream:
        page = _Page(facts, "UTF-8" if stream.recoded else None)
        try:
            while chunk := stream.read(_CHUNK):
                page.parser.Parse(chunk, False)
                yield from page.taken()
            page.parser.Parse(b"", True)
            yield from page.taken()
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encodings that it can't read
            why = expat.errors.messages.get(error.code) if isinstance(error, expat.ExpatError) else "unknown encoding"
            raise GeldspurError(
                f"the list's XML is broken: {why}",
                where=f"{file.path}, line {page.parser.CurrentLineNumber:,}",
                todo="get a sound copy of the list: half a list would call known files unknown",
            ) from error
        except _Unsafe as error:
            raise UsageError(
                f"the list's XML {error}", where=f"{file.path}, line {page.parser.CurrentLineNumber:,}",
                todo="no list needs that; ask its sender",
            ) from error  # fmt: skip


class _Unsafe(Exception):
    """The XML asks for something that only attacks need."""


class _Page:
    """Takes records out of expat's events. Entities and document types are refused before they are expanded."""

    def __init__(self, facts: Facts, encoding: str | None) -> None:
        self.parser = expat.ParserCreate(encoding, namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartDoctypeDeclHandler = self._unsafe
        self.parser.EntityDeclHandler = self._unsafe
        self.parser.ExternalEntityRefHandler = self._unsafe
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._facts = facts
        self._path: list[str] = []
        self._record: Record | None = None
        self._words: list[str] = []
        self._length = self._line = 0
        self._done: list[tuple[str, Record | Rejected]] = []

    def taken(self) -> list[tuple[str, Record | Rejected]]:
        """The records that are complete, once."""
        done, self._done = self._done, []
        return done

    def _unsafe(self, *_: Any) -> int:
        raise _Unsafe("declares a document type or entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition("}")[2].lower()
        if len(self._path) >= _DEEPEST:
            raise _Unsafe(f"is nested deeper than {_DEEPEST} elements")
        if not self._path and tag != "queryresult":
            raise _Unsafe("is no answer of NCMEC's hash sharing: its root is not queryResult")
        self._path.append(tag)
        self._words, self._length = [], 0
        if tag in ("images", "videos") and (made := attributes.get("maxTimestamp")):
            self._facts.made = max(self._facts.made or "", made)
        if len(self._path) == 3 and self._path[1] in ("images", "videos"):
            self._line = self.parser.CurrentLineNumber
            self._record = dict.fromkeys(("id", "member", "timestamp", "classification"))
            self._record |= {"deleted": tag.startswith("deleted"), "fingerprints": [], "known": tag in _ENTRIES}
        elif self._record is not None and tag == "member" and len(self._path) == 4:
            self._record["member"] = attributes.get("id")

    def _text(self, words: str) -> None:
        self._length += len(words)
        if self._length > _LONGEST_TEXT:
            raise _Unsafe(f"has a text of more than {_LONGEST_TEXT:,} characters")
        self._words.append(words)

    def _end(self, _: str) -> None:
        tag = self._path.pop()
        text = "".join(self._words).strip()
        self._words, self._length = [], 0
        if self._record is None:
            return
        if len(self._path) == 3 and tag in _FIELDS:
            self._record[tag] = text
        elif len(self._path) == 4 and self._path[3] == "fingerprints":
            self._record["fingerprints"].append((tag, text))
        elif len(self._path) == 2:
            where = f"line {self._line:,}"
            known = self._record.pop("known")
            self._done.append((where, self._record if known else Rejected(where, "is neither image nor video")))
            self._record = None
