"""Tar: headers read one after the other, forward only where the stream can't seek.

Written from POSIX.1-2017 (pax interchange format) and the GNU tar manual. The standard library's tarfile seeks, decodes
names and reads extended headers of any size into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from geldspur.evidence.model import Kind, Times
from geldspur.evidence.sources.archives.limits import Stopped
from geldspur.evidence.sources.archives.sniff import is_tar_header
from geldspur.evidence.sources.archives.tar_sparse import BLOCK, Sparse, by_headers, old_form

MOST_EXTENDED = 1 << 20  # bytes of one extended header; paths are 4 KiB at most on any system
SECOND = 1_000_000_000
_ZERO = bytes(BLOCK)

_USED = frozenset(
    {b"path", b"size", b"mtime", b"atime", b"ctime", b"LIBARCHIVE.creationtime"}
    | {b"GNU.sparse." + key for key in (b"name", b"major", b"realsize", b"map", b"size", b"offset", b"numblocks")}
)
_KINDS: dict[bytes, Kind] = {b"2": "symlink", b"3": "special", b"4": "special", b"6": "special", b"5": "directory"}


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One member; its `stored` bytes lie at `data_at`, counted from the archive's beginning.

    `hard_link`: another member holds its content. `sparse`: how its stored bytes make a file of `size` bytes.
    """

    name: bytes
    kind: Kind
    size: int
    data_at: int
    times: Times
    stored: int
    hard_link: bool = False
    sparse: Sparse | None = None
    unsupported: str | None = None


