"""JSON lists, streamed: where their records lie, and each record in turn.

A list is recognised by the first record in it: the objects that hold a key which only its format's records have. The
path to them is the path of all others, so that a case's media and a set's media are read alike.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ijson

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists.entry import Rejected
from geldspur.evidence.lists.formats.lines import blocks
from geldspur.evidence.lists.listfile import ListFile, ListStream
from geldspur.progress import Task

_HEAD = 1 << 16
_MOST_EVENTS = 1_000_000
_DIGITS = 1000
_PIECE = 1 << 12
"""Bytes whose events are made at once: each carries its whole path, which may be as long as the text."""
_LONGEST_PREFIX = 10_000
"""Of what lies deeper no list's records are; each level makes all that follows slower."""
_BESIDE = {"MediaFiles", "Exifs", "AlternativeHashes", "CaseMetadata", "descriptors"}
_KEYS = {
    "vics": {"md5", "sha1", "mediaid", "mediasize", "photodna", "isprecategorized", "alternativehashes"},
    "ncmec": {"fingerprints"},
    "threatexchange": {"indicator", "raw_indicator"},
}
_CONTEXT = re.compile(r'"(?:@odata\.context|odata\.metadata)"\s*:\s*"([^"\\]{1,300})"')


@dataclass(frozen=True, slots=True)
class Shape:
    """`format`: 'vics', 'ncmec', 'threatexchange' or 'vpdq'. `prefix`: ijson's path to the records; None: one a line.

    `keyed`: they are the values of an object there. `context`: the OData context that stands at the beginning.
    """

    format: str
    prefix: str | None
    keyed: bool = False
    context: str | None = None


def is_json(head: bytes) -> bool:
    """Does a text begin as JSON does?"""
    return head.lstrip()[:1] in (b"{", b"[")


def shape_of(file: ListFile) -> Shape:
    """Which format a JSON list has, and where its records lie.

    Raises:
        UsageError: no record of a known format is found.
        GeldspurError: the JSON is broken before the first one.
    """
    head = file.head(_HEAD)
    if (shape := _line_shape(head)) is not None:
        return shape
    context = _CONTEXT.search(head.decode("utf-8", "replace"))
    found = context[1] if context else None
    with file.open() as stream:
        try:
            for number, (prefix, event, value) in enumerate(ijson.parse(Digits(stream), buf_size=_PIECE)):
                if (format := _format_of(prefix, event, value)) is not None:
                    above, _, last = prefix.rpartition(".")
                    return Shape(format, prefix if last == "item" else above, last != "item", found)
                if number > _MOST_EVENTS or len(prefix) > _LONGEST_PREFIX:
                    break
        except (ijson.JSONError, ValueError, ArithmeticError) as error:
            raise broken(file, stream, 0, error) from error
    if found and "projectvic" in found.lower():
        return Shape("vics", "value.item.Media.item" if found.endswith("#Cases") else "value.item", context=found)
    raise UsageError(
        "the JSON holds no record of a hash list that is known here",
        where=str(file.path),
        todo="name its format with --format, or see docs/evidence-lists.md",
    )


def _format_of(prefix: str, event: str, value: Any) -> str | None:
    if event == "map_key" and prefix and not _BESIDE & set(prefix.split(".")):
        for format, keys in _KEYS.items():
            if value.lower() in keys:
                return format
    if event == "string" and prefix == "item" and re.fullmatch(r"[0-9A-Fa-f]{64},\d+,[\d.]+", value):
        return "vpdq"
    if event == "map_key" and value == "hash" and re.fullmatch(r"\d+", prefix):
        return "vpdq"
    return None


def _line_shape(head: bytes) -> Shape | None:
    """A list of one JSON object a line is told by its first line being whole."""
    line, end, rest = head.partition(b"\n")
    if not line.strip().startswith(b"{") or (end and rest.strip() and not rest.lstrip().startswith(b"{")):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    for format, keys in _KEYS.items():
        if keys & {name.lower() for name in record}:
            return Shape(format, None)
    return None


def records(file: ListFile, task: Task | None, shape: Shape) -> Iterator[tuple[str, Any]]:
    """Each record with the words for where it stands; a broken structure is a GeldspurError.

    One object a line: a line that is no JSON comes as `Rejected`.
    """
    if shape.prefix is None:
        yield from _line_records(file, task)
        return
    with file.open(task) as stream:
        number = 0
        try:
            if shape.keyed:
                found: Iterator[Any] = (record for _, record in ijson.kvitems(Digits(stream), shape.prefix))
            else:
                found = ijson.items(Digits(stream), shape.prefix)
            for record in found:
                number += 1
                yield f"record {number:,}", record
        except (ijson.JSONError, ValueError, ArithmeticError, RecursionError) as error:
            raise broken(file, stream, number, error) from error


def _line_records(file: ListFile, task: Task | None) -> Iterator[tuple[str, Any]]:
    with file.open(task) as stream:
        for block in blocks(stream):
            if isinstance(block, Rejected):
                yield block.where, block
                continue
            for number, line in block.lines():
                if not line:
                    continue
                where = f"line {number:,}"
                try:
                    yield where, json.loads(line)
                except (ValueError, RecursionError):
                    yield where, Rejected(where, "is no JSON")


class Digits:
    """A stream for ijson, which ends the whole program over a number of more digits than Python converts (4,300)."""

    def __init__(self, stream: ListStream) -> None:
        self._stream = stream
        self._before = b""

    def read(self, count: int = -1) -> bytes:
        """The stream's bytes; ValueError at thousands of digits in a row, which no list holds."""
        chunk = self._stream.read(count)
        seen = self._before + chunk
        if any(seen[at : at + _DIGITS].isdigit() for at in range(0, len(seen) - _DIGITS + 1, _DIGITS)):
            raise ValueError("a number of thousands of digits")
        self._before = seen[-2 * _DIGITS :]
        return chunk


def broken(file: ListFile, stream: ListStream, number: int, error: Exception) -> GeldspurError:
    """The JSON ends or breaks; its text is not repeated, for it may be anything."""
    why = "ends before its end" if isinstance(error, ijson.IncompleteJSONError) else "is broken"
    return GeldspurError(
        f"the list's JSON {why}",
        where=f"{file.path}, after record {number:,}, before byte {stream.consumed:,} of its text",
        todo="get a sound copy of the list: half a list would call known files unknown",
    )
