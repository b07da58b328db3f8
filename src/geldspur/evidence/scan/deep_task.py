"""What a worker does for the deep mode: find the content's bytes again, check them, decode all of them."""

import hashlib
import io
import time
from typing import Any, BinaryIO, NamedTuple, cast

from geldspur.evidence.media import confine
from geldspur.evidence.media.keyframes import fingerprint
from geldspur.evidence.media.known import examine
from geldspur.evidence.media.pdq import warm
from geldspur.evidence.model import MediaResult
from geldspur.evidence.scan.heard import Heard
from geldspur.evidence.scan.tasks import MEMBER_IN_MEMORY
from geldspur.evidence.scan.worker import Handler, Talk
from geldspur.evidence.sources.archives import members
from geldspur.evidence.sources.base import Source

_MEMORY = 3 << 30
_SPEAK_SECONDS = 0.5
_BLOCK = 1 << 20


class DeepTask(NamedTuple):
    """One content to decode whole.

    `path` and `place` are the file's, or of the outermost archive that holds it; then `member` is its path there, and
    which one of that path it is.
    """

    sha256: bytes
    size: int
    every: str
    path: bytes
    place: dict[str, int | str]
    member: tuple[bytes, int] | None


def prepare(_: Source) -> None:
    """Load the kernels, in the process that workers are forked from."""
    warm()


def make_handler(source: Source) -> Handler:
    """The function that a worker serves tasks with."""
    return _Handler(source)


class _Handler:
    def __init__(self, source: Source) -> None:
        warm()
        self._source = source
        self.confined = confine(_MEMORY)
        examine(fingerprint)

    def __call__(self, task: DeepTask, talk: Talk) -> MediaResult:
        spoke = time.monotonic()

        def tick() -> None:
            nonlocal spoke
            if time.monotonic() - spoke > _SPEAK_SECONDS:
                spoke = time.monotonic()
                talk.say(None)

        try:
            with self._source.open(task.path, task.place) as stream:
                content = stream if task.member is None else _member(stream, task.member, tick)
                if content is None:
                    return _lost("its archive no longer gives it, or it is too large to be decoded in memory")
                if not _is(content, task, tick):
                    return _lost("the bytes there are no longer those of the scan")
                return fingerprint(content, stage=task.every, tick=tick)  # type: ignore[arg-type]
        except OSError as error:
            return _lost(str(error.strerror or error))


def _lost(words: str) -> MediaResult:
    return MediaResult("failed", reason="unreadable", detail=words)


def _is(stream: BinaryIO, task: DeepTask, tick: Any) -> bool:
    digest, size = hashlib.sha256(), 0
    stream.seek(0)
    while block := stream.read(_BLOCK):
        digest.update(block)
        size += len(block)
        tick()
    return (size, digest.digest()) == (task.size, task.sha256)


def _member(stream: BinaryIO, wanted: tuple[bytes, int], tick: Any) -> BinaryIO | None:
    """A member's bytes, in memory; None where they can't be had."""
    seen = 0
    for member in members(cast(BinaryIO, Heard(stream, tick))):
        tick()
        if member.refused is not None or member.found.path != wanted[0]:
            continue
        seen += 1
        if seen - 1 == wanted[1]:
            content = member.open().read(MEMBER_IN_MEMORY + 1) if member.open is not None else b""
            return io.BytesIO(content) if 0 < len(content) <= MEMBER_IN_MEMORY else None
    return None
