"""How far an unfinished first build has come, so that the next run goes on from there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from geldspur.ledger.columns import open_column, read_json
from geldspur.ledger.manifests import replace_json
from geldspur.ledger.sources import Chain

_VERSION = 1


def boot_id() -> str:
    """What tells one run of the machine from another."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


@dataclass(slots=True)
class Checkpoint:
    """State of a first build. Heights and the target's hash say of which chain; counts are rows by axis."""

    target_height: int
    target_hash: str
    first_height: int
    partitions: int
    """0: linked in memory as blocks come; else the number of partitions on disk."""
    stage: str = "decode"
    """decode, then (with partitions) link, scripts; then derive."""
    counts: Mapping[str, int] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    twins: list[list[int]] = field(default_factory=list)
    streams: dict[str, list[int]] = field(default_factory=dict)
    """Bytes of each partition's files."""
    key: list[int] = field(default_factory=list)
    """What the partitions' hash is keyed with."""
    boot: str = field(default_factory=boot_id)
    version: int = _VERSION

    def save(self, folder: Path) -> None:
        """Write it; what it counts must be in the files already."""
        replace_json(folder / "checkpoint.json", asdict(self))


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint of an unfinished build, if it can be trusted.

    Column files aren't forced to the disk at each checkpoint, for that would slow the build down by much. A
    killed process loses nothing by that; a machine that went down may have, and then the build begins anew.
    """
    if not (folder / "checkpoint.json").is_file():
        return None
    content = read_json(folder / "checkpoint.json", "the unfinished build's checkpoint")
    if content.get("version") != _VERSION or content.get("boot") != boot_id():
        return None
    return Checkpoint(**content)


def fits(checkpoint: Checkpoint, chain: Chain, columns: Path, first_height: int) -> bool:
    """Do the blocks done so far, and the target, lie on this chain?"""
    target = checkpoint.target_height - chain.first_height
    if checkpoint.first_height != first_height or not 0 <= target < len(chain):
        return False
    if chain.hash[target].tobytes() != bytes.fromhex(checkpoint.target_hash)[::-1]:
        return False
    done = checkpoint.counts.get("block", 0)
    hashes = open_column(columns, "block_hash", {"dtype": "|u1", "shape": [done, 32]})
    first = first_height - chain.first_height
    return bool(np.array_equal(hashes, chain.hash[first : first + done]))
