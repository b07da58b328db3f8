"""The worker process: takes one task after the other, and dies with the scan that started it."""

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from geldspur.errors import GeldspurError
from geldspur.evidence.scan.wire import receive, send

Handler = Callable[[Any, "Talk"], Any]


class Talk:
    """What a task may tell the scan while it runs."""

    def __init__(self, descriptor: int, inbox: "queue.SimpleQueue[Any]") -> None:
        self._descriptor = descriptor
        self._inbox = inbox
        self._waiting: list[Any] = []
        self.key: Any = None

    def say(self, message: Any) -> None:
        """Tell something; it also shows that the task is alive."""
        send(self._descriptor, ("said", self.key, message))

    def ask(self, message: Any) -> Any:
        """Tell something and wait for the answer."""
        send(self._descriptor, ("asked", self.key, message))
        while True:
            what, key, content = self._inbox.get()
            if what == "answer" and key == self.key:
                return content
            self._waiting.append((what, key, content))

    def next_task(self) -> Any:
        """Wait for work; returns it."""
        while True:
            what, key, content = self._waiting.pop(0) if self._waiting else self._inbox.get()
            if what == "task":
                self.key = key
                return content


def serve(descriptor: int, make_handler: Callable[[Any], Handler], context: Any) -> None:
    """Serve until the scan closes its end."""
    try:
        handler = make_handler(context)
    except Exception as problem:
        words = str(problem) if isinstance(problem, GeldspurError) else f"{type(problem).__name__}: {problem}"
        send(descriptor, ("broken", None, words))
        return
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read_on, args=(descriptor, inbox), daemon=True).start()
    talk = Talk(descriptor, inbox)
    send(descriptor, ("ready", None, getattr(handler, "confined", {})))
    while True:
        task = talk.next_task()
        send(descriptor, ("began", talk.key, None))
        try:
            result = handler(task, talk)
        except MemoryError:
            send(descriptor, ("failed", talk.key, ("memory", "out of memory")))
        except Exception as problem:
            send(descriptor, ("failed", talk.key, ("crashed", f"{type(problem).__name__}: {problem}")))
        else:
            send(descriptor, ("done", talk.key, result))


def _read_on(descriptor: int, inbox: "queue.SimpleQueue[Any]") -> None:
    """Keep the pipe empty, so that the scan never waits to be heard; without the scan there is nothing to do."""
    try:
        while True:
            inbox.put(receive(descriptor))
    except BaseException:
        os._exit(0)
