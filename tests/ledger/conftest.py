"""Builds of tiny chains as tests want them: in small batches, and without waiting for the disk."""

import os
import secrets
from collections.abc import Callable

import pytest

from geldspur.ledger.build import append, by_disk, first, pieces
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.tables import TablesTooLarge


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of a few blocks, appends in several ranges, a checkpoint after every batch, no waiting for the disk."""
    monkeypatch.setattr(Budget, "batch_bytes", property(lambda self: 4000))
    monkeypatch.setattr(append, "_RANGE_BYTES", 12_000)
    monkeypatch.setattr(pieces, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(by_disk, "PARTITIONS", 4)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    # With a key that is always the same, so is the number of writes to partitions.
    monkeypatch.setattr(secrets, "randbits", lambda bits: 0x9E3779B97F4A7C15 >> 64 - bits)


@pytest.fixture
def by_way_of_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to have first builds find that their tables don't fit."""

    def refuse(*_: object) -> None:
        raise TablesTooLarge

    return lambda: monkeypatch.setattr(first, "Tables", refuse)
