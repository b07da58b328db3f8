"""ThreatExchange's JSON: indicators or descriptors, a page (`data`), a list, or one object a line.

`type` says what `indicator` (or `raw_indicator`) is: HASH_PDQ, HASH_MD5, HASH_VIDEO_MD5, HASH_SHA1, HASH_SHA256 are
compared here. A vPDQ indicator (HASH_VIDEO_VPDQ) holds its frames as JSON; they are one entry. Records with
`should_delete` are tombstones; they withdraw the indicator with the same id.
"""

import json
from collections.abc import Iterator
from typing import Any

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
from geldspur.evidence.lists.formats.plain import add_feature, type_of
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task


def read(file: ListFile, task: Task, shape: Shape) -> Reading:
    """A ThreatExchange file whose records lie where `shape` says."""
    return Reading(Facts("threatexchange", scheme="tags"), _items(file, task, shape))


def _items(file: ListFile, task: Task, shape: Shape) -> Iterator[Item]:
    tombs = {
        _key(record)
        for _, record in records(file, None, shape)
        if isinstance(record, dict) and record.get("should_delete")
    }
    for where, record in records(file, task, shape):
        if isinstance(record, Rejected):
            yield record
        elif not isinstance(record, dict):
            yield Rejected(where, "is no object")
        elif record.get("should_delete") or _key(record) in tombs:
            yield Deleted()
        else:
            yield _entry(record, where)


def _key(record: dict[str, Any]) -> tuple[str, ...]:
    """What a tombstone has in common with what it withdraws."""
    if record.get("id") is not None:
        return (str(record["id"]),)
    return str(record.get("type")), str(record.get("indicator"))


def _entry(record: dict[str, Any], where: str) -> Entry | Rejected:
    entry = Entry(where=where, category=words_of(_tags(record)))
    indicator = record.get("indicator", record.get("raw_indicator"))
    if isinstance(indicator, dict):
        indicator = indicator.get("indicator")
    named = record.get("type", record.get("indicator_type"))
    if not isinstance(named, str):
        return Rejected(where, "does not say which type its indicator is")
    if (kind := type_of(named)) == "vPDQ" and isinstance(indicator, str) and indicator.lstrip().startswith("["):
        _add_frames(entry, indicator)
    else:
        add_hash(entry, kind, indicator)
    return finished(entry)


def _add_frames(entry: Entry, text: str) -> None:
    try:
        frames = json.loads(text)
    except (ValueError, RecursionError):
        frames = []
    for frame in frames or [""]:
        cells = frame.split(",") if isinstance(frame, str) else []
        if len(cells) == 3:
            add_feature(entry, cells[0], cells[1])
        else:
            entry.flaws.append("a frame is not HASH,QUALITY,SECOND")


def _tags(record: dict[str, Any]) -> str | None:
    """The tags of a record and of its descriptors."""
    descriptors = record.get("descriptors")
    below = descriptors.get("data") if isinstance(descriptors, dict) else None
    words: set[str] = set()
    for holder in [record, *(below if isinstance(below, list) else [])]:
        tags = holder.get("tags") if isinstance(holder, dict) else None
        tags = tags.get("data") if isinstance(tags, dict) else tags
        for tag in tags if isinstance(tags, list) else []:
            text = tag.get("text") if isinstance(tag, dict) else tag
            words |= {text} if isinstance(text, str) else set()
    return " ".join(sorted(words)) or None
