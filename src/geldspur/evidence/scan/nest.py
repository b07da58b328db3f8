"""The process that workers are forked from: it loads what they all need once, and never touches a byte of evidence.

A worker on its own spends most of a second of CPU on loading decoders and kernels. Here one process does that, and each
worker shares its memory. It has one thread, so that a fork finds no lock held by another. It opens no evidence, and
each worker shuts itself in after the fork.

Workers become children of the scan itself, which made itself their "subreaper": it sees how each ends, and a nest that
dies costs nothing; the next worker that is needed gets a new one.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from geldspur.evidence.scan.wire import receive, send
from geldspur.evidence.scan.worker import Handler, serve

_CODE = "import sys; from geldspur.evidence.scan.nest import main; main(int(sys.argv[1]))"
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def python(code: str) -> list[str]:
    """The command that runs code in a Python of its own, from `environment()`'s folders only.

    -P: never import from the working directory, which may be the evidence; -B: leave no compiled files.
    """
    return [sys.executable, "-P", "-B", "-c", code]


def environment() -> dict[str, str]:
    """Ours, with the folders that this process imports from; libraries start no threads of their own."""
    return os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Nest:
    """The scan's end: starts the process, and has workers forked as soon as it is ready."""

    def __init__(self, module: str) -> None:
        """`module` is loaded at once."""
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(  # noqa: S603
            [*python(_CODE), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._socket = ours
        self._told: bytes | None = None
        self._tell(module)

    def _tell(self, message: Any) -> bool:
        try:
            send(self._socket.fileno(), message)
        except OSError:
            return False
        return True

    def prepare(self, context: Any) -> None:
        """Let it load what workers with such a context need; it returns at once."""
        self._tell(("prepare", context))

    def fork(self, name: str, context: Any, end: socket.socket) -> bool:
        """Have a worker forked that serves at `end`, with the handler that the module's `name` makes of the context.

        It tells its number first (`forked`). False where the process is dead.
        """
        try:
            send(self._socket.fileno(), ("fork", name, context))
            socket.send_fds(self._socket, [b"f"], [end.fileno()])
        except OSError:
            return False
        return True

    def end(self) -> None:
        """End it; its workers live on."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


_parenthood: list[int] = []  # what to restore, once for each that asked


@contextmanager
def parent_of_all() -> Iterator[None]:
    """Be the parent of workers whose own parent ends, as long as anyone asks for it."""
    libc, before = ctypes.CDLL(None), ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    _parenthood.append(before.value)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        if len(_parenthood) == 1:
            libc.prctl(_PR_SET_CHILD_SUBREAPER, _parenthood[0], 0, 0, 0)
        _parenthood.pop()


def main(descriptor: int) -> None:
    """Load, and fork a worker whenever the scan asks for one, until it closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the scan, which then ends us
    gc.disable()  # what is loaded here stays; a worker looks for garbage again
    control = socket.socket(fileno=descriptor)
    module: ModuleType | None = None
    problem: str | None = None
    with contextlib.suppress(EOFError, ConnectionError):
        name = receive(descriptor)
        try:
            module = importlib.import_module(name)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        while True:
            match receive(descriptor):
                case "prepare", context:
                    problem = problem or _prepared(module, context)
                case "fork", name, context:
                    _, (end,), _, _ = socket.recv_fds(control, 1, 1)
                    problem = problem or _prepared(module, context)
                    if problem is None:
                        _fork(getattr(module, name), context, control, end)
                    else:
                        send(end, ("broken", None, problem))
                    os.close(end)


def _prepared(module: ModuleType | None, context: Any) -> str | None:
    """Load what the module says workers need; returns what went wrong."""
    try:
        if (prepare := getattr(module, "prepare", None)) is not None:
            prepare(context)
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None if threads == 1 else f"{threads} threads where one was to be"


def _fork(make_handler: Callable[[Any], Handler], context: Any, control: socket.socket, end: int) -> None:
    """Fork a worker by way of a process that ends at once, so that it becomes the scan's."""
    gc.freeze()  # so that looking for garbage does not touch, and thereby copy, what workers share
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    try:
        middle = os.getpid()
        if os.fork():
            os._exit(0)
        gc.enable()
        control.close()
        while os.getppid() == middle:
            time.sleep(0.0005)
        send(end, ("forked", None, os.getpid()))
        serve(end, make_handler, context)
    finally:
        os._exit(1)
