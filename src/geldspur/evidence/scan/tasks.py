"""What a worker does with each kind of task."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from geldspur.evidence.media import confine, maybe_media
from geldspur.evidence.model import Digests, MediaResult
from geldspur.evidence.scan.ahead import Ahead
from geldspur.evidence.scan.digests import HEAD, LARGE, OneByOne, Reader, Shas, difference, digest_file
from geldspur.evidence.scan.heard import Heard
from geldspur.evidence.scan.messages import (
    ArchiveTask,
    DigestTask,
    FingerprintTask,
    Job,
    MemberOutcome,
    Outcome,
    Refusal,
    Task,
)
from geldspur.evidence.scan.worker import Handler, Talk
from geldspur.evidence.sources.archives import Member, is_archive, members, streams
from geldspur.evidence.sources.base import Source

Decoder = Callable[[BinaryIO], MediaResult]

_SPEAK_SECONDS = 0.25
_MEMORY = 4 << 30  # of address space for one worker's decoding
MEMBER_IN_MEMORY = 256 << 20  # larger members of archives, where they can't be read twice, are not decoded


@dataclass(frozen=True, slots=True)
class Context:
    """What every worker is given: the source, whether media are decoded, and whether digests are worth kernels."""

    source: Source
    fingerprints: bool
    kernels: bool = False


def prepare(context: Context) -> None:
    """Load what workers of such a context need, in the process that they are forked from."""
    if context.fingerprints:
        _decoder()
    if context.kernels:
        _kernels()


def make_handler(context: Context) -> Handler:
    """The function that a worker serves tasks with; from here on the worker is shut in."""
    return _Handler(context)


class _Handler:
    def __init__(self, context: Context) -> None:
        self._source = context.source
        decoder = _decoder() if context.fingerprints else None
        self._fingerprint_stream = decoder[0] if decoder else None
        self._lanes: Any = None
        shas: Callable[[], Shas] = OneByOne
        if context.kernels:
            self._lanes, shas = _kernels()
        self.confined: dict[str, int | bool] = confine(_MEMORY)
        if decoder:
            decoder[1](decoder[0])
        self._reader = Reader(self._count, shas)
        self._talk: Talk | None = None
        self._bytes = 0
        self._spoke = time.monotonic()

    def __call__(self, task: Task, talk: Talk) -> Any:
        self._talk = talk
        match task:
            case DigestTask():
                return self._digests(task), self._counted()
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

    def _digests(self, task: DigestTask) -> list[Outcome]:
        with Ahead(task.jobs, lambda job: self._source.open(job.path, job.place)) as ahead:
            return self._digests_of(task, ahead.next if self._source.kind == "folder" else None)

    def _digests_of(self, task: DigestTask, following: Callable[[], BinaryIO] | None) -> list[Outcome]:
        """`following` opens the jobs one by one where that may be done in advance: images read by themselves."""
        lanes = self._lanes
        if lanes is None or not lanes.pay([job.size for job in task.jobs if job.size and job.size < LARGE]):
            return [self._digest(job, following) for job in task.jobs]
        lanes.clear()
        outcomes: list[Outcome] = []
        open_md5: dict[int, tuple[int, int]] = {}  # of the outcomes by number: where the content lies
        for number, job in enumerate(task.jobs):
            place = lanes.room(job.size) if job.size is not None and job.size < LARGE else None
            outcomes.append(self._digest(job, following, place[1] if place else None))
            if place and (digests := outcomes[-1].digests) is not None:
                open_md5[number] = place[0], digests.size
        for number, md5 in zip(open_md5, lanes.md5(list(open_md5.values())), strict=True):
            one = outcomes[number].digests
            assert one is not None
            whole = Digests(one.size, md5, one.sha1, one.sha256, one.blake3)
            outcomes[number] = outcomes[number]._replace(digests=whole)
        return outcomes

    def _digest(self, job: Job, following: Callable[[], BinaryIO] | None, room: memoryview | None = None) -> Outcome:
        open_stream = following or (lambda: self._source.open(job.path, job.place))
        outcome, head = digest_file(open_stream, job, self._reader, room)
        if outcome.digests is None:
            return outcome
        return outcome._replace(archive=is_archive(head), media=self._maybe_media(head, job.path))

    def _maybe_media(self, head: bytes, path: bytes) -> bool | None:
        return None if self._fingerprint_stream is None else maybe_media(head, path)

    def _fingerprint(self, job: Job) -> MediaResult:
        try:
            with self._source.open(job.path, job.place) as stream:
                if (changed := difference(job, stream)) is not None:
                    return MediaResult("failed", reason="unreadable", detail=changed)
                return self._fingerprint_of(stream)
        except OSError as error:
            return MediaResult("failed", reason="unreadable", detail=str(error.strerror or error))

    def _archive(self, task: ArchiveTask, talk: Talk) -> int:
        """Tell every member; returns how many."""
        count = 0
        seen: dict[bytes, int] = {}
        with self._source.open(task.job.path, task.job.place) as stream:
            heard = cast(BinaryIO, Heard(stream, lambda: self._count(0)))
            for member in members(heard):
                if member.refused is not None:
                    talk.say(Refusal(member.number, member.refused, member.offset))
                    continue
                count += 1
                ordinal = seen.get(member.found.path, 0)
                seen[member.found.path] = ordinal + 1
                self._member(member, ordinal, task, talk)
        return count

    def _member(self, member: Member, ordinal: int, task: ArchiveTask, talk: Talk) -> None:
        whole = (member.found.path, ordinal)
        known = whole in task.done
        told = MemberOutcome(member.found, ordinal, member.number, member.parent, None, known)
        if member.open is None or (known and whole not in task.wanted):
            talk.say(told)
            return
        stream = member.open()
        outcome, content = self._digest_member(stream, member)
        told = told._replace(outcome=outcome)
        if not outcome.media or outcome.digests is None:
            talk.say(told)
        elif talk.ask(told):
            talk.say(self._decode_member(stream, content, outcome.digests.size))

    def _digest_member(self, stream: BinaryIO, member: Member) -> tuple[Outcome, bytes]:
        """The outcome, and the content where it may have to be decoded and can't be read again."""
        try:
            media = self._maybe_media(streams.peek(stream, HEAD), member.found.path)
            keep = MEMBER_IN_MEMORY if media and not stream.seekable() else 0
            digests, content, problem, read = self._reader.read(stream, member.found.size, keep)
        except OSError as error:
            digests, content, problem, read = None, b"", error, 0
        if digests is None:
            reason, offset = getattr(problem, "reason", "damaged"), getattr(problem, "offset", None)
            words = f"{problem}; {read} bytes read before it"
            return Outcome(reason=reason, detail=words, offset=read if offset is None else offset), b""
        return Outcome(digests, archive=member.format is not None, media=media), content if keep else b""

    def _decode_member(self, stream: BinaryIO, content: bytes, size: int) -> MediaResult:
        if stream.seekable():
            return self._fingerprint_of(stream)
        if len(content) < size:
            return MediaResult("skipped", reason="size")
        return self._fingerprint_of(io.BytesIO(content))

    def _fingerprint_of(self, stream: BinaryIO) -> MediaResult:
        assert self._fingerprint_stream is not None, "only a scan with fingerprints asks for them"
        return self._fingerprint_stream(stream)


def _decoder() -> tuple[Decoder, Callable[[Decoder], None]]:
    """The decoders and their kernels, and what examines them once they are shut in; a scan of digests does without."""
    from geldspur.evidence.media.keyframes import fingerprint
    from geldspur.evidence.media.known import examine
    from geldspur.evidence.media.pdq import warm

    warm()
    return fingerprint, examine


def _kernels() -> tuple[Any, Callable[[], Shas]]:
    """Kernels for MD5 of many small files, and for both SHA at once; they take half a second to load."""
    from geldspur.evidence.scan import lanes
    from geldspur.evidence.scan.sha import both

    return lanes.Lanes() if lanes.can() else None, both.Together if both.can() else OneByOne
