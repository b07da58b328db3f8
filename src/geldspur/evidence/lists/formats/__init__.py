"""Which reader a list needs: recognised by its content, never by its name."""

from geldspur.errors import UsageError
from geldspur.evidence.lists.entry import Reading
from geldspur.evidence.lists.formats import ncmec, nsrl, plain, threatexchange, vics, vpdq
from geldspur.evidence.lists.formats.jsonlist import Shape, is_json, shape_of
from geldspur.evidence.lists.listfile import SQLITE, ListFile
from geldspur.progress import Task

FORMATS = ("vics", "caid", "ncmec", "threatexchange", "vpdq", "nsrl", "plain", "pdq")
"""What may be named: how a file is read is then fixed, its exact version is still its own word."""

_HEAD = 1 << 12


def begin(file: ListFile, format: str | None, task: Task) -> Reading:
    """Begin to read a list with the reader named, or the one that its content asks for."""
    file.refuse_archives()
    if format is not None and format not in FORMATS:
        raise UsageError(f"no format is called {format!r}", todo=f"name one of: {', '.join(FORMATS)}")
    if file.size == 0:
        raise UsageError("the list is an empty file", where=str(file.path), todo="get the list again")
    reading = _begin(file, format, task)
    if format == "caid":
        reading.facts.format, reading.facts.scheme = "caid", "UK"
    return reading


def _begin(file: ListFile, format: str | None, task: Task) -> Reading:
    head = file.head(_HEAD)
    if format == "pdq":
        return plain.read_pdq(file, task)
    if format == "nsrl" or (format is None and head.startswith(SQLITE)):
        return nsrl.read(file, task)
    if format != "plain" and is_json(head):
        return _json(file, format, task)
    if format != "plain" and head.lstrip()[:1] == b"<":
        if format not in (None, "ncmec"):
            raise _other(file, format, "XML")
        return ncmec.read_xml(file, task)
    if b"\x00" in head:
        raise UsageError(
            "the list is neither text nor a database that is known here",
            where=str(file.path),
            todo="give one of the formats of docs/evidence-lists.md",
        )
    return plain.read(file, task)


def _json(file: ListFile, format: str | None, task: Task) -> Reading:
    shape = shape_of(file)
    named = "vics" if format == "caid" else format
    if named is not None and named != shape.format:
        raise _other(file, format, f"JSON as {shape.format} has it")
    return _JSON[shape.format](file, task, shape)


def _read_vpdq(file: ListFile, task: Task, _: Shape) -> Reading:
    return vpdq.read(file, task)


_JSON = {"vics": vics.read, "ncmec": ncmec.read_json, "threatexchange": threatexchange.read, "vpdq": _read_vpdq}


def _other(file: ListFile, format: str | None, found: str) -> UsageError:
    return UsageError(f"the list is not {format}: it is {found}", where=str(file.path), todo="leave out --format")
