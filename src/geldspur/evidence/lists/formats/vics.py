"""VICS 1.1 to 1.3 and 2.0: hash sets (`#Media`) and cases (`#Cases`), as public code writes and reads them.

The data model itself is under agreement. What is read here: `MD5`, `SHA1`, `Category`, `PhotoDNA`, and
`AlternativeHashes` of `HashName` and `HashValue`; where a media has no `MD5`, the one that all its `MediaFiles` have.
The country of the context's address says whose category numbers these are; versions 1 name none. A list's date is the
latest `DateUpdated`. `IsPrecategorized` and the totals of a case's header are not read, since exporters disagree about
them.
"""

import re
from collections.abc import Iterator
from typing import Any

from geldspur.evidence.lists.entry import (
    WIDTH,
    Entry,
    Facts,
    Item,
    Reading,
    Rejected,
    add_hash,
    digest_of,
    finished,
    words_of,
)
from geldspur.evidence.lists.formats.jsonlist import Shape, records
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task
from geldspur.wording import counted

_VERSION = re.compile(r"DataModels/(\d+(?:\.\d+)*)\.xml(?:/([^/$#]+))?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_ALTERNATIVES = 1000
_HASHES = ("MD5", "SHA1", "SHA256", "PhotoDNA")
_FIELDS = (*_HASHES, "Category", "AlternativeHashes", "MediaFiles")


def read(file: ListFile, task: Task, shape: Shape) -> Reading:
    """A VICS file whose media lie where `shape` says."""
    context = _VERSION.search(shape.context or "")
    version = context[1] if context else None
    facts = Facts(f"vics-{version}" if version else "vics", version=version, scheme=context[2] if context else None)
    return Reading(facts, _items(file, task, shape, facts))


def _items(file: ListFile, task: Task, shape: Shape, facts: Facts) -> Iterator[Item]:
    latest, from_files = "", 0
    for where, record in records(file, task, shape):
        if isinstance(record, Rejected):
            yield record
        else:
            entry, by_its_files = media(record, where)
            from_files += by_its_files
            yield entry
        updated = record.get("DateUpdated") if isinstance(record, dict) else None
        if isinstance(updated, str) and updated[:10] > latest and _DATE.match(updated):
            latest = updated[:10]
    facts.made = latest or None
    if from_files:
        facts.notes.append(
            f"MD5 read from MediaFiles, for want of their own, of {counted(from_files, 'entry', 'entries')}"
        )


def media(record: Any, where: str) -> tuple[Entry | Rejected, bool]:
    """One Media object, and whether its MD5 is that of its files."""
    if not isinstance(record, dict):
        return Rejected(where, "is no object"), False
    if "MD5" not in record:  # not every exporter keeps to the model's capitals
        spelt = {name.lower(): name for name in _FIELDS}
        record = {spelt.get(name.lower(), name): value for name, value in record.items()}
    entry = Entry(where=where, category=words_of(record.get("Category")))
    for name in _HASHES:
        add_hash(entry, name, record.get(name))
    by_its_files = record.get("MD5") in (None, "") and _add_md5_of_files(entry, record.get("MediaFiles"))
    alternatives = record.get("AlternativeHashes")
    if alternatives is not None and not isinstance(alternatives, list):
        entry.flaws.append("AlternativeHashes is no list")
        alternatives = None
    for alternative in (alternatives or [])[:_MOST_ALTERNATIVES]:
        if isinstance(alternative, dict):
            add_hash(entry, alternative.get("HashName"), alternative.get("HashValue"))
        else:
            entry.flaws.append("an alternative hash is no object")
    if alternatives and len(alternatives) > _MOST_ALTERNATIVES:
        entry.flaws.append(f"more than {_MOST_ALTERNATIVES:,} alternative hashes")
    return finished(entry), by_its_files


def _add_md5_of_files(entry: Entry, files: Any) -> bool:
    """Add the MD5 on which a media's files agree: they are names of one content. Where they differ, none is taken."""
    if not isinstance(files, list):
        return False
    told = {value for file in files if isinstance(file, dict) for name, value in file.items()
            if name.upper() == "MD5" and isinstance(value, str) and value}  # fmt: skip
    digests = {digest_of(value, WIDTH["md5"]) or value for value in told}
    if len(digests) > 1:
        entry.flaws.append("MediaFiles have different MD5")
    elif told:
        add_hash(entry, "MD5", min(told))
    return len(digests) == 1 and any(kind == "md5" for kind, _ in entry.digests)
