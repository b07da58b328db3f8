"""Messages between the scan and its workers: a length and a pickle, read so that a worker can't run anything here.

A worker decodes hostile files. Should one take it over, its messages must not take over the scan: what comes back may
hold plain values and the few record types named here, nothing else.
"""

import io
import os
import pickle
import struct
from typing import Any

_LENGTH = struct.Struct("<Q")
_LIMIT = 1 << 30
_READS = 16  # of a MiB each at a time: one that writes without end must not be heard without end
_ALLOWED = ("geldspur.evidence.model", "geldspur.evidence.scan.messages")


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _ALLOWED and "." not in name:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"a worker sent a {module}.{name}")


def packed(message: Any) -> bytes:
    """The message with its length before it."""
    body = pickle.dumps(message, 5)
    return _LENGTH.pack(len(body)) + body


def send(descriptor: int, message: Any) -> None:
    """Write the whole message, however long that takes."""
    rest = memoryview(packed(message))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int) -> Any:
    """The next message of a trusted sender.

    Raises:
        EOFError: the sender is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    return pickle.loads(_exactly(descriptor, length))  # noqa: S301 (the scan's own process)


def _exactly(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Inbox:
    """Whole messages out of what a worker has written so far; never waits for the rest of one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()

    def read(self) -> tuple[list[Any], bool]:
        """The messages that are complete now, and whether more can come: not from one that sent what is no message."""
        alive = True
        try:
            for _ in range(_READS):
                part = os.read(self._descriptor, 1 << 20)
                self._held += part
                if not part:
                    alive = False
                    break
        except BlockingIOError:
            pass
        except ConnectionResetError:
            alive = False
        messages: list[Any] = []
        try:
            while (body := self._next()) is not None:
                messages.append(_Plain(io.BytesIO(body)).load())
        except Exception:  # whatever pickle makes of bytes that are none
            alive = False
        return messages, alive

    def _next(self) -> bytes | None:
        if len(self._held) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._held)
        if length > _LIMIT:
            raise ValueError("a worker announced a message beyond all measure")
        end = _LENGTH.size + length
        if len(self._held) < end:
            return None
        body = bytes(self._held[_LENGTH.size : end])
        del self._held[:end]
        return body
