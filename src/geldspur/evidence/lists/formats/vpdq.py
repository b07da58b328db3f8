"""vPDQ features as JSON: a list of `"HASH,QUALITY,SECOND"`, or an object of frames with `hash` and `quality`.

One file is one video, and so one entry. Frames of low quality are counted and not searched, as vPDQ does.
"""

from collections.abc import Iterator

import ijson

from geldspur.evidence.lists.entry import Entry, Facts, Item, Reading, Rejected, finished
from geldspur.evidence.lists.formats.jsonlist import Digits, Shape, broken, records
from geldspur.evidence.lists.formats.plain import add_feature, one_video
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task


def read(file: ListFile, task: Task) -> Reading:
    """A JSON file of features, in either shape."""
    is_list = file.head(64).lstrip()[:1] == b"["
    return Reading(Facts("vpdq"), one_video(_compact(file, task) if is_list else _frames(file, task)))


def _compact(file: ListFile, task: Task) -> Iterator[Item]:
    for where, record in records(file, task, Shape("vpdq", "item")):
        entry = Entry(where=where)
        cells = record.split(",") if isinstance(record, str) else []
        if len(cells) == 3:
            add_feature(entry, cells[0], cells[1])
            yield finished(entry)
        else:
            yield Rejected(where, "is not HASH,QUALITY,SECOND")


def _frames(file: ListFile, task: Task) -> Iterator[Item]:
    with file.open(task) as stream:
        number = 0
        try:
            for _, frame in ijson.kvitems(Digits(stream), ""):
                number += 1
                where = f"record {number:,}"
                entry = Entry(where=where)
                if isinstance(frame, dict):
                    add_feature(entry, frame.get("hash"), frame.get("quality"))
                    yield finished(entry)
                else:
                    yield Rejected(where, "is no object")
        except (ijson.JSONError, ValueError, ArithmeticError, RecursionError) as error:
            raise broken(file, stream, number, error) from error
