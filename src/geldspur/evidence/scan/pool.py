"""Worker processes of our own: one that crashes, hangs or runs out of memory costs the task at hand and no more.

    with Pool(make_handler, 2, context) as pool:
        while pool.busy or todo:
            while todo and pool.has_room:
                pool.put(Task(key, payload, seconds=60))
            for event in pool.events(0.25): ...

`make_handler(context)` is called once in each worker, and returns the function `(payload, talk) -> result`; it must be
importable by name. Results may hold plain values and the types of `evidence.model` and `scan.messages` only (`wire`).
"""

import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from geldspur.errors import GeldspurError
from geldspur.evidence.scan.nest import Nest, parent_of_all
from geldspur.evidence.scan.wire import Inbox, send
from geldspur.evidence.scan.worker import Handler

_AHEAD = 2  # tasks a worker holds, so that it needn't wait for the next while results are written
_END_SECONDS = 5.0
_START_SECONDS = 900.0  # the first start after an upgrade compiles kernels


@dataclass(frozen=True, slots=True)
class Task:
    """Work for one worker, which may stay silent for so many seconds."""

    key: Any
    payload: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a task.

    `said` and `asked`: `content` is the message; a question waits for `Pool.answer`. `done`: `content` is the result.
    `lost`: `content` is (reason, words), the reason being 'crashed', 'time' or 'memory'.
    """

    what: Literal["said", "asked", "done", "lost"]
    task: Task
    content: Any


class _Worker:
    def __init__(self, fork: Callable[[socket.socket], None]) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            fork(theirs)
        self.process: int | None = None  # until it tells
        self.tasks: deque[Task] = deque()  # the first one runs
        self.ready = False
        self.heard = time.monotonic()
        self.socket.setblocking(False)
        self._inbox = Inbox(self.socket.fileno())

    def tell(self, message: Any) -> None:
        self.socket.setblocking(True)
        try:
            send(self.socket.fileno(), message)
        except OSError:
            pass  # it died; the next read tells
        finally:
            self.socket.setblocking(False)

    def messages(self) -> tuple[list[Any], bool]:
        return self._inbox.read()

    @property
    def late(self) -> bool:
        limit = self.tasks[0].seconds if self.tasks and self.ready else _START_SECONDS
        return (bool(self.tasks) or not self.ready) and time.monotonic() - self.heard > limit

    def end(self) -> str:
        """Kill it if it lives; says how it ended."""
        self.socket.close()  # which ends one that has not told its number yet
        if self.process is None:
            return "before it had begun"
        try:
            os.kill(self.process, signal.SIGKILL)
            until = time.monotonic() + _END_SECONDS
            while not (ended := os.waitpid(self.process, os.WNOHANG))[0]:
                if time.monotonic() > until:  # the kernel waits for a device, and will end it then
                    return "hung in the kernel"
                time.sleep(0.001)
        except (ProcessLookupError, ChildProcessError):  # a kernel that gave it another parent
            return "how is not known"
        code = os.waitstatus_to_exitcode(ended[1])
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"


class Pool:
    """See the module."""

    def __init__(
        self, make_handler: Callable[[Any], Handler], count: int, context: Any, nest: Nest | None = None
    ) -> None:
        """`nest`: one that was started early, for the same module; the pool ends it."""
        self._made_by, self._context = make_handler, context
        self._nest = nest or Nest(make_handler.__module__)
        self._workers: list[_Worker] = []
        self._count = count
        self._parent = ExitStack()
        self.confined: dict[str, int | bool] | None = None  # what the first worker ready said it has given up

    def __enter__(self) -> "Pool":
        """Use it in a `with` statement: no worker outlives that."""
        self._parent.enter_context(parent_of_all())
        self._workers = [_Worker(self._fork) for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers, whatever they do."""
        with self._parent:
            self._nest.end()
            for worker in self._workers:
                worker.end()

    def _fork(self, end: socket.socket) -> None:
        if not self._nest.fork(self._made_by.__name__, self._context, end):
            self._nest.end()
            self._nest = Nest(self._made_by.__module__)
            self._nest.fork(self._made_by.__name__, self._context, end)

    @property
    def busy(self) -> bool:
        """Is any task out?"""
        return any(worker.tasks for worker in self._workers)

    @property
    def has_room(self) -> bool:
        """Would a task put now be begun soon?"""
        return any(len(worker.tasks) < _AHEAD for worker in self._workers)

    def put(self, task: Task) -> None:
        """Hand a task to the worker with the least to do."""
        worker = min(self._workers, key=lambda each: len(each.tasks))
        if not worker.tasks:
            worker.heard = time.monotonic()
        worker.tasks.append(task)
        worker.tell(("task", task.key, task.payload))

    def answer(self, task: Task, content: Any) -> None:
        """Answer a question of a running task."""
        for worker in self._workers:
            if worker.tasks and worker.tasks[0] is task:
                worker.tell(("answer", task.key, content))

    def events(self, seconds: float) -> list[Event]:
        """What happened, after waiting for so long at most."""
        poll = select.poll()
        for worker in self._workers:
            poll.register(worker.socket, select.POLLIN)
        poll.poll(seconds * 1000)
        events: list[Event] = []
        for number, worker in enumerate(self._workers):
            messages, alive = worker.messages()
            for message in messages:
                try:
                    events += self._understood(worker, message)
                except (LookupError, TypeError, ValueError):  # no worker of ours says so: it was taken over
                    alive = False
                    break
            if not alive or worker.late:
                events += self._replaced(number, worker, "crashed" if not alive else "time")
        return events

    def _understood(self, worker: _Worker, message: Any) -> list[Event]:
        what, _, content = message
        worker.heard = time.monotonic()
        if what == "forked" and worker.process is None and isinstance(content, int):
            worker.process = content
        elif what == "ready":
            worker.ready = True
            self.confined = content if self.confined is None else self.confined
        elif what == "broken" and not worker.ready:
            raise GeldspurError(f"a worker could not start: {content}")
        elif what in ("said", "asked"):
            return [Event(what, worker.tasks[0], content)]
        elif what == "done":
            return [Event("done", worker.tasks.popleft(), content)]
        elif what == "failed":
            return [Event("lost", worker.tasks.popleft(), content)]
        return []

    def _replaced(self, number: int, worker: _Worker, reason: str) -> list[Event]:
        seconds = time.monotonic() - worker.heard
        ended = worker.end()
        if not worker.ready:
            raise GeldspurError(f"a worker process ended before it began to work: {ended}")
        words = f"nothing heard for {seconds:.0f} s" if reason == "time" else ended
        fresh = self._workers[number] = _Worker(self._fork)
        lost = [Event("lost", worker.tasks.popleft(), (reason, words))] if worker.tasks else []
        for task in worker.tasks:
            fresh.tasks.append(task)
            fresh.tell(("task", task.key, task.payload))
        return lost
