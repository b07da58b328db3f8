"""How commands speak: JSON or text on standard output, progress on standard error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from geldspur.progress import SILENT, Progress, Task

if TYPE_CHECKING:
    from rich.console import Console


class _LateConsole:
    """Rich's console, made at its first use: the import alone takes a fifth of what a look-up may."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, **self._options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)

    def __enter__(self) -> "Console":
        return self._console.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.__exit__(kind, error, trace)


console = cast("Console", _LateConsole())
console_err = cast("Console", _LateConsole(stderr=True))

LedgerDir = Annotated[Path, typer.Option("--ledger", metavar="DIR", help="The ledger directory.")]
ScanDir = Annotated[Path, typer.Argument(metavar="DIR", help="A scan directory.")]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Hold no more memory than this, e.g. 2G. Default: half of all.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


def say(text: str) -> None:
    """Print text as it is, without colour and never wrapped, so that ids stay whole and look-ups need no rich."""
    print(text)


def note(text: str) -> None:
    """Tell on standard error what the reader should mind; brackets in names are no markup."""
    from rich.markup import escape

    console_err.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def tell_first_use(compiled: bool, how_long: str) -> None:
    """Kernels are compiled once, which takes a while without a word."""
    if not compiled:
        console_err.print(f"First use: compiling the kernels, which takes {how_long} once ...")


def printable(text: str) -> str:
    """Text of others, such as a file's name, without what would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def show_json(content: Any) -> None:
    """Print one JSON object."""
    if is_dataclass(content) and not isinstance(content, type):
        content = asdict(content)
    print(json.dumps(content, indent=1, ensure_ascii=False, default=str))


def progress(as_json: bool = False) -> Progress:
    """Bars with rate and ETA where a person watches, silence where not."""
    return SILENT if as_json or not console_err.is_terminal else Bars()


class _Bar:
    def __init__(self, bars: Any, task: Any) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: int) -> None:
        """Move the bar on."""
        self._bars.advance(self._task, amount)


class Bars:
    """A bar a task, on standard error."""

    @contextmanager
    def task(self, label: str, total: int | None, unit: str) -> Iterator[Task]:
        """Show one bar while the work lasts."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            ProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as RichProgress
        from rich.progress import Task as RichTask
        from rich.text import Text

        class Count(ProgressColumn):
            def render(self, task: RichTask) -> Text:
                if task.total is None:
                    return Text(f"{int(task.completed):,} {unit}" if task.completed else "", style="progress.download")
                whole = f"{int(task.total):,}"
                return Text(f"{int(task.completed):{len(whole)},}/{whole}", style="progress.download")

        class Rate(ProgressColumn):
            def render(self, task: RichTask) -> Text:
                return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="progress.data.speed")

        amount: list[ProgressColumn]
        amount = [DownloadColumn(), TransferSpeedColumn()] if unit == "B" else [Count(), Rate()]
        eta: list[ProgressColumn | str] = ["ETA", TimeRemainingColumn()] if total is not None else []
        columns: list[ProgressColumn | str]
        columns = [TextColumn(f"{label:26}"), BarColumn(24), *amount, TimeElapsedColumn(), *eta]
        with RichProgress(*columns, console=console_err) as bars:
            yield _Bar(bars, bars.add_task(label, total=total))
