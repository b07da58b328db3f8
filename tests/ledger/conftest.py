"""The embedded case's ledger, and builds of tiny chains in small batches, without waiting for the disk."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from geldspur.accuracy import unpack_case
from geldspur.ledger import index
from geldspur.ledger.build import append, by_disk, first, pieces
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.tables import TablesTooLarge


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded case's block files."""
    return Path(unpack_case(tmp_path_factory.mktemp("case") / "case").blocks)


@pytest.fixture(scope="module")
def whole(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of them, built at once. Tests that change it put it right again."""
    folder = tmp_path_factory.mktemp("whole") / "ledger"
    index(blocks, folder)
    return folder


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
