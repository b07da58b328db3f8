"""Lists of lines: bare digests, what the sum programs write, hashdeep, CSV with and without a header, NSRL's old text.

What 64 hexadecimal digits are can't be seen: SHA-256 or PDQ. A header, a type in the line or the shape of
ThreatExchange's files tells; else they are taken as SHA-256, and the list carries a note that says so.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from geldspur.errors import UsageError
from geldspur.evidence.lists.entry import (
    NO_QUALITY,
    Block,
    DigestKind,
    Entry,
    Facts,
    Item,
    Reading,
    Rejected,
    add_hash,
    finished,
    kind_of,
    known_kind,
    quality_of,
    words_of,
)
from geldspur.evidence.lists.formats.lines import LineBlock, blocks, equal_lines
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task

Parse = Callable[[str, str], Item | None]
"""A line and the words for where it stands, to what it holds; None: nothing is to be read from it."""

_BY_DIGITS: dict[int, DigestKind] = {32: "md5", 40: "sha1", 64: "sha256"}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BSD = re.compile(r"(MD5|SHA1|SHA256|SHA2-256) ?\(.*\) = ([0-9A-Fa-f]+)", re.IGNORECASE)
_TYPED = {"md5": "md5", "video_md5": "md5", "photo_md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq"}
_EXCHANGED = re.compile(r"[0-9A-Fa-f]{32,64},\d*,\d{4}-\d\d-\d\dT[^,]*(,.*)?")
_FEATURE = re.compile(r"\d+,\d+,[0-9A-Fa-f]{64}(,[\d.]+)?")
_COMPACT = re.compile(r"[0-9A-Fa-f]{64},\d+,[\d.]+")
_SEPARATORS = ",;\t|"
_HEAD = 1 << 16
_CATEGORY = {"category", "classification", "grade"}
_HASH_NAMES = {"hash", "hashvalue", "signal", "indicator", "rawindicator", "value"}
_TYPE_NAMES = {"type", "hashtype", "hashname", "signaltype", "indicatortype", "algorithm"}
_NSRL_2 = {"sha1", "md5", "crc32", "filename", "filesize", "productcode"}
_UNBALANCED = "its quotes don't balance"
_NO_DIGEST = "no digest of 32, 40 or 64 hexadecimal digits"
_NOTE_64 = "64 hexadecimal digits were taken as SHA-256; if they are PDQ hashes, make the list again with --format pdq"


def read(file: ListFile, task: Task) -> Reading:
    """A list of lines, its shape recognised from its first lines."""
    head = _head_lines(file)
    first = head[0] if head else ""
    if first.startswith("%%%% HASHDEEP"):
        return _hashdeep(file, task, head)
    if _EXCHANGED.fullmatch(first):
        return _loose(file, task, Facts("threatexchange", scheme="tags"), _exchanged)
    if _FEATURE.fullmatch(first) or _COMPACT.fullmatch(first):
        reading = _loose(file, task, Facts("vpdq"), _feature)
        reading.items = one_video(reading.items)
        return reading
    if (header := _header(first)) is not None:
        return _table(file, task, header)
    facts = Facts("plain")
    return _loose(file, task, facts, lambda line, where: _bare(line, where, facts), fast=first)


def read_pdq(file: ListFile, task: Task) -> Reading:
    """A list of lines in which 64 hexadecimal digits are PDQ hashes."""
    return _loose(file, task, Facts("pdq"), _bare_pdq)


def _head_lines(file: ListFile) -> list[str]:
    data = file.head(_HEAD)
    lines = [line for _, line in LineBlock(1, data).lines()]
    return [line for line in lines if line and not line.startswith("#")]


# Lines that each speak for themselves


def _loose(file: ListFile, task: Task, facts: Facts, parse: Parse, fast: str = "") -> Reading:
    digits = len(fast) if len(fast) in _BY_DIGITS and _HEX.fullmatch(fast) else 0
    if digits == 64:
        facts.notes.append(_NOTE_64)
    return Reading(facts, _loose_items(file, task, parse, digits))


def _loose_items(file: ListFile, task: Task, parse: Parse, digits: int) -> Iterator[Item]:
    with file.open(task) as stream:
        for block in blocks(stream):
            if isinstance(block, Rejected):
                yield block
                continue
            digests = equal_lines(block.data, digits) if digits else None
            if digests is not None:
                yield Block(_BY_DIGITS[digits], digests)
                continue
            for number, line in block.lines():
                if line and not line.startswith("#") and (item := parse(line, f"line {number:,}")) is not None:
                    yield item


def _bare(line: str, where: str, facts: Facts) -> Item:
    """A digest, or several, at a line's beginning; `HASH  NAME`, `MD5 (NAME) = HASH`, `TYPE HASH`."""
    entry = Entry(where=where)
    if match := _BSD.fullmatch(line):
        add_hash(entry, match[1].replace("2-", ""), match[2])
        return finished(entry)
    line = line.removeprefix("\\")
    words = line.split(None, 1) or [""]
    if len(words) == 2 and (kind := _TYPED.get(words[0].lower())):
        add_hash(entry, kind, words[1].strip())
        return finished(entry)
    begins_row = line[len(words[0]) :].startswith("\t")
    separator = "\t" if begins_row else next((s for s in _SEPARATORS if s in words[0]), None)
    cells = _cells(line, separator) if separator else words[:1]
    if cells is None:
        return Rejected(where, _UNBALANCED)
    for kind, text in _leading_digests(cells):
        add_hash(entry, kind, text)
        if kind == "sha256" and _NOTE_64 not in facts.notes:
            facts.notes.append(_NOTE_64)
    return Rejected(where, _NO_DIGEST) if entry.is_blank else entry


