"""Four digests of one stream in one pass, and an exact account of where reading failed."""

import fcntl
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, BinaryIO, Protocol

from blake3 import blake3

from geldspur.evidence.model import Digests
from geldspur.evidence.scan.messages import Job, Outcome

BLOCK = 256 << 10  # stays in the second-level cache while four digests go over it
BIG = 4 << 20  # from here on MD5, half of all the work, runs in a thread of its own
LARGE = 16 << 20  # below, a file's MD5 may be computed beside those of others (`lanes`)
_BIG_BLOCK = 1 << 20
HEAD = 4096  # first bytes, by which archives and media are told


class Shas(Protocol):
    """SHA-1 and SHA-256 of a stream."""

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""

    def digests(self) -> tuple[bytes, bytes]:
        """SHA-1 and SHA-256 of all that was taken in; the end of its use."""


class OneByOne:
    """`Shas` as Python has them."""

    def __init__(self) -> None:
        self._both = hashlib.sha1(usedforsecurity=False), hashlib.sha256()

    def update(self, data: memoryview) -> None:
        """See `Shas`."""
        for one in self._both:
            one.update(data)

    def digests(self) -> tuple[bytes, bytes]:
        """See `Shas`."""
        sha1, sha256 = self._both
        return sha1.digest(), sha256.digest()


