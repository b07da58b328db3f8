"""Archives flattened: every member of every level, depth first, in the order in which they lie in their archive."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from geldspur.evidence.model import Found, Times
from geldspur.evidence.sources.archives import streams, zips
from geldspur.evidence.sources.archives.limits import LIMITS, Budget, Limits, Stopped
from geldspur.evidence.sources.archives.sniff import HEAD, READ, format_of
from geldspur.evidence.sources.archives.tar_sparse import Holes
from geldspur.evidence.sources.archives.tars import TarEntry, TarReader
from geldspur.evidence.sources.archives.zip_fields import SECOND
from geldspur.evidence.sources.archives.zip_salvage import salvaged
from geldspur.evidence.sources.archives.zip_unlisted import Spans, first_member

MOST = 1 << 63  # what SQLite's integers hold


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive, or (with `refused`) the word that an archive could not be listed to its end.

    `found.path`: below the outermost archive; levels are joined by `!`. `number`: from 1, in order; `parent`: the
    number of the member archive that holds it, None for the outermost.
    `format`: the member is itself an archive of this format; its own members follow it.
    `open`: its bytes, valid until the iterator moves on, seekable where that is cheap; None where `found.skip` or
    `found.kind` say why. Reading raises `Stopped`, whose `reason` is a code of `reasons.py` (damage, or a limit that
    shows only while it is unpacked).
    `refused`: words. `number` and `found` are then those of the archive meant (number 0 and an empty path: the
    outermost), `offset` is where in it; the members that came before are complete and stand.
    """

    found: Found
    number: int
    parent: int | None
    open: Callable[[], BinaryIO] | None
    refused: str | None = None
    offset: int | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class _Archive:
    """An archive that is to be listed: its own entry, and how to read it from its beginning, any number of times."""

    found: Found
    number: int
    parent: int | None
    depth: int
    again: Callable[[], BinaryIO]

    def below(self, name: bytes) -> bytes:
        return self.found.path + b"!" + name if self.number else name


