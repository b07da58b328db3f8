"""A log whose every record is bound to all before it: change, drop or swap one, and each later hash is wrong."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

START = bytes(32)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, so that the same content has the same bytes."""
    return _ENCODER.encode(content)


def next_hash(previous: bytes, event: str) -> bytes:
    """SHA-256 over the hash before (32 zero bytes before the first) and the event's text as UTF-8."""
    return hashlib.sha256(previous + event.encode()).digest()


def breaks(records: Iterable[tuple[int, str, bytes]]) -> Iterator[int]:
    """Numbers of records (seq, event, hash) that do not follow from the ones before.

    After a broken record the check goes on from the hash that stands there, so that each break is told once.
    """
    previous, expected = START, 1
    for seq, event, stated in records:
        if seq != expected or next_hash(previous, event) != stated:
            yield seq
        previous, expected = stated, seq + 1