class _Beside:
    """A thread that does one thing at a time beside the caller; one of concurrent.futures takes long to import."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Callable[[memoryview], None], memoryview]] = SimpleQueue()
        self._free = Semaphore()
        Thread(target=self._run, daemon=True).start()

    def begin(self, call: Callable[[memoryview], None], block: memoryview) -> None:
        self._free.acquire()
        self._work.put((call, block))

    def wait(self) -> None:
        with self._free:
            pass

    def _run(self) -> None:
        while True:
            call, block = self._work.get()
            call(block)
            self._free.release()


class Reader:
    """Reads streams with buffers of its own; one a worker. `tell(n)` is called with the bytes of each block read."""

    def __init__(self, tell: Callable[[int], None] | None = None, shas: Callable[[], Shas] = OneByOne) -> None:
        self._tell = tell
        self._shas = shas
        self._buffers = [memoryview(bytearray(_BIG_BLOCK)) for _ in range(2)]
        self._beside: _Beside | None = None

    def read_small(self, stream: BinaryIO, room: memoryview) -> tuple[Digests | None, bytes, OSError | None, int]:
        """As `read`, but the content stays in `room` and MD5 is left open (b""); it reads no further than `room`."""
        total, shas, third = 0, self._shas(), blake3()
        try:
            while count := stream.readinto(room[total : total + BLOCK]):  # type: ignore[attr-defined]
                block = room[total : total + count]
                shas.update(block)
                third.update(block)
                total += count
                if self._tell is not None:
                    self._tell(count)
        except OSError as error:
            return None, b"", error, total
        digests = Digests(total, b"", *shas.digests(), third.digest())
        return digests, bytes(room[: min(HEAD, total)]), None, total

    def read(
        self, stream: BinaryIO, size: int | None, keep: int = 0, most: int | None = None
    ) -> tuple[Digests | None, bytes, OSError | None, int]:
        """Digests of the whole stream, its first bytes, the error that stopped it, and how many bytes were read.

        `size` is a guess of how much is to come. `keep`: hand out the whole content, if it is no longer than that,
        instead of its first bytes only. `most`: stop behind so many bytes; a file that grows as fast as it is read,
        or that a file system makes up while it is read, has no end.
        """
        hashes = hashlib.md5(usedforsecurity=False), self._shas(), blake3()
        head, total = bytearray(), 0
        try:
            for block in self._blocks(stream, hashes, _BIG_BLOCK if size is None or size >= BIG else BLOCK):
                if total < HEAD or total < keep:
                    head += block if keep else block[:HEAD]
                total += len(block)
                if self._tell is not None:
                    self._tell(len(block))
                if most is not None and total > most:
                    break
        except OSError as error:
            return None, bytes(head), error, total
        md5, shas, third = hashes
        digests = Digests(total, md5.digest(), *shas.digests(), third.digest())
        return digests, bytes(head), None, total

    def _blocks(self, stream: BinaryIO, hashes: tuple[Any, ...], length: int) -> Iterator[memoryview]:
        """Each block, valid until the next; when all are told, all are in the digests."""
        md5, *others = hashes
        if length == BLOCK:
            view = self._buffers[0][:BLOCK]
            while count := stream.readinto(view):  # type: ignore[attr-defined]
                block = view[:count]
                for one in hashes:
                    one.update(block)
                yield block
            return
        beside = self._beside = self._beside or _Beside()
        turn, filled = 0, 0
        while count := stream.readinto(self._buffers[turn][filled : filled + BLOCK]):  # type: ignore[attr-defined]
            block = self._buffers[turn][filled : filled + count]
            for one in others:
                one.update(block)
            filled += count
            if filled == _BIG_BLOCK:  # fewer and larger parts for the other thread, since each costs a change of thread
                beside.wait()
                beside.begin(md5.update, self._buffers[turn])
                turn, filled = 1 - turn, 0
            yield block
        beside.wait()
        md5.update(self._buffers[turn][:filled])


def difference(job: Job, stream: BinaryIO) -> str | None:
    """What no longer is as the walk saw it; None where all is, or where the source has nothing to compare."""
    try:
        now = os.fstat(stream.fileno())
    except (OSError, io.UnsupportedOperation):
        return None
    if (job.size, job.modified_ns, job.changed_ns, job.inode) == (
        now.st_size,
        now.st_mtime_ns,
        now.st_ctime_ns,
        now.st_ino,
    ):
        return None
    pairs = (
        ("size", job.size, now.st_size),
        ("modified", job.modified_ns, now.st_mtime_ns),
        ("changed", job.changed_ns, now.st_ctime_ns),
        ("inode", job.inode, now.st_ino),
    )
    return (
        "; ".join(f"{name} was {was}, is {now}" for name, was, now in pairs if was is not None and was != now) or None
    )


def touched(stream: BinaryIO) -> bool:
    """Was it opened in a way that may move its time of last access?"""
    try:
        return not fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_NOATIME
    except (OSError, io.UnsupportedOperation):
        return False


def failure(error: OSError, read: int) -> Outcome:
    """The outcome of a file that could not be opened (`read` 0 and no offset), or read to its end."""
    words = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (2, 116):  # ENOENT, ESTALE
        return Outcome(reason="vanished", detail=words, errno=error.errno, offset=read or None)
    return Outcome(reason="error", detail=f"{words}; {read} bytes read before it", errno=error.errno, offset=read)


def digest_file(
    open_stream: Callable[[], BinaryIO], job: Job, reader: Reader, room: memoryview | None = None
) -> tuple[Outcome, bytes]:
    """Read one file: its outcome, and its first bytes.

    A file that differs from what the walk saw, before or after, has changed, and gets no digests. With `room`, which
    has one byte more than the file should, the content is left there and MD5 is to be filled in.
    """
    try:
        stream = open_stream()
    except OSError as error:
        return _not_opened(error), b""
    with stream:
        if (before := difference(job, stream)) is not None:
            return Outcome(reason="changed", detail=f"between walk and opening: {before}"), b""
        reads = reader.read(stream, job.size, most=job.size) if room is None else reader.read_small(stream, room)
        digests, head, problem, read = reads
        if problem is not None or digests is None:
            return failure(problem or OSError("unknown"), read), b""
        if (after := difference(job, stream)) is not None:
            return Outcome(reason="changed", detail=f"while it was read: {after}", offset=read), b""
        if job.size is not None and digests.size != job.size:
            gave = "more" if digests.size > job.size else str(read)
            return Outcome(reason="changed", detail=f"listed with {job.size} bytes, gave {gave}", offset=read), b""
        return Outcome(digests, touched=touched(stream)), head


def _not_opened(error: OSError) -> Outcome:
    if error.errno in (2, 20, 40, 116, 6):  # gone, or something else has taken its or a folder's name
        return Outcome(reason="vanished", detail=os.strerror(error.errno), errno=error.errno)
    return Outcome(reason="error", detail=f"could not be opened: {error.strerror or error}", errno=error.errno)
