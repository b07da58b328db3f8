"""A list's file as bytes: its digest, unpacked and decoded while it is read, so that no reader needs to know."""

import codecs
import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from geldspur.errors import GeldspurError, UsageError
from geldspur.progress import Progress, Task

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_REFUSED = {b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7-Zip", b"BZh": "bzip2", b"\xfd7zX": "xz"}
_TODO = "name a hash list in one of the formats of docs/evidence-lists.md"
SQLITE = b"SQLite format 3\x00"


class ListFile:
    """One list's file, opened anew for each pass; it must not change in between."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self._progress = progress
        self._state = self._stat()
        self.size = self._state[0]
        self.packed = self._head(2) == _GZIP

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise UsageError(f"can't read the list: {error.strerror}", where=str(self.path), todo=_TODO) from error
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("the list is not a regular file", where=str(self.path), todo=_TODO)
        return found.st_size, found.st_mtime_ns, found.st_ino

    def _head(self, count: int) -> bytes:
        with _open(self.path) as file:
            return file.read(count)

    def check_unchanged(self) -> None:
        """GeldspurError where the file is no longer what it was when it was opened first."""
        if self._stat() != self._state:
            raise GeldspurError(
                "the list changed while it was read", where=str(self.path), todo="run the command again"
            )

    def digest(self) -> bytes:
        """SHA-256 of the file as it lies on disk."""
        hashed = hashlib.sha256()
        with _open(self.path) as file, self._progress.task("digest of the list", self.size, "B") as task:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
                task.advance(len(chunk))
        return hashed.digest()

    def open(self, task: Task | None = None) -> "ListStream":
        """The list's text: unpacked, as UTF-8, without a byte order mark."""
        return ListStream(self, task)

    def head(self, count: int) -> bytes:
        """The first bytes of the list's text."""
        with self.open() as stream:
            return stream.read(count)

    def refuse_archives(self) -> None:
        """UsageError for packed files that are not streams of one list."""
        head = self._head(16)
        for magic, name in _REFUSED.items():
            if head.startswith(magic):
                raise UsageError(
                    f"the list is packed ({name})", where=str(self.path), todo="unpack it, then name the list"
                )
        if self.packed and self.head(16) == SQLITE:
            raise UsageError("the list is a packed SQLite database", where=str(self.path), todo="unpack it first")


class ListStream(io.RawIOBase):
    """The text of a list for sequential reading. `consumed`: how many bytes of it were handed out.

    `recoded`: it was UTF-16, whatever it may say of itself.
    """

    def __init__(self, file: ListFile, task: Task | None) -> None:
        super().__init__()
        self._file = file
        self._raw = _open(file.path)
        self._task, self._told = task, 0
        source = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if file.packed else self._raw
        self._next: Callable[[int], bytes] = source.read
        self.consumed = 0
        self.recoded = False
        head = self._guarded(4)
        self._left = head
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._recode(source, "utf-16")
        elif head.startswith(codecs.BOM_UTF8):
            self._left = head[3:]

    def _recode(self, source: BinaryIO, encoding: str) -> None:
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        left = [self._left]
        self._left = b""
        self.recoded = True

        def following(count: int) -> bytes:
            while True:
                raw = left.pop() if left else source.read(max(count, 4096))
                text = decoder.decode(raw, final=not raw).encode("utf-8", "replace")
                if text or not raw:
                    return text

        self._next = following

    def _guarded(self, count: int) -> bytes:
        try:
            chunk = self._next(count)
        except (OSError, EOFError, zlib.error) as error:
            raise GeldspurError(
                f"the list can't be read to its end: {type(error).__name__}",
                where=f"{self._file.path}, after byte {self.consumed:,} of its text",
                todo="get a sound copy of the list",
            ) from error
        if self._task is not None:
            at = self._raw.tell()
            self._task.advance(at - self._told)
            self._told = at
        return chunk

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer, for io.BufferedReader."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, count: int = -1) -> bytes:
        """About `count` bytes: fewer only at the end, never more."""
        parts = [self._left]
        have = len(self._left)
        self._left = b""
        while count < 0 or have < count:
            chunk = self._guarded(_CHUNK if count < 0 else max(count - have, 1))
            if not chunk:
                break
            parts.append(chunk)
            have += len(chunk)
        joined = b"".join(parts)
        if 0 <= count < have:
            joined, self._left = joined[:count], joined[count:]
        self.consumed += len(joined)
        return joined

    def give_back(self, chunk: bytes) -> None:
        """Put bytes before what is read next."""
        self._left = chunk + self._left
        self.consumed -= len(chunk)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()


def _open(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise UsageError(f"can't read the list: {error.strerror}", where=str(path), todo=_TODO) from error