def _leading_digests(cells: list[str]) -> Iterator[tuple[DigestKind, str]]:
    """The first digests that stand side by side, one of a kind: what follows may be a name that looks like one."""
    seen: set[DigestKind] = set()
    for text in cells:
        kind = _BY_DIGITS.get(len(text)) if _HEX.fullmatch(text) else None
        if kind is None and not seen:
            continue
        if kind is None or kind in seen:
            return
        seen.add(kind)
        yield kind, text


def _bare_pdq(line: str, where: str) -> Item:
    entry = Entry(where=where)
    words = re.split(r"[\s,;|]+", line.strip('"'))
    if words[0].lower() == "pdq" and len(words) > 1:
        words.pop(0)
    add_hash(entry, "pdq", words[0].strip('"'))
    return finished(entry)


def _exchanged(line: str, where: str) -> Item:
    """`HASH,ID,TIME,TAGS`, as hasher-matcher-actioner's sample data are: 64 digits are PDQ."""
    entry = Entry(where=where)
    cells = line.split(",", 3)
    kind = {32: "md5", 40: "sha1", 64: "pdq"}.get(len(cells[0]), "pdq")
    add_hash(entry, kind, cells[0])
    entry.category = words_of(cells[3]) if len(cells) > 3 else None
    return finished(entry)


def _feature(line: str, where: str) -> Item:
    """`FRAME,QUALITY,HASH[,SECOND]` (vpdqio.cpp) or `HASH,QUALITY,SECOND` (python-threatexchange's compact form)."""
    entry = Entry(where=where)
    cells = [cell.strip() for cell in line.split(",")]
    at = 2 if len(cells) > 2 and len(cells[2]) == 64 else 0
    add_feature(entry, cells[at], cells[1] if len(cells) > 1 else None)
    return finished(entry)


def add_feature(entry: Entry, pdq: object, quality: object) -> None:
    """One frame of a vPDQ file: a hash that must state its quality."""
    if (known := quality_of(quality)) is None:
        entry.flaws.append("quality is not a number from 0 to 100")
    else:
        add_hash(entry, "pdq", pdq, known)


def one_video(frames: Iterator[Item]) -> Iterator[Item]:
    """A vPDQ file is one video, so that its frames are one entry; frames that can't be read stay rejections."""
    video = Entry(where="the video")
    for frame in frames:
        if isinstance(frame, Entry):
            video.pdqs += frame.pdqs
        else:
            yield frame
    if video.pdqs:
        yield video


# Tables


@dataclass(slots=True)
class _Header:
    separator: str
    names: list[str]
    hashes: dict[int, str] = field(default_factory=dict)
    untyped: int | None = None
    type: int | None = None
    category: int | None = None
    quality: int | None = None


