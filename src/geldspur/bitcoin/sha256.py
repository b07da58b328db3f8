"""Which code hashes: the processor's SHA instructions, OpenSSL's, or plain kernels; looked at, tried, and said."""

import ctypes
import hashlib
import os
import random
import sys
from functools import cache

import numpy as np
from numba import njit
from numba.core.registry import cpu_target

from geldspur.bitcoin.message_kernels import OWN, QUEUE, QUEUE_BYTES, hash_queue, queue_message
from geldspur.bitcoin.sha256_kernels import Engine, OpenSsl, Plain, ShaNi, ready
from geldspur.bitcoin.sha_instructions import has_sha_instructions
from geldspur.bitcoin.words import address_of, window_of
from geldspur.errors import GeldspurError, UsageError

ENGINES = ("ni", "openssl", "plain")
"""The engines by name, fastest first. The environment variable GELDSPUR_SHA256 forces one of them."""


@njit(cache=True, nogil=True)
def _hash_all(engine, data, starts, sizes, out, scratch):
    message, rows, work = window_of(data), window_of(out), window_of(scratch)
    ready(work)
    waiting, free, done = 0, OWN, 0
    for k in range(starts.size):
        free = queue_message(work, waiting, free, message, starts[k], sizes[k])
        waiting += 1
        if waiting == QUEUE or k + 1 == starts.size:
            hash_queue(engine, work, waiting, address_of(rows, 32 * done, 32 * waiting))
            done, waiting, free = done + waiting, 0, OWN


def double_sha256_all(engine: Engine, messages: list[bytes]) -> list[bytes]:
    """Bitcoin's hash of each message, by this engine."""
    sizes = np.array([len(m) for m in messages], np.int64)
    out = np.empty((len(messages), 32), np.uint8)
    data = np.frombuffer(b"".join(messages), np.uint8)
    _hash_all(engine, data, np.cumsum(sizes) - sizes, sizes, out, np.empty(QUEUE_BYTES, np.uint8))
    return [row.tobytes() for row in out]


def _transform_address() -> int:
    """Where SHA256_Transform lies in the OpenSSL that Python itself has loaded; 0 where it can't be found."""
    if sys.platform != "linux":  # macOS ends a process that loads its libcrypto
        return 0
    try:
        import _hashlib  # noqa: PLC0415 - absent from a Python without OpenSSL

        transform = ctypes.CDLL(_hashlib.__file__).SHA256_Transform
    except (ImportError, AttributeError, OSError):
        return 0
    return ctypes.cast(transform, ctypes.c_void_p).value or 0


def available(name: str) -> Engine | None:
    """The engine of this name, None where this machine lacks it."""
    if name == "ni":
        features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
        return ShaNi() if has_sha_instructions({each[1:] for each in features if each[:1] == "+"}) else None
    if name == "openssl":
        address = _transform_address()
        return OpenSsl(address) if address else None
    return Plain()


def is_right(engine: Engine) -> bool:
    """Does the engine hash messages of random lengths as hashlib does?"""
    draw = random.Random()  # noqa: S311 - lengths of test messages, no secret
    messages = [draw.randbytes(n) for n in (0, 55, 56, 63, 64, 119, 120, *(draw.randrange(2_000) for _ in range(24)))]
    return double_sha256_all(engine, messages) == [_by_hashlib(m) for m in messages]


def _by_hashlib(message: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(message).digest()).digest()


@cache
def _choose(forced: str) -> tuple[str, Engine]:
    if forced and forced not in ENGINES:
        raise UsageError(f"GELDSPUR_SHA256 names no engine: {forced}", todo=f"use one of {', '.join(ENGINES)}")
    for name in (forced,) if forced else ENGINES:
        found = available(name)
        if found is not None and is_right(found):
            return name, found
    raise GeldspurError(
        f"the SHA-256 engine {forced or 'plain'} does not run on this machine",
        todo="leave GELDSPUR_SHA256 unset to have one chosen",
    )


def chosen() -> Engine:
    """The engine that kernels take as their first argument: the fastest that is here and hashes rightly."""
    return _choose(os.environ.get("GELDSPUR_SHA256", ""))[1]


def engine() -> str:
    """Name of the engine that hashes in this process: ni, openssl or plain."""
    return _choose(os.environ.get("GELDSPUR_SHA256", ""))[0]
