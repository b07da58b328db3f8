"""How long work tells how far it is, without knowing who listens."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of long work."""

    def advance(self, amount: int) -> None:
        """Tell that `amount` more units are done."""


class Progress(Protocol):
    """Somebody who watches long work."""

    def task(self, label: str, total: int | None, unit: str) -> AbstractContextManager[Task]:
        """Begin a piece of work of `total` units ("B" for bytes, else a plural noun)."""


class _SilentTask:
    def advance(self, amount: int) -> None:
        """Say nothing."""


class Silent:
    """A listener that shows nothing: the default of every public function."""

    @contextmanager
    def task(self, label: str, total: int | None, unit: str) -> Iterator[Task]:
        """Begin a piece of work that nobody watches."""
        yield _SilentTask()


SILENT = Silent()