class TarReader:
    """A tar archive's headers in order. After each entry its data may be taken; the rest of them is passed over."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._seeks = stream.seekable()
        self._end = stream.seek(0, 2) if self._seeks else None
        if self._seeks:
            stream.seek(0)
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes; fewer where the archive ends.

        Raises:
            Stopped: it ended before.
        """
        data = self._stream.read(size)
        self._at += len(data)
        if not data and size:
            raise Stopped("damaged", "the tar archive ends within a member", self._at)
        return data

    def entries(self) -> Iterator[TarEntry]:
        """Every member, behind end marks too, up to the first block that is no header.

        Raises:
            Stopped: there is such a block, or the archive ends within a member.
        """
        everywhere: dict[bytes, bytes] = {}
        here = _Extended()
        while True:
            at = self._at
            block = self._stream.read(BLOCK)
            self._at += len(block)
            if not block:
                return
            if block == _ZERO[: len(block)]:
                continue
            if len(block) < BLOCK or not is_tar_header(block):
                raise Stopped("damaged", "a block that should be a tar header is none", at)
            kind, size = block[156:157], _number(block[124:136], at)
            if kind in b"xgXLKN" and kind:
                text = self._extended(size, at)
                here.add(kind, text, everywhere, at)
                continue
            entry, after = self._entry(here.given(everywhere), here.name, block, size, at)
            here = _Extended()
            yield entry
            self.skip_to(after)

    def _entry(
        self, fields: dict[bytes, bytes], long_name: bytes | None, block: bytes, size: int, at: int
    ) -> tuple[TarEntry, int]:
        """A member, and where its data end."""
        kind = block[156:157]
        name = fields.get(b"GNU.sparse.name") or fields.get(b"path") or long_name or _name(block)
        if b"size" in fields:
            size = _decimal(fields[b"size"], at)
        directory = kind == b"5" or (kind in b"\x000" and name.endswith(b"/"))
        stored = 0 if kind in b"123456" else size  # links, devices and folders tell a size, and have no data
        sparse: Sparse | None = None
        unsupported = "a part of a file of several volumes" if kind == b"M" else None
        begins, used = self._at, 0
        if kind == b"S":
            sparse = old_form(block, lambda text: _number(text, at), self.take, at)
            begins = self._at
        elif any(key.startswith(b"GNU.sparse.") for key in fields):
            by = by_headers(fields, self.take, at)
            sparse, used = by or (None, 0)
            unsupported = None if by else "a sparse file in an old form (0.0)"
        if used > stored or (sparse and sparse.stored > stored - used):
            raise Stopped("damaged", "a map of holes that contradicts its member's size", at)
        entry = TarEntry(
            name=name.rstrip(b"/") or name if directory else name,
            kind="directory" if directory or kind == b"D" else _KINDS.get(kind, "file"),
            size=sparse.size if sparse else size,
            data_at=begins + used,
            stored=stored - used,
            times=_times(block, fields),
            hard_link=kind == b"1",
            sparse=sparse,
            unsupported=unsupported,
        )
        return entry, begins + -(-stored // BLOCK) * BLOCK

    def _extended(self, size: int, at: int) -> bytes:
        if size > MOST_EXTENDED:
            raise Stopped("damaged", f"an extended header of {size:,} bytes", at)
        data = self.take(-(-size // BLOCK) * BLOCK)
        if len(data) < size:
            raise Stopped("damaged", "the tar archive ends within an extended header", at)
        return data[:size]

    def skip_to(self, target: int) -> None:
        """Move on to a place in the archive.

        Raises:
            Stopped: the archive ends before.
        """
        if self._end is not None:
            if target > self._end:
                # a last block without its padding is common, and complete
                if target - self._end >= BLOCK:
                    raise Stopped("damaged", "the tar archive ends within a member", self._end)
                target = self._end
            self._at = self._stream.seek(target)
            return
        while self._at < target:
            size = min(target - self._at, 1 << 18)
            data = self._stream.read(size)
            self._at += len(data)
            if len(data) < size:
                if target - self._at >= BLOCK:
                    raise Stopped("damaged", "the tar archive ends within a member", self._at)
                return


@dataclass(slots=True)
class _Extended:
    """What extended headers say of the member that follows them."""

    name: bytes | None = None
    fields: dict[bytes, bytes] = field(default_factory=dict)

    def add(self, kind: bytes, text: bytes, everywhere: dict[bytes, bytes], at: int) -> None:
        if kind == b"L":
            self.name = text.split(b"\0", 1)[0]
        elif kind in (b"x", b"X"):
            self.fields.update(_records(text, at))
        elif kind == b"g":
            everywhere.update(_records(text, at))

    def given(self, everywhere: dict[bytes, bytes]) -> dict[bytes, bytes]:
        return {**everywhere, **self.fields}


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    if prefix and block[257:265] == b"ustar\00000":  # GNU's format keeps times there
        return prefix + b"/" + name
    return name


def _number(text: bytes, at: int) -> int:
    if text[0] & 0x80:  # base 256
        value = int.from_bytes(bytes([text[0] & 0x7F]) + text[1:], "big")
        if text[0] & 0x40:
            raise Stopped("damaged", "a member of negative size", at)
        return value
    digits = text.strip(b" \0").split(b"\0", 1)[0]
    if any(byte not in b"01234567" for byte in digits):
        raise Stopped("damaged", "a size that is no number", at)
    return int(digits or b"0", 8)


def _decimal(text: bytes, at: int) -> int:
    if not text.isdigit() or len(text) > 20:
        raise Stopped("damaged", "a size that is no number", at)
    return int(text)


def _records(text: bytes, at: int) -> dict[bytes, bytes]:
    """Records of a pax header (length, blank, key, equals sign, value, newline), those that are used here."""
    records: dict[bytes, bytes] = {}
    begin = 0
    while begin < len(text) and text[begin]:
        blank = text.find(b" ", begin, begin + 8)
        length = text[begin:blank] if blank > 0 else b""
        end = begin + int(length) if length.isdigit() else 0
        equals = text.find(b"=", blank, end)
        if not blank < equals < end <= len(text):
            raise Stopped("damaged", "an extended header that is damaged", at)
        key = text[blank + 1 : equals]
        if key in _USED:
            records[key] = text[equals + 1 : end].removesuffix(b"\n")
        begin = end
    return records


def _times(block: bytes, fields: dict[bytes, bytes]) -> Times:
    try:
        modified: int | None = _number(block[136:148], 0) * SECOND
    except Stopped:
        modified = None
    return Times(
        "tar",
        born_ns=_seconds(fields.get(b"LIBARCHIVE.creationtime")),
        modified_ns=_fits(modified) if b"mtime" not in fields else _seconds(fields[b"mtime"]),
        accessed_ns=_seconds(fields.get(b"atime")),
        changed_ns=_seconds(fields.get(b"ctime")),
    )


def _seconds(text: bytes | None) -> int | None:
    """Decimal seconds, with a fraction and a sign maybe."""
    if not text:
        return None
    digits = text.removeprefix(b"-")
    whole, _, fraction = digits.partition(b".")
    if not whole.isdigit() or len(whole) > 12 or (fraction and not fraction.isdigit()):
        return None
    value = int(whole) * SECOND + int((fraction[:9] or b"0").ljust(9, b"0"))
    return _fits(-value if text.startswith(b"-") else value)


def _fits(value: int | None) -> int | None:
    return value if value is not None and abs(value) < 1 << 63 else None
