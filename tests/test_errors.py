"""What an error tells a person to do fits what went wrong."""

import errno
from pathlib import Path

import pytest

from geldspur.errors import GeldspurError, disk_todo
from geldspur.ledger.columns import AGAIN, write_file


def test_only_a_full_disk_asks_for_space(tmp_path: Path) -> None:
    assert disk_todo(OSError(errno.ENOSPC, "No space left on device"), then=AGAIN) == f"free some space and {AGAIN}"
    with pytest.raises(GeldspurError) as refused:
        write_file(tmp_path / "missing" / "headers", b"")
    assert refused.value.todo is not None
    assert "space" not in refused.value.todo
