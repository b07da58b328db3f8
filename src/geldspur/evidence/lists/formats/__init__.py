"""Which reader a list needs: recognised by its content, never by its name."""

from collections.abc import Callable

from geldspur.errors import UsageError
from geldspur.evidence.lists.entry import Reading
from geldspur.evidence.lists.formats import plain
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task

Reader = Callable[[ListFile, Task], Reading]

FORMATS: dict[str, Reader] = {
    "plain": plain.read,
    "pdq": plain.read_pdq,
}


def begin(file: ListFile, format: str | None, task: Task) -> Reading:
    """Begin to read a list with the reader named, or the one that its content asks for."""
    file.refuse_archives()
    if format is not None and format not in FORMATS:
        raise UsageError(f"no format is called {format!r}", todo=f"name one of: {', '.join(FORMATS)}")
    return FORMATS[format or "plain"](file, task)
