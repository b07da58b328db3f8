"""What every demonstration needs: a place of its own, and a word on each step."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.text import Text

from geldspur.errors import UsageError


class Clock:
    """Times each step, and tells the console when it is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, done: str) -> Iterator[None]:
        """Measure the work inside, then print the name, the time taken and what is now `done`."""
        start = perf_counter()
        yield
        self.seconds[name] = seconds = perf_counter() - start
        line = Text.assemble(("✓", "green"), f" {name:8}", (f"{seconds:5.1f} s   {done}", "dim"))
        self.console.print(line, soft_wrap=True)


def make_room(out: Path, mark: str, folders: Sequence[str]) -> None:
    """Make room for a demo in `out`: only the folders of an earlier one, which left its mark, are removed.

    Raises UsageError for an `out` that holds something else.
    """
    stranger = any(out.iterdir()) and not (out / mark).exists() if out.is_dir() else out.exists()
    if stranger:
        raise UsageError(
            "this place holds something that isn't an earlier demo",
            where=str(out),
            todo="choose a new or empty directory with --out",
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / mark).touch()
    for folder in folders:
        shutil.rmtree(out / folder, ignore_errors=True)
