"""Look-up runs: rows of a range of blocks in the order in which keys are asked for.

A run indexes the transactions, scripts and outputs of one range of blocks. A fresh ledger has a single run;
each append adds one, small ones are merged, and `geldspur compact` makes one of all. In a run lie

- `tx_bucket`, `tx_order`, `tx_tag`: transaction rows in order of the keyed hash of their txid. Bucket k (the
  hash's highest bits) is rows `tx_bucket[k] .. tx_bucket[k+1]`, ordered by tag (the next 16 bits) and row;
- `script_bucket`, `script_order`, `script_tag`: the same for the scripts that the range saw first;
- `outputs`: output rows by script, ascending within each; those of script s begin at `out_start[s]`. Where
  the run doesn't begin with the ledger, `out_scripts` lists the scripts that it pays, and `out_start` is
  parallel to that.

Whatever an index finds is compared on all bytes of its key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.keyedhash import Key, script_hash, txid_hash

Array = npt.NDArray[Any]
Range = tuple[int, int]

COLUMNS = (
    "tx_bucket", "tx_order", "tx_tag", "script_bucket", "script_order", "script_tag",
    "out_start", "outputs", "out_scripts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run, opened. Ranges are (first, end) rows; after a rollback rows from `end` on don't count."""

    name: str
    key: Key
    txs: Range
    scripts: Range
    outs: Range
    tx_bucket: Array
    tx_order: Array
    tx_tag: Array
    script_bucket: Array
    script_order: Array
    script_tag: Array
    out_start: Array
    outputs: Array
    out_scripts: Array | None
    cut: bool = False
    """Later rows were rolled back: the arrays still hold them."""
    ahead_start: Callable[[int, int], None] | None = None
    """Begins to read rows of `out_start` from the disk."""

    def candidate_txs(self, txid: bytes) -> list[int]:
        """Rows whose txid may be this one (wire order), the latest first."""
        found = _candidates(txid_hash(self.key, txid), self.tx_bucket, self.tx_order, self.tx_tag)
        return [row for row in reversed(found) if row < self.txs[1]]

    def candidate_scripts(self, script_type: ScriptType, payload: bytes) -> list[int]:
        """Ids whose script may be this one."""
        found = _candidates(
            script_hash(self.key, script_type, payload), self.script_bucket, self.script_order, self.script_tag
        )
        return [s for s in found if s < self.scripts[1]]

    def ahead_of_outputs(self, script: int) -> None:
        """Begin to read what tells where a script's outputs are, unless that takes a search."""
        if self.out_scripts is None and self.ahead_start is not None:
            self.ahead_start(script, 2)

    def outputs_of(self, script: int) -> Array:
        """Rows of the run's outputs that pay a script, ascending."""
        if self.out_scripts is None:
            if script >= self.scripts[1]:
                return self.outputs[:0]
            k = script
        else:
            k = int(np.searchsorted(self.out_scripts, script))
            if k == len(self.out_scripts) or int(self.out_scripts[k]) != script:
                return self.outputs[:0]
        rows = self.outputs[int(self.out_start[k]) : int(self.out_start[k + 1])]
        if len(rows) and int(rows[-1]) >= self.outs[1]:
            rows = rows[: int(np.searchsorted(rows, self.outs[1]))]
        return rows


def _candidates(h: int, bucket: Array, order: Array, tag: Array) -> list[int]:
    bits = (len(bucket) - 1).bit_length() - 1
    b = h >> 64 - bits
    first, end = bucket[b : b + 2].tolist()
    wanted = h >> 48 - bits & 0xFFFF
    return [row for t, row in zip(tag[first:end].tolist(), order[first:end].tolist(), strict=True) if t == wanted]
