"""An image opened in a process of its own: a crash in libewf or The Sleuth Kit costs the folder at hand.

The process is made and watched as the scan's workers are (`scan.pool`): it can't write, start programs or reach a host,
has a limit of memory, and dies with the one that asks. It streams what it lists; the pipe makes it wait, so that
neither side holds more than some hundred entries beyond the folders on the way to the one at hand.

    with Apart(path) as image:
        for volume in image.volumes():
            for found in image.entries(volume): ...
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.media.sandbox import confine
from geldspur.evidence.model import Found
from geldspur.evidence.reasons import SKIPPED
from geldspur.evidence.scan.pool import Pool, Task
from geldspur.evidence.scan.worker import Handler, Talk
from geldspur.evidence.sources.image.listing import Walking
from geldspur.evidence.sources.image.opened import OpenedImage
from geldspur.evidence.sources.image.volumes import Volume, chosen, unread, whole

_MEMORY = 4 << 30  # of address space; a folder takes about 2 kB an entry while it is listed
_SILENCE = 600.0  # seconds without a byte read or an entry: a failing disk tries for minutes
_ONE_FOLDER = 6 * 3600.0  # seconds; orphans are looked for all over a volume
_SPEAK_SECONDS = 0.5
_BATCH = 256
_MOST_ENDS = 32  # of the process before a volume is given up


def make_handler(path: Path) -> Handler:
    """What answers in the process; from here on it is shut in."""
    return Answering(path)


class Answering:
    """The far side: one image, opened at the first question."""

    def __init__(self, path: Path) -> None:
        self.confined = confine(_MEMORY)
        self._path = path
        self._opened: OpenedImage | None = None
        self._talk: Talk | None = None
        self._folder: int | None = None
        self._began = self._spoke = time.monotonic()

    def __call__(self, question: tuple[Any, ...], talk: Talk) -> Any:
        """A plain answer, or an error as `_raised` takes it; entries and amounts are said on the way."""
        self._talk, self._folder, self._began = talk, None, time.monotonic()
        try:
            return "answer", self._answer(question, talk)
        except GeldspurError as error:
            return type(error).__name__, (error.what, error.where, error.todo)
        except OSError as error:
            return "OSError", (error.errno, error.strerror or str(error))
        except MemoryError:
            self._opened = None  # whatever it holds
            raise

    def _answer(self, question: tuple[Any, ...], talk: Talk) -> Any:
        if self._opened is None:
            self._opened = OpenedImage(self._path, self._alive)
        match question:
            case ("facts",):
                return self._opened.facts()
            case ("partitions",):
                return [astuple(volume) for volume in self._opened.partitions()]
            case ("identify", volume):
                return astuple(self._opened.identified(Volume(*volume)))
            case ("digests",):
                return self._opened.digests(lambda amount: talk.say(("amount", amount)))
            case ("entries", volume, avoided):
                return self._entries(self._opened, Volume(*volume), dict(avoided), talk)

    def _entries(self, image: OpenedImage, volume: Volume, avoided: dict[int, str], talk: Talk) -> None:
        batch: list[Found] = []

        def before(folder: int) -> None:
            talk.say(("entries", folder, batch))
            batch.clear()
            self._folder, self._began = folder, time.monotonic()

        for found in image.entries(volume, Walking(before, avoided)):
            batch.append(found)
            if len(batch) == _BATCH:
                self._folder = None
                talk.say(("entries", None, batch))
                batch.clear()
        talk.say(("entries", None, batch))

    def _alive(self) -> None:
        """Show that bytes are read; who goes through one folder for hours is no longer heard, and is ended."""
        now = time.monotonic()
        if self._talk is not None and now - self._spoke > _SPEAK_SECONDS and now - self._began < _ONE_FOLDER:
            self._talk.say(("entries", self._folder, []))
            self._spoke = now


class _Ended(Exception):
    """The process ended, or was ended, before it had answered; `reason` is the pool's, as are the words."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(f"ended the process that did it: {reason}, {words}")
        self.reason = reason


