"""One run over what is left: work to the workers, and what they tell into rows, in small transactions."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from geldspur.evidence.model import Found, MediaResult
from geldspur.evidence.scan.messages import (
    ArchiveTask,
    DigestTask,
    FingerprintTask,
    Job,
    MemberOutcome,
    Outcome,
    Refusal,
)
from geldspur.evidence.scan.nest import Nest
from geldspur.evidence.scan.plan import Plan
from geldspur.evidence.scan.pool import Event, Pool, Task
from geldspur.evidence.scan.ready import compile_kernels, is_ready
from geldspur.evidence.scan.record import Recorded, Recorder
from geldspur.evidence.scan.tasks import Context, make_handler
from geldspur.evidence.sources import Source
from geldspur.evidence.store import ScanStore
from geldspur.progress import Progress

_WORTH_A_KERNEL = 512 << 20  # bytes to read
_CHANGES, _SECONDS = 1024, 0.5  # a transaction holds no more, and waits no longer
_READ_SILENCE = 600.0  # a failing disk tries for minutes before it gives up on a sector
_FINGERPRINT_SILENCE = 600.0


class Batches:
    """Transactions of some changes each: what a kill can lose is what was done again by the next run."""

    def __init__(self, store: ScanStore) -> None:
        self._store = store
        self._open: ExitStack | None = None
        self._count = 0
        self._began = 0.0

    def begin(self) -> None:
        """Have a transaction open for one more change."""
        if self._open is None:
            self._open = ExitStack()
            self._open.enter_context(self._store.change())
            self._count, self._began = 0, time.monotonic()
        self._count += 1

    def commit(self, when_due: bool) -> None:
        """Commit what is open; `when_due`: only if it is large or old enough."""
        due = self._count >= _CHANGES or time.monotonic() - self._began >= _SECONDS
        if self._open is not None and (due or not when_due):
            done, self._open = self._open, None
            done.close()

    @contextmanager
    def finished(self) -> Iterator[None]:
        """Commit at the end, or roll back what an error interrupted."""
        try:
            yield
        except BaseException as error:
            if self._open is not None:
                failed, self._open = self._open, None
                failed.__exit__(type(error), error, error.__traceback__)
            raise
        self.commit(when_due=False)


@dataclass(slots=True)
class _Listing:
    """An archive being gone through: rows of its members by number, and the content that is being decoded."""

    rows: dict[int, int] = field(default_factory=dict)
    decoding: int | None = None
    told: int = 0


class Run:
    """See the module."""

    def __init__(self, store: ScanStore, source: Source, fingerprints: bool, progress: Progress) -> None:
        self._store = store
        self._plan = Plan(store)
        self._source = source
        self._recorder = Recorder(store, fingerprints)
        self._progress = progress
        self._batches = Batches(store)
        self._decodes = fingerprints
        self._decoding: set[int] = set()  # contents that someone fingerprints or has fingerprinted in this run
        self._listings: dict[int, _Listing] = {}

    def __enter__(self) -> "Run":
        """Begin to load what the workers will need, while the source is walked."""
        if self._decodes:
            self._be_ready()
        self._nest = Nest(make_handler.__module__)
        if self._decodes:
            self._nest.prepare(self._context(kernels=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was begun."""
        self._nest.end()

    def watched(self, listing: Iterable[Found]) -> Iterator[Found]:
        """The listing as it is; kernels that pay by the bytes to read are loaded as soon as there are enough."""
        size, enough = 0, self._decodes
        for found in listing:
            size += found.size or 0
            if not enough and size > _WORTH_A_KERNEL:
                enough = True
                if is_ready():
                    self._nest.prepare(self._context(kernels=True))
            yield found

    def _context(self, *, kernels: bool) -> Context:
        return Context(self._source, self._decodes, kernels)

    def _be_ready(self) -> None:
        if not is_ready():
            with self._progress.task("compile kernels, once", None, "kernels"):
                compile_kernels()

    def go(self, workers: int) -> None:
        """Do all that is left."""
        self._plan.resume(self._decodes)
        # numba, which decoding needs anyway, takes half a second to load
        context = self._context(kernels=self._decodes or self._plan.bytes_left() > _WORTH_A_KERNEL)
        if context.kernels:
            self._be_ready()
        with (
            Pool(make_handler, workers, context, self._nest) as self._pool,
            self._progress.task("read", self._plan.bytes_left(), "B") as self._bar,
            self._batches.finished(),
        ):
            told = False
            while self._hand_out() or self._pool.busy:
                for event in self._pool.events(_SECONDS / 2):
                    self._heard(event)
                    self._recorder.flush()
                if self._pool.confined and not told:
                    self._batches.begin()
                    self._store.log("workers", count=workers, confined=self._pool.confined)
                    told = True
                self._settle()
                self._batches.commit(when_due=True)
            self._settle()

    def _hand_out(self) -> bool:
        given = False
        while self._pool.has_room and (payload := self._plan.next()) is not None:
            silence = _READ_SILENCE if isinstance(payload, DigestTask) else _FINGERPRINT_SILENCE
            self._pool.put(Task(None, payload, silence))
            given = True
        return given

    def _settle(self) -> None:
        for link in self._plan.settled():
            self._batches.begin()
            self._recorder.file(link.job, link.outcome, link.same_as)
        self._recorder.flush()

    def _heard(self, event: Event) -> None:
        match event.task.payload:
            case DigestTask() as task:
                self._heard_digests(event, task)
            case FingerprintTask() as task:
                result = _no_result(*event.content) if event.what == "lost" else event.content
                self._batches.begin()
                self._recorder.media(task.content, result)
            case ArchiveTask() as task:
                self._heard_archive(event, task)

    def _heard_digests(self, event: Event, task: DigestTask) -> None:
        if event.what == "said":
            self._bar.advance(event.content)
        elif event.what == "done":
            outcomes, read = event.content
            self._bar.advance(read)
            for job, outcome in zip(task.jobs, outcomes, strict=True):
                self._file(job, outcome)
        elif len(task.jobs) > 1:  # one of them cost the worker its life: each alone now
            self._plan.again.extend(DigestTask((job,)) for job in task.jobs)
        else:
            reason, words = event.content
            self._file(task.jobs[0], Outcome(reason="error", detail=f"reading it ended the worker: {reason}, {words}"))

    def _file(self, job: Job, outcome: Outcome) -> None:
        self._batches.begin()
        recorded = self._recorder.file(job, outcome)
        for other in self._plan.names_with(job, outcome):
            self._batches.begin()
            self._recorder.file(other, outcome, job.path)
        if self._is_to_decode(recorded):
            assert recorded.content is not None
            self._plan.fingerprints.append(FingerprintTask(recorded.content, job))
        if outcome.archive:
            self._plan.archives.append(ArchiveTask(job))

    def _is_to_decode(self, recorded: Recorded) -> bool:
        """Is it the first to need this content's fingerprints? From now on it is the one."""
        if not self._decodes or not recorded.pending or recorded.content in self._decoding:
            return False
        assert recorded.content is not None
        self._decoding.add(recorded.content)
        if recorded.again:
            self._recorder.pend(recorded.content)
        return True

    def _heard_archive(self, event: Event, task: ArchiveTask) -> None:
        listing = self._listings.setdefault(task.job.entry, _Listing())
        match event.what, event.content:
            case _, MemberOutcome() as told:
                recorded = self._member(task, listing, told)
                if event.what == "asked":
                    wanted = self._is_to_decode(recorded)
                    listing.decoding = recorded.content if wanted else None
                    self._pool.answer(event.task, wanted)
            case "said", MediaResult() as result if listing.decoding is not None:
                self._batches.begin()
                self._recorder.media(listing.decoding, result)
                if result.reason == "size":  # elsewhere it may be no member, or one that can be read twice
                    self._decoding.discard(listing.decoding)
                listing.decoding = None
            case "said", Refusal() as refusal:
                self._batches.begin()
                archive = listing.rows[refusal.number] if refusal.number else task.job.entry
                self._recorder.refused(archive, refusal.words, refusal.offset)
            case "done", int() as count:
                self._end_listing(task, count)
            case "lost", (reason, words):
                self._lost_archive(task, listing, reason, words)

    def _member(self, task: ArchiveTask, listing: _Listing, told: MemberOutcome) -> Recorded:
        listing.told += 1
        if told.known:
            row = self._plan.member(task.job, told.found.path, told.ordinal)
            listing.rows[told.number] = row
            content = task.wanted.get((told.found.path, told.ordinal))
            return Recorded(content, content is not None)
        self._batches.begin()
        parent = task.job.entry if told.parent is None else listing.rows[told.parent]
        listing.rows[told.number], recorded = self._recorder.member(task.job.path, parent, told)
        return recorded

    def _end_listing(self, task: ArchiveTask, count: int) -> None:
        self._batches.begin()
        del self._listings[task.job.entry]
        self._recorder.listed(task.job, count)

    def _lost_archive(self, task: ArchiveTask, listing: _Listing, reason: str, words: str) -> None:
        """Go on behind the member that cost the worker its life; give up where none was told since the last time."""
        if listing.decoding is not None:
            self._batches.begin()
            self._recorder.media(listing.decoding, _no_result(reason, words))
        elif listing.told <= len(task.done):
            self._batches.begin()
            self._recorder.refused(task.job.entry, f"going through it ended the worker: {reason}, {words}", None)
            self._end_listing(task, listing.told)
            return
        del self._listings[task.job.entry]
        left = {whole: content for whole, content in task.wanted.items() if content not in self._decoding}
        self._plan.archives.append(self._plan.archive(task.job, left))


def _no_result(reason: Any, words: Any) -> MediaResult:
    return MediaResult("failed", reason=str(reason), detail=str(words))
