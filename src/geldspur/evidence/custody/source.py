"""Re-hash files of the source, all or a sample that nobody can foresee, and compare with the scan's digests."""

import io
import json
import math
import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from geldspur.errors import UsageError
from geldspur.evidence.custody.checks import Check, judged, not_checked
from geldspur.evidence.names import shown
from geldspur.evidence.sources import Source, open_source
from geldspur.progress import SILENT, Progress, Task
from geldspur.wording import counted

_HASHED = """
    SELECT e.id, e.path, e.ordinal, e.place, c.size, c.md5, c.sha1, c.sha256, c.blake3
    FROM entry e JOIN content c ON c.id = e.content WHERE e.id = ?
"""
_OUTERMOST = """
    WITH RECURSIVE up (id, parent) AS (
        SELECT id, parent FROM entry WHERE id = ?
        UNION SELECT e.id, e.parent FROM entry e JOIN up ON e.id = up.parent
    ) SELECT id FROM up WHERE parent IS NULL
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """How much to read again: a share from 0 to 1 of the hashed files, and the seed that chooses them."""

    share: float
    seed: int

    @classmethod
    def parse(cls, text: str, seed: int) -> "Sample":
        """`5%`; UsageError for anything else."""
        try:
            share = float(text.removesuffix("%")) / 100
        except ValueError:
            share = math.nan
        if not text.endswith("%") or not 0 < share <= 1:
            raise UsageError(f"{text!a} is no share of the files", todo="name one such as 5%, or --all")
        return cls(share, seed)


def check_source(db: sqlite3.Connection, path: Path, sample: Sample, progress: Progress = SILENT) -> list[Check]:
    """Whether the source still lists what the scan found, and whether the chosen files still have their digests."""
    source = open_source(path)
    return [
        _check_listing(db, source),
        _check_digests(db, source, sample, progress),
        *_check_image(source, sample, progress),
    ]


def _check_image(source: Source, sample: Sample, progress: Progress) -> list[Check]:
    """Whether an image still has the digests that were stored in it when it was acquired."""
    from geldspur.evidence.sources.image import ImageSource

    if not isinstance(source, ImageSource):
        return []
    stored = sorted(name for name in source.describe() if "stored" in name)
    if not stored:
        return [not_checked("image", "it carries no digest of its own, as an E01 does")]
    if sample.share < 1:
        return [not_checked("image", f"{', '.join(stored)}: the whole image is read with --all")]
    with progress.task("image", None, "B") as task:
        digests = source.verify_stored(task.advance)
    wrong = (f"{one.name} is {one.computed}, stored is {one.stored}" for one in digests if not one.holds)
    return [judged("image", wrong, f"has its stored {' and '.join(one.name for one in digests)}")]


def _check_listing(db: sqlite3.Connection, source: Source) -> Check:
    walked = db.execute("SELECT count(*) FROM entry WHERE parent IS NULL").fetchone()[0]

    def problems() -> Iterator[str]:
        known = 0
        ordinals = defaultdict[bytes, int](int)
        for found in source.walk():
            row = db.execute(
                "SELECT kind, size FROM entry WHERE path = ? AND ordinal = ?", (found.path, ordinals[found.path])
            ).fetchone()
            ordinals[found.path] += 1
            known += row is not None
            if row is None:
                yield f"{shown(found.path)} is new"
            elif row[0] != found.kind:
                yield f"{shown(found.path)} was of the kind {row[0]} and is {found.kind}"
            elif found.kind == "file" and row[1] != found.size:
                yield f"{shown(found.path)} had {row[1]} bytes and has {found.size}"
        if known < walked:
            yield f"{counted(walked - known, 'name')} of the scan gone"

    return judged("source", problems(), f"lists the {counted(walked, 'name')} that the scan found, of the same sizes")


def _check_digests(db: sqlite3.Connection, source: Source, sample: Sample, progress: Progress) -> Check:
    numbers = [number for (number,) in db.execute("SELECT id FROM entry WHERE state = 'hashed' ORDER BY path, ordinal")]
    if not numbers:
        return Check("digests", "not checked", "no file of the scan has digests")
    count = math.ceil(len(numbers) * sample.share)
    chosen = sorted(random.Random(sample.seed).sample(numbers, count))  # noqa: S311 - a sample that can be drawn again
    groups = defaultdict[int, set[int]](set)
    for number in chosen:
        groups[db.execute(_OUTERMOST, (number,)).fetchone()[0]].add(number)

    def problems() -> Iterator[str]:
        with progress.task("re-hash", count, "files") as task:
            for outermost, wanted in sorted(groups.items()):
                yield from _reread(db, source, outermost, wanted, task)

    if count == len(numbers):
        return judged("digests", problems(), f"all read again, {counted(count, 'file')}: each has its digests")
    bound = 1 - 0.05 ** (1 / count)
    return judged(
        "digests",
        problems(),
        f"{count:,} of {counted(len(numbers), 'file')} read again (seed {sample.seed}), each has its digests: with "
        f"95 % confidence fewer than {bound:.1%} of all files differ",
    )


def _reread(db: sqlite3.Connection, source: Source, outermost: int, wanted: set[int], task: Task) -> Iterator[str]:
    """Problems of the wanted files: the outermost one itself, or members of the archive that it is."""
    path, place = db.execute("SELECT path, place FROM entry WHERE id = ?", (outermost,)).fetchone()
    left = dict[tuple[bytes, int], int]()
    for number in wanted:
        name, ordinal = db.execute("SELECT path, ordinal FROM entry WHERE id = ?", (number,)).fetchone()
        left[name, ordinal] = number
    try:
        stream = source.open(path, json.loads(place))
    except OSError as error:
        task.advance(len(wanted))
        yield f"{shown(path)} can't be opened: {error.strerror or error}"
        return
    with stream:
        if outermost in wanted:
            yield from _compare(db, outermost, stream)
            task.advance(1)
            left = {key: number for key, number in left.items() if number != outermost}
        if left:
            yield from _reread_members(db, path, stream, left, task)


def _reread_members(
    db: sqlite3.Connection, archive: bytes, stream: BinaryIO, left: dict[tuple[bytes, int], int], task: Task
) -> Iterator[str]:
    from geldspur.evidence.sources.archives import members

    stream.seek(0, io.SEEK_SET)
    ordinals = defaultdict[bytes, int](int)
    for member in members(stream):
        name = archive + b"!" + member.found.path
        number = left.pop((name, ordinals[name]), None)
        ordinals[name] += 1
        if number is None:
            continue
        if member.open is None:
            yield f"{shown(name)} can't be read any more"
        else:
            try:
                with member.open() as inner:
                    yield from _compare(db, number, inner)
            except Exception as error:  # whatever a decompressor raises on damaged data
                yield f"{shown(name)} can't be read: {error}"
        task.advance(1)
        if not left:
            return
    for name, _ in sorted(left):
        yield f"{shown(name)} is no member any more"


def _compare(db: sqlite3.Connection, number: int, stream: BinaryIO) -> Iterator[str]:
    from geldspur.evidence.scan.digests import Reader

    _, path, _, _, size, *stated = db.execute(_HASHED, (number,)).fetchone()
    digests, _, error, read = Reader().read(stream, size)
    if digests is None:
        yield f"{shown(path)} can't be read beyond byte {read}: {error}"
        return
    found = digests.md5, digests.sha1, digests.sha256, digests.blake3
    if digests.size != size:
        yield f"{shown(path)} has {digests.size} bytes, the scan says {size}"
    elif wrong := [n for n, a, b in zip(("MD5", "SHA-1", "SHA-256", "BLAKE3"), found, stated, strict=True) if a != b]:
        yield f"{shown(path)} has another {' and '.join(wrong)}"