def _cells(line: str, separator: str) -> list[str] | None:
    """A line's cells; None where its quotes don't balance. A cell never goes on in the next line.

    Otherwise one stray quote would swallow the lines after it.
    """
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    try:
        rows = list(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else None


def _header(line: str) -> _Header | None:
    """The columns that a header names; None where the line is no header of hashes."""
    separator = max(_SEPARATORS, key=line.count)
    names = _cells(line, separator)
    if names is None:
        return None
    header = _Header(separator, ["".join(c for c in name.lower() if c.isalnum()) for name in names])
    for at, name in enumerate(header.names):
        if kind := known_kind(name):
            header.hashes[at] = kind
        elif name in _HASH_NAMES:
            header.untyped = at
        elif name in _TYPE_NAMES:
            header.type = at
        elif name in _CATEGORY:
            header.category = at
        elif name == "quality":
            header.quality = at
    if header.hashes:
        header.untyped = None  # then a column "value" is about something else
    return header if header.hashes or header.untyped is not None else None


def _table(file: ListFile, task: Task, header: _Header) -> Reading:
    old_nsrl = set(header.names) >= _NSRL_2
    facts = Facts("nsrl-rds-2" if old_nsrl else "csv", kind="benign" if old_nsrl else "material")
    return Reading(facts, _table_items(file, task, header, facts))


def _table_items(file: ListFile, task: Task, header: _Header, facts: Facts) -> Iterator[Item]:
    is_first = True
    with file.open(task) as stream:
        for block in blocks(stream):
            if isinstance(block, Rejected):
                yield block
                continue
            for number, line in block.lines():
                if not line or line.startswith("#"):
                    continue
                if is_first:
                    is_first = False
                    continue
                yield _row(line, f"line {number:,}", header, facts)


def _row(line: str, where: str, header: _Header, facts: Facts) -> Item:
    cells = _cells(line, header.separator)
    if cells is None:
        return Rejected(where, _UNBALANCED)
    entry = Entry(where=where)
    if header.quality is not None and header.quality < len(cells) and cells[header.quality]:
        quality = quality_of(cells[header.quality])
        if quality is None:
            entry.flaws.append("quality is not a number from 0 to 100")
    else:
        quality = NO_QUALITY
    for at, kind in header.hashes.items():
        if at < len(cells) and (kind != "pdq" or quality is not None):
            add_hash(entry, kind, cells[at], quality or 0)
    if header.untyped is not None and header.untyped < len(cells):
        text = cells[header.untyped]
        named = cells[header.type] if header.type is not None and header.type < len(cells) else None
        kind = type_of(named) if named else _BY_DIGITS.get(len(text), "sha256")
        add_hash(entry, kind, text, quality or 0)
        if not named and kind == "sha256" and _NOTE_64 not in facts.notes:
            facts.notes.append(_NOTE_64)
    if header.category is not None and header.category < len(cells):
        entry.category = words_of(cells[header.category])
    return finished(entry)


def type_of(name: str) -> str:
    """The kind that a type's name stands for, as ThreatExchange writes it: HASH_PDQ, HASH_VIDEO_MD5, video_md5."""
    plain = name.lower().removeprefix("hash_").removeprefix("video_").removeprefix("photo_")
    return kind_of(plain)


def _hashdeep(file: ListFile, task: Task, head: list[str]) -> Reading:
    columns = head[1].removeprefix("%%%%").strip().split(",") if len(head) > 1 and head[1].startswith("%%%%") else []
    wanted = {at: name for at, name in enumerate(columns) if name in ("md5", "sha1", "sha256")}
    if not wanted:
        raise UsageError("the hashdeep file has no column of MD5, SHA-1 or SHA-256", where=str(file.path))
    facts = Facts("hashdeep", version=head[0].partition("HASHDEEP-")[2] or None)

    def parse(line: str, where: str) -> Item | None:
        if line in head[:2]:
            return None
        if line.startswith("%%%%"):
            raise UsageError(
                "a second header with other columns is inside the hashdeep file",
                where=f"{file.path}, {where}",
                todo="split the file there",
            )
        entry = Entry(where=where)
        cells = line.split(",", len(columns) - 1)
        for at, kind in wanted.items():
            add_hash(entry, kind, cells[at] if at < len(cells) else "cut")
        return finished(entry)

    return _loose(file, task, facts, parse)
