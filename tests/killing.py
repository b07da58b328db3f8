"""Killing work in the middle: a child process that ends itself with SIGKILL at its n-th call that changes files.

Forked rather than started, so that a kill costs milliseconds and kernels are compiled already. What a child has
written stays, as with any killed process.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_CALLS = ("pwrite", "fsync", "ftruncate", "truncate", "rename", "replace", "unlink", "rmdir", "mkdir")


def _count_calls(act: Callable[[int, Callable[[], Any], Callable[[], None]], Any]) -> None:
    """Replace the calls that change files; `act(n, call, half)` stands for the n-th, `half` does a part of it."""
    count = [0]

    def wrap(owner: Any, name: str, half: Callable[..., None]) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **named: Any) -> Any:
            count[0] += 1
            return act(count[0], lambda: real(*args, **named), lambda: half(real, *args, **named))

        setattr(owner, name, wrapped)

    for name in _CALLS:
        wrap(os, name, _half_of_write if name == "pwrite" else _nothing)
    wrap(Path, "write_text", lambda real, path, text, **named: real(path, text[: len(text) // 2], **named))
    wrap(np.memmap, "flush", _nothing)


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _half_of_write(real: Callable[..., int], handle: int, data: memoryview, offset: int) -> None:
    real(handle, data[: len(data) // 2], offset)


def _in_child(work: Callable[[], None]) -> int:
    """How a forked child that does the work ended: its status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def calls_of(work: Callable[[], object], note: Path) -> int:
    """How many calls that change files the work makes; it is done, by a child."""

    def counted() -> None:
        total = [0]

        def act(n: int, call: Callable[[], Any], half: Callable[[], None]) -> Any:
            total[0] = n
            return call()

        _count_calls(act)
        work()
        note.write_bytes(str(total[0]).encode())

    assert _in_child(counted) == 0
    return int(note.read_bytes())


def kill_at(n: int, when: str, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed at its n-th call: before, in the middle of it, or after; was it?"""

    def killed() -> None:
        def act(count: int, call: Callable[[], Any], half: Callable[[], None]) -> Any:
            if count == n:
                {"before": _nothing, "half": half, "after": call}[when]()
                os.kill(os.getpid(), signal.SIGKILL)
            return call()

        _count_calls(act)
        work()

    status = _in_child(killed)
    assert status in (0, signal.SIGKILL), f"the child failed: {status}"
    return status == signal.SIGKILL