class Apart:
    """The near side; see the module."""

    def __init__(self, path: Path, handler: Callable[[Path], Handler] = make_handler) -> None:
        self._path = path
        self._handler = handler

    def __enter__(self) -> "Apart":
        """Start the process."""
        self._pool = Pool(self._handler, 1, self._path).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._pool.__exit__(kind, error, trace)

    def facts(self) -> dict[str, str | int]:
        """Size, and what the container says of itself.

        Raises:
            GeldspurError: the image can't be opened, and why.
        """
        try:
            facts: dict[str, str | int] = _last(self._ask("facts"))
        except _Ended as ended:
            raise GeldspurError(f"opening the image {ended}", where=str(self._path)) from ended
        return facts

    def volumes(self) -> list[Volume]:
        """The image's partitions, or the one file system that fills it; see `volumes.chosen`."""
        image = whole(int(self.facts()["bytes"]))
        try:
            parts = [Volume(*fields) for fields in _last(self._ask("partitions"))]
        except _Ended as ended:
            return [unread(image, f"reading its table of partitions {ended}")]
        return chosen(parts, image, self._identified)

    def _identified(self, volume: Volume) -> Volume:
        try:
            return Volume(*_last(self._ask("identify", astuple(volume))))
        except _Ended as ended:
            return unread(volume, f"looking for its file system {ended}")

    def entries(self, volume: Volume) -> Iterator[Found]:
        """Every file of the volume's file system. What could not be listed is an entry with an error.

        A folder that costs the process its life twice, or once by its memory or time, is given up, and the listing
        begins again without it; what was given already is not given again.
        """
        given, ends, avoided, suspects = 0, 0, dict[int, str](), set[int | None]()
        while True:
            count, folder = 0, None
            try:
                for at, batch in self._ask("entries", astuple(volume), tuple(avoided.items())):
                    folder = at
                    for found in batch:
                        count += 1
                        if count > given:
                            believed = self._believed(found, volume)
                            given += 1
                            yield believed
            except _Ended as ended:
                ends += 1
                words = f"listing it {ended}"
                again = ended.reason == "crashed" and folder not in suspects
                suspects.add(folder)
                if (folder is None and not again) or ends == _MOST_ENDS:
                    yield volume.listed_in_part(words) if given else unread(volume, words).as_entry()
                    return
                if folder is not None and not again:
                    avoided[folder] = words
            except OSError as error:
                yield unread(volume, f"its file system can't be opened: {error.strerror or error}").as_entry()
                return
            else:
                return

    def digests(self, progress: Callable[[int], None]) -> list[tuple[str, str, str]]:
        """See `OpenedImage.digests`."""
        try:
            asked = self._ask("digests")
            while True:
                try:
                    progress(int(next(asked)[0]))
                except StopIteration as end:
                    digests: list[tuple[str, str, str]] = end.value
                    return digests
        except _Ended as ended:
            raise OSError(5, f"reading the image {ended}") from ended

    def _believed(self, found: Found, volume: Volume) -> Found:
        """The entry, if it is one: a process that was taken over may tell anything, and must not end the scan by it."""
        plain = isinstance(found, Found) and isinstance(found.path, bytes) and isinstance(found.place, dict)
        if plain and found.path.startswith(volume.name) and (found.skip is None or found.skip in SKIPPED):
            return found
        self.__exit__(None, None, None)
        self.__enter__()
        raise _Ended("crashed", "it told what is no entry")

    def _ask(self, *question: Any) -> Generator[Any, None, Any]:
        """Yields what is said on the way, returns the answer. Raises `_Ended` and the errors of `OpenedImage`."""
        self._pool.put(Task(None, question, _SILENCE))
        while True:
            for event in self._pool.events(_SPEAK_SECONDS):
                match event.what, event.content:
                    case "said", (_, *content):
                        yield content
                    case "done", ("answer", answer):
                        return answer
                    case "done", (name, fields):
                        _raised(name, fields)
                    case "lost", (reason, words):
                        raise _Ended(reason, words)


def _last(asked: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(asked)
        except StopIteration as end:
            return end.value


def _raised(name: str, fields: tuple[Any, ...]) -> NoReturn:
    if name == "OSError":
        raise OSError(*fields)
    what, where, todo = fields
    raise (UsageError if name == "UsageError" else GeldspurError)(what, where=where, todo=todo)
