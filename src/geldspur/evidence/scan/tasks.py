"""What a worker does with each kind of task."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from geldspur.evidence.model import MediaResult
from geldspur.evidence.scan.digests import Reader, difference, digest_file
from geldspur.evidence.scan.messages import ArchiveTask, DigestTask, FingerprintTask, Job, MemberOutcome, Outcome, Task
from geldspur.evidence.scan.worker import Handler, Talk
from geldspur.evidence.sources.base import Source

_SPEAK_SECONDS = 0.25
MEMBER_IN_MEMORY = 256 << 20  # larger members of archives, where they can't be read twice, are not decoded


@dataclass(frozen=True, slots=True)
class Context:
    """What every worker is given: the source, and whether media are decoded."""

    source: Source
    fingerprints: bool


def make_handler(context: Context) -> Handler:
    """The function that a worker serves tasks with."""
    return _Handler(context).handle


class _Handler:
    def __init__(self, context: Context) -> None:
        self._source = context.source
        self._media = _Media() if context.fingerprints else None
        self._reader = Reader(self._count)
        self._talk: Talk | None = None
        self._bytes = 0
        self._spoke = time.monotonic()

    def handle(self, task: Task, talk: Talk) -> Any:
        self._talk = talk
        match task:
            case DigestTask():
                return [self._digest(job) for job in task.jobs], self._counted()
            case FingerprintTask():
                return self._fingerprint(task.job)
            case ArchiveTask():
                return self._archive(task, talk)

    def _count(self, amount: int) -> None:
        self._bytes += amount
        if self._talk is not None and time.monotonic() - self._spoke > _SPEAK_SECONDS:
            self._talk.say(self._counted())
            self._spoke = time.monotonic()

    def _counted(self) -> int:
        count, self._bytes = self._bytes, 0
        return count

    def _digest(self, job: Job) -> Outcome:
        outcome, head = digest_file(lambda: self._source.open(job.path, job.place), job, self._reader)
        if outcome.digests is None:
            return outcome
        return replace(outcome, archive=_is_archive(head), media=self._maybe_media(head, job.path))

    def _maybe_media(self, head: bytes, path: bytes) -> bool | None:
        return None if self._media is None else self._media.maybe(head, path)

    def _fingerprint(self, job: Job) -> MediaResult:
        assert self._media is not None
        try:
            with self._source.open(job.path, job.place) as stream:
                if (changed := difference(job, stream)) is not None:
                    return MediaResult("failed", reason="unreadable", detail=changed)
                return self._media.fingerprint(stream)
        except OSError as error:
            return MediaResult("failed", reason="unreadable", detail=str(error.strerror or error))

    def _archive(self, task: ArchiveTask, talk: Talk) -> tuple[int, str | None]:
        """Tell every member; returns how many, and what ended the listing early."""
        count = 0
        try:
            with self._source.open(task.job.path, task.job.place) as stream:
                for member, ordinal in _numbered(stream):
                    self._member(member, ordinal, task, talk)
                    count += 1
        except (OSError, ValueError, EOFError) as error:
            return count, str(error)
        return count, None

    def _member(self, member: Any, ordinal: int, task: ArchiveTask, talk: Talk) -> None:
        whole = (member.found.path, ordinal)
        told = MemberOutcome(member.found, ordinal, member.number, member.parent, None, known=whole in task.done)
        if (told.known and whole not in task.wanted) or member.open is None:
            talk.say(told)
            return
        keep = MEMBER_IN_MEMORY if self._media is not None else 0
        outcome, content = self._digest_member(member, keep)
        if not told.known:
            told = replace(told, outcome=outcome)
        if self._media is None or outcome.digests is None or not talk.ask(told):
            if self._media is None or outcome.digests is None:
                talk.say(told)
            return
        talk.say(self._decode_member(content, outcome.digests.size))

    def _digest_member(self, member: Any, keep: int) -> tuple[Outcome, bytes]:
        try:
            with member.open() as stream:
                digests, content, problem, read = self._reader.read(stream, member.found.size, keep)
        except Exception as error:  # whatever a decompressor raises on damaged data
            return Outcome(reason="damaged", detail=f"{type(error).__name__}: {error}"), b""
        if problem is not None or digests is None:
            return Outcome(reason="damaged", detail=f"{problem}; {read} bytes read before it", offset=read), b""
        head = content[:4096]
        media = self._maybe_media(head, member.found.path)
        return Outcome(digests, archive=_is_archive(head), media=media), content

    def _decode_member(self, content: bytes, size: int) -> MediaResult:
        assert self._media is not None
        if len(content) < size:
            return MediaResult("skipped", reason="size")
        return self._media.fingerprint(io.BytesIO(content))


class _Media:
    """The media room, loaded when the first file comes that it may want."""

    def __init__(self) -> None:
        from geldspur.evidence import media

        self._room: Any = media
        self.there = hasattr(media, "fingerprint")

    def maybe(self, head: bytes, path: bytes) -> bool | None:
        if not self.there:
            return None
        ask = getattr(self._room, "maybe_media", None)
        return bool(ask(head, path)) if ask is not None else True

    def fingerprint(self, stream: BinaryIO) -> MediaResult:
        result: MediaResult = self._room.fingerprint(stream)
        return result


def _is_archive(head: bytes) -> bool:
    try:
        from geldspur.evidence.sources.archives import is_archive
    except ImportError:
        return False
    return is_archive(head)


def _numbered(stream: BinaryIO) -> Iterator[tuple[Any, int]]:
    """Members, each with how many of the same path came before it."""
    from geldspur.evidence.sources.archives import LIMITS, members

    seen: dict[bytes, int] = {}
    for member in members(stream, LIMITS):
        ordinal = seen.get(member.found.path, 0)
        seen[member.found.path] = ordinal + 1
        yield member, ordinal