def members(stream: BinaryIO, limits: Limits = LIMITS) -> Iterator[Member]:
    """Every member of the archive in `stream` (seekable), and of the archives in it. Never raises for what it reads.

    The same archive gives the same members whether or not they are opened. Nothing is written anywhere.
    """
    size = stream.seek(0, io.SEEK_END)
    outermost = Found(b"", "file", size)
    walk = _Walk(limits, Budget(limits, size))
    return walk.archive(_Archive(outermost, 0, None, 1, partial(_window, stream, 0, size)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """An archive in memory, and the fault that was met after what there is of it."""

    data: bytes
    fault: OSError | None

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self) -> BinaryIO:
        """As a reader of the member gets it: with the fault."""
        return streams.buffered(streams.Broken(self.data, self.fault)) if self.fault else self.there()

    def there(self) -> BinaryIO:
        """What there is of it, to be listed."""
        return _window(io.BytesIO(self.data), 0, len(self.data))


class _Full(Exception):
    """The limit of members, or of bytes in their names, is reached; the words say which."""


class _Walk:
    def __init__(self, limits: Limits, budget: Budget) -> None:
        self._limits = limits
        self._budget = budget
        self._count = 0

    def archive(self, box: _Archive) -> Iterator[Member]:
        try:
            yield from self._listed(box)
        except Stopped as stop:
            yield _refusal(box, stop.words, stop.offset)
        except OSError as error:  # the disk below it
            yield _refusal(box, f"could not be read ({error.strerror or error})", None)
        except _Full as full:
            yield _refusal(box, str(full), None)
            if box.number:
                raise

    def _listed(self, box: _Archive) -> Iterator[Member]:
        stream = box.again()
        kind = format_of(streams.peek(stream, HEAD))
        if kind not in READ:
            yield _refusal(box, _not_read(kind), None)
        elif kind == "zip":
            yield from self._zip(box, stream)
        elif kind == "tar":
            yield from self._tar(box, stream, box.again)
        else:
            yield from self._packed(box, kind)

    # -- zip

    def _zip(self, box: _Archive, stream: BinaryIO) -> Iterator[Member]:
        directory, size = zips.find_directory(stream), stream.seek(0, io.SEEK_END)
        if directory is None:
            for entry in salvaged(stream, size, self._limits, self._budget.charge):
                yield from self._zip_member(box, stream, entry)
            return
        spans = Spans()
        damage: Stopped | None = None
        try:
            for entry in zips.entries(stream, directory):
                spans.add(entry)
                yield from self._zip_member(box, stream, entry)
        except Stopped as stop:
            damage = stop
        yield from self._zip_unlisted(box, stream, spans.gaps(stream, directory, size), damage)

    def _zip_unlisted(
        self, box: _Archive, stream: BinaryIO, gaps: Iterator[tuple[int, int]], damage: Stopped | None
    ) -> Iterator[Member]:
        """Members that the directory leaves out, and the word that there are some; or that the directory is damaged."""
        first: int | None = None
        for start, end in gaps:
            after = start
            while (at := first_member(stream, after, end)) is not None:
                first = at if first is None else first
                try:
                    for entry in salvaged(stream, end, self._limits, self._budget.charge, at):
                        after = zips.end_of(entry)
                        yield from self._zip_member(box, stream, entry)
                except Stopped as stop:
                    if stop.reason != "damaged":
                        raise
        if damage is not None:
            raise damage
        if first is not None:
            raise Stopped("damaged", "members lie in the zip archive that its directory does not list", first)

    def _zip_member(self, box: _Archive, stream: BinaryIO, entry: zips.ZipEntry) -> Iterator[Member]:
        name = entry.name.rstrip(b"/") or entry.name if entry.kind == "directory" else entry.name
        found = Found(
            box.below(name),
            entry.kind,
            entry.size if entry.size < MOST and entry.kind == "file" else None,
            entry.times,
            place={"utf8": 1} if entry.flags & 0x800 else {},
        )
        if entry.kind != "file":
            yield self._unopened(box, found)
            return
        refusal = entry.skip or (None if entry.cut else self._too_much(entry))  # its sizes differ because it is cut off
        if refusal:
            yield self._unopened(box, replace(found, skip=refusal[0], detail=refusal[1]))
            return
        if entry.cut:
            stop = Stopped("damaged", "the archive ends within it", entry.packed)
            yield self._numbered(box, replace(found, size=None), lambda: streams.buffered(streams.Broken(b"", stop)))
            return
        self._budget.charge(entry.size)
        yield from self._file(box, found, lambda: zips.open_entry(stream, entry, self._limits), restarts=True)

    def _too_much(self, entry: zips.ZipEntry) -> tuple[str, str] | None:
        if entry.size > self._limits.member_bytes:
            return "size", f"{entry.size:,} bytes, the limit is {self._limits.member_bytes:,}"
        if entry.lies:
            return "ratio", entry.lies
        reason = self._budget.refuses(entry.size)
        return (reason, "the archive unpacks to more than its limit with this member") if reason else None

    # -- tar

    def _tar(self, box: _Archive, stream: BinaryIO, again: Callable[[], BinaryIO]) -> Iterator[Member]:
        reader = TarReader(stream)
        for entry in reader.entries():
            found = self._tar_found(box, entry)
            if entry.kind != "file" or found.skip:
                yield self._unopened(box, found)
            elif stream.seekable():
                opens = partial(_stored, stream, entry)
                yield from self._file(box, found, opens, restarts=True)
            else:
                yield from self._tar_part(box, reader, entry, found, again)

    def _tar_part(
        self, box: _Archive, reader: TarReader, entry: TarEntry, found: Found, again: Callable[[], BinaryIO]
    ) -> Iterator[Member]:
        first = [_part(reader, entry)]

        def part() -> BinaryIO:
            if first:
                return first.pop()
            other = TarReader(again())
            other.skip_to(entry.data_at)
            return _part(other, entry)

        yield from self._file(box, found, part, restarts=False)

    def _tar_found(self, box: _Archive, entry: TarEntry) -> Found:
        size = entry.size if entry.kind == "file" and entry.size < MOST and not entry.hard_link else None
        found = Found(box.below(entry.name), entry.kind, size, entry.times)
        if entry.hard_link:
            return replace(found, skip="hard link")
        if entry.unsupported:
            return replace(found, skip="unsupported", detail=entry.unsupported)
        if entry.kind == "file" and entry.size > self._limits.member_bytes:
            words = f"{entry.size:,} bytes, the limit is {self._limits.member_bytes:,}"
            return replace(found, skip="size", detail=words)
        if entry.sparse:  # holes cost no packed byte
            reason = self._budget.refuses(entry.size)
            if reason:
                return replace(found, skip=reason, detail="the archive unpacks to more than its limit with this member")
            self._budget.charge(entry.size)
            return replace(found, allocated=entry.stored)
        return found

    # -- gzip, bzip2, xz

    def _packed(self, box: _Archive, kind: str) -> Iterator[Member]:
        def again() -> BinaryIO:
            return streams.buffered(_unpacked(box.again(), kind, self._limits, self._budget))

        raw = _unpacked(box.again(), kind, self._limits, self._budget)
        stream = streams.buffered(raw)
        if format_of(streams.peek(stream, HEAD)) == "tar":
            yield from self._tar(box, stream, again)
        else:
            name, times = _gzip_header(box.again()) if kind == "gzip" else (b"", None)
            found = Found(box.below(name or b"content"), "file", None, times)
            raw.most = self._limits.member_bytes
            opens = _first_then(streams.buffered(streams.Lent(stream)), again)
            yield from self._file(box, found, opens, restarts=False)
        while stream.read(streams.CHUNK):  # so that damage at the end is met, whoever read how much
            pass
        if raw.trailing is not None:
            raise Stopped("damaged", f"bytes after the {kind} data that are none", raw.trailing)

    # -- members

    def _file(self, box: _Archive, found: Found, opens: Callable[[], BinaryIO], *, restarts: bool) -> Iterator[Member]:
        """A member to be opened; then, if it is an archive, what it holds.

        `restarts`: it can be opened again at no great cost. Else an archive is kept in memory while its members pass,
        if it fits.
        """
        member = self._numbered(box, found, None)
        try:
            stream = opens()
        except OSError as error:
            broken = streams.buffered(streams.Broken(b"", error))
            yield replace(member, open=lambda: broken)
            return
        kind = format_of(streams.peek(stream, HEAD))
        if kind is None:
            yield replace(member, open=lambda: stream)
            return
        again: Callable[[], BinaryIO] | None = opens
        held = 0
        if not stream.seekable() and self._descends(box, kind) and (kind == "zip" or not restarts):
            fits = found.size is None or found.size <= self._budget.buffer_left
            kept = self._kept(stream) if fits else None
            first = kept.open() if kept else opens() if fits else stream
            if kept:
                held, again = kept.size, kept.there
            elif kind == "zip":
                again = None
        else:
            first = stream
        yield replace(member, open=lambda: first, format=kind)
        inner = _Archive(found, member.number, member.parent, box.depth + 1, again or opens)
        if kind not in READ:
            yield _refusal(inner, _not_read(kind), None)
        elif not self._descends(box, kind):
            yield _refusal(inner, f"nested deeper than {self._limits.depth} archives, the limit", None)
        elif again is None:
            yield _refusal(inner, "a packed zip archive too large to be held in memory for its listing", None)
        else:
            yield from self.archive(inner)
        self._budget.buffer_left += held

    def _descends(self, box: _Archive, kind: str) -> bool:
        return kind in READ and box.depth < self._limits.depth

    def _kept(self, stream: BinaryIO) -> _Kept | None:
        """All of the stream in memory, if it fits."""
        data = bytearray()
        fault: OSError | None = None
        try:
            while len(data) <= self._budget.buffer_left and (piece := stream.read(streams.CHUNK)):
                data += piece
        except OSError as error:
            fault = error
        if len(data) > self._budget.buffer_left:
            return None
        self._budget.buffer_left -= len(data)
        return _Kept(bytes(data), fault)

    def _unopened(self, box: _Archive, found: Found) -> Member:
        if found.skip is None and found.kind in ("symlink", "special"):
            found = replace(found, skip=found.kind)
        return self._numbered(box, found, None)

    def _numbered(self, box: _Archive, found: Found, opens: Callable[[], BinaryIO] | None) -> Member:
        if self._count >= self._limits.members:
            raise _Full(f"more than {self._limits.members:,} members, the limit")
        if not self._budget.takes_name(len(found.path)):
            raise _Full("its members' names take more bytes than the limit")
        self._count += 1
        return Member(found, self._count, box.number or None, opens)


def _refusal(box: _Archive, words: str, offset: int | None) -> Member:
    return Member(box.found, box.number, box.parent, None, words, offset)


def _not_read(kind: str | None) -> str:
    return f"{kind} archives are not read" if kind else "can no longer be recognised as an archive"


def _first_then(first: BinaryIO, again: Callable[[], BinaryIO]) -> Callable[[], BinaryIO]:
    streams_left = [first]
    return lambda: streams_left.pop() if streams_left else again()


def _window(base: BinaryIO, start: int, size: int) -> BinaryIO:
    return streams.buffered(streams.Window(base, start, size))


def _stored(stream: BinaryIO, entry: TarEntry) -> BinaryIO:
    return _whole(_window(stream, entry.data_at, entry.stored), entry)


def _part(reader: TarReader, entry: TarEntry) -> BinaryIO:
    return _whole(streams.buffered(streams.Part(reader.take, entry.stored)), entry)


def _whole(stored: BinaryIO, entry: TarEntry) -> BinaryIO:
    return streams.buffered(Holes(stored.read, entry.sparse)) if entry.sparse else stored


def _unpacked(stream: BinaryIO, kind: str, limits: Limits, budget: Budget) -> streams.Unpacked:
    if kind == "gzip":
        return streams.Unpacked(stream, streams.inflate_gzip, budget.charge, lambda data: data.startswith(b"\x1f\x8b"))
    if kind == "bzip2":
        return streams.Unpacked(stream, streams.unbzip2, budget.charge, lambda data: data.startswith(b"BZh"))
    return streams.Unpacked(
        stream, streams.unxz(limits.dictionary_bytes), budget.charge, lambda data: data.startswith(b"\xfd7zXZ")
    )


def _gzip_header(stream: BinaryIO) -> tuple[bytes, Times | None]:
    """The original name and time that a gzip header may carry."""
    head = stream.read(4096).ljust(12, b"\0")
    seconds = int.from_bytes(head[4:8], "little")
    times = Times("gzip", modified_ns=seconds * SECOND) if seconds else None
    at = 10
    if head[3] & 4:
        at += 2 + int.from_bytes(head[10:12], "little")
    name, end, _ = head[at:].partition(b"\0")
    return (name if head[3] & 8 and end else b""), times
