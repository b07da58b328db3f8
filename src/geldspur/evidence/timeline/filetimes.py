"""First-seen times of a scan's contents, and the recorded times that can't be true."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from geldspur.evidence.names import shown
from geldspur.evidence.timeline.events import SECOND, Event

_DAY = 86_400 * SECOND
_DOS_ZERO = 315_532_800 * SECOND  # 1980-01-01, the first day that FAT and zip can tell
_ENTRIES = """
    SELECT e.path, e.ordinal, e.born_ns, e.modified_ns, e.times_from, e.deleted, e.size, e.state,
           c.sha256, c.size, c.media
    FROM entry e LEFT JOIN content c ON c.id = e.content WHERE e.kind = 'file'
    ORDER BY c.sha256, c.size, e.path, e.ordinal
"""
_LOCAL = "local time of an unknown zone, read as if it were UTC: up to 14 hours off"
_MEDIA = {"image": "image", "video": "video"}


@dataclass(frozen=True, slots=True)
class Implausible:
    """A recorded time that is kept off the axis, and why."""

    path: str
    sha256: str | None
    at_ns: int
    source_of_time: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileTimes:
    """Contents at their first-seen times; how many have none, and how many entries are empty files."""

    events: list[Event]
    implausible: list[Implausible]
    timeless: int
    empty: int


def why_implausible(at_ns: int, scan_ns: int) -> str | None:
    """Why no file was made at this time; None where one may have been.

    Zones move a stored zero by up to a day, so the days beside 1970-01-01 and 1980-01-01 count too.
    """
    if at_ns < _DAY:
        return "1970-01-01 or before: what unset times are shown as"
    if abs(at_ns - _DOS_ZERO) < _DAY:
        return "1980-01-01: what FAT and zip store where no time is set"
    if at_ns > scan_ns:
        return "later than the scan"
    return None


def source_words(column: str, times_from: str | None) -> str:
    """Which time it is, and who recorded it in which zone."""
    by = times_from or "unknown"
    local = by == "zip-dos" or by.endswith("-local")
    return f"{column}, by {by}" + (f" ({_LOCAL})" if local else "")


def file_times(db: sqlite3.Connection, scan_ns: int, *, mask_names: bool = False) -> FileTimes:
    """Each distinct content, and each file without one, at the earliest plausible time of making or change.

    `scan_ns`: when the scan began; nothing that it found is younger.
    """
    named = _masked if mask_names else shown
    events: list[Event] = []
    implausible: list[Implausible] = []
    timeless = empty = 0
    rows = db.execute(_ENTRIES)
    for (sha256, size), group in groupby(rows, key=lambda row: (row[8], row[9])):
        names = list(group)
        if sha256 is not None and size == 0:
            empty += len(names)
            continue
        for same in [names] if sha256 is not None else [[name] for name in names]:
            found = [_times(row, scan_ns, named) for row in same]
            implausible += [one for _, wrong in found for one in wrong]
            candidates = [time for right, _ in found for time in right]
            if candidates:
                events.append(_event(candidates[0] if len(candidates) == 1 else min(candidates), same, named))
            else:
                timeless += 1
    return FileTimes(events, implausible, timeless, empty)


_Candidate = tuple[int, bytes, int, str, int]


def _times(
    row: tuple[Any, ...], scan_ns: int, named: Callable[[bytes], str]
) -> tuple[list[_Candidate], list[Implausible]]:
    """Plausible times of one name, as they sort: earliest first; and the others."""
    path, ordinal, born, modified, times_from, deleted, *_ = row
    sha256 = row[8].hex() if row[8] is not None else None
    right: list[_Candidate] = []
    wrong: list[Implausible] = []
    for column, at_ns in (("born", born), ("modified", modified)):
        if at_ns is None:
            continue
        words = source_words(column, times_from)
        reason = why_implausible(at_ns, scan_ns)
        if reason is None:
            right.append((at_ns, path, ordinal, words, deleted))
        else:
            wrong.append(Implausible(named(path), sha256, at_ns, words, reason))
    return right, wrong


def _event(first: _Candidate, names: list[tuple[Any, ...]], named: Callable[[bytes], str]) -> Event:
    at_ns, path, _, words, deleted = first
    *_, size, state, sha256, content_size, media = names[0]
    facts = [_MEDIA.get(media, "file")]
    if sha256 is None:
        facts.append(f"no digest ({state})")
    elif len(names) > 1:
        facts.append(f"{len(names):,} names hold these bytes, this one of the earliest time")
    if deleted:
        facts.append("deleted")
    return Event(
        at_ns,
        "file",
        ", ".join(facts),
        words,
        path=named(path),
        sha256=sha256.hex() if sha256 is not None else None,
        size=size if sha256 is None else content_size,
    )


def _masked(path: bytes) -> str:
    return f"name-{hashlib.sha256(path).hexdigest()[:16]}"


def scan_begun(events: Iterator[tuple[int, dict[str, Any]]]) -> str | None:
    """When the scan began, as its log says."""
    return next((record["time"] for _, record in events if record.get("kind") == "begun"), None)
