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

from dataclasses import dataclass, field
from math import isqrt

import numpy as np

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.columns import Ahead, Array
from geldspur.ledger.keyedhash import Key, script_hash, txid_hash
from geldspur.ledger.parts import Parts, pages_of

Range = tuple[int, int]

COLUMNS = (
    "tx_bucket", "tx_order", "tx_tag", "script_bucket", "script_order", "script_tag",
    "out_start", "outputs", "out_scripts",
)  # fmt: skip


_AHEAD = 1 << 14
"""Rows around the place where a bucket should be, up to which it pays to read them all while the bucket is read."""
_NEAR = 8
"""Buckets, to the power of two, whose rows are read ahead together."""


class Index:
    """Rows in order of a keyed hash: of buckets, tags and rows as the module's head tells."""

    def __init__(self, bucket: Array, order: Array, tag: Array, read_ahead: bool) -> None:
        # One value of a memoryview takes a third of the time that one of an array takes.
        self._bucket, self._order, self._tag = bucket.data, order.data, tag.data
        self._bits = (len(bucket) - 1).bit_length() - 1
        # Hashes are spread evenly: half the root of their number is the deviation of the middle one's place.
        self._margin = isqrt(len(order)) * 3 // 4
        self._rows = Ahead(order, tag) if read_ahead else None
        guess = read_ahead and 2 * self._margin + (len(order) << _NEAR >> self._bits) <= _AHEAD
        self._asked = bytearray(1 + (len(bucket) >> _NEAR)) if guess else None

    def candidates(self, h: int) -> list[int]:
        """Rows whose hash may be `h`."""
        b = h >> 64 - self._bits
        if self._asked is not None and not self._asked[b >> _NEAR]:
            self._read_ahead(b >> _NEAR)
        first, end = self._bucket[b], self._bucket[b + 1]
        if self._asked is None and self._rows is not None and end > first:
            self._rows(first, end - first)
        wanted = h >> 48 - self._bits & 0xFFFF
        order = self._order
        return [order[at] for at, tag in enumerate(self._tag[first:end].tolist(), first) if tag == wanted]

    def _read_ahead(self, near: int) -> None:
        """Have the rows of some neighbouring buckets read before it is known where they are exactly."""
        assert self._asked is not None and self._rows is not None
        self._asked[near] = 1
        rows = len(self._order)
        first = max((near * rows << _NEAR >> self._bits) - self._margin, 0)
        end = min(((near + 1) * rows << _NEAR >> self._bits) + self._margin, rows)
        if end > first:
            self._rows(first, end - first)


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
    read_ahead: bool = False
    """The arrays are maps of files, which may have to be read from the disk."""
    script_parts: tuple[Parts, ...] = ()
    """What compares `script_bucket`, `script_order` and `script_tag` by parts, if anything does."""
    _txs_by_hash: Index = field(init=False, repr=False, compare=False)
    _scripts_by_hash: Index = field(init=False, repr=False, compare=False)
    _start: memoryview = field(init=False, repr=False, compare=False)
    _rows: memoryview = field(init=False, repr=False, compare=False)
    _ahead_outputs: Ahead = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make what look-ups take from the arrays."""
        txs = Index(self.tx_bucket, self.tx_order, self.tx_tag, self.read_ahead)
        scripts = Index(self.script_bucket, self.script_order, self.script_tag, self.read_ahead)
        object.__setattr__(self, "_txs_by_hash", txs)
        object.__setattr__(self, "_scripts_by_hash", scripts)
        object.__setattr__(self, "_start", self.out_start.data)
        object.__setattr__(self, "_rows", self.outputs.data)
        object.__setattr__(self, "_ahead_outputs", Ahead(self.outputs))

    @property
    def seen_of_scripts(self) -> list[Array]:
        """Where `find_scripts_in_run` marks which pages of the scripts' index its answers rest on."""
        index = (self.script_bucket, self.script_order, self.script_tag)
        return [parts.seen for parts in self.script_parts] or pages_of(*index)

    def candidate_txs(self, txid: bytes) -> list[int]:
        """Rows whose txid may be this one (wire order), the latest first."""
        found = self._txs_by_hash.candidates(txid_hash(self.key, txid))
        return [row for row in found[::-1] if row < self.txs[1]] if self.cut else found[::-1]

    def candidate_scripts(self, script_type: ScriptType, payload: bytes) -> list[int]:
        """Ids whose script may be this one."""
        found = self._scripts_by_hash.candidates(script_hash(self.key, script_type, payload))
        return [s for s in found if s < self.scripts[1]] if self.cut else found

    def ahead_of_outputs(self, script: int) -> None:
        """Begin to read the rows of a script's outputs, unless it takes a search to find them."""
        if self.out_scripts is None and script < self.scripts[1]:
            first = self._start[script]
            self._ahead_outputs(first, max(self._start[script + 1] - first, 1))

    def outputs_of(self, script: int) -> Array:
        """Rows of the run's outputs that pay a script, ascending."""
        first, end = self._outputs_at(script)
        return self.outputs[first:end]

    def few_outputs_of(self, script: int, most: int) -> list[int] | None:
        """The same as a list; None where there are more than `most`."""
        first, end = self._outputs_at(script)
        return self._rows[first:end].tolist() if end - first <= most else None

    def _outputs_at(self, script: int) -> Range:
        """Where in `outputs` the rows that pay a script begin and end."""
        if self.out_scripts is None:
            if script >= self.scripts[1]:
                return 0, 0
            k = script
        else:
            k = int(np.searchsorted(self.out_scripts, script))
            if k == len(self.out_scripts) or int(self.out_scripts[k]) != script:
                return 0, 0
        first, end = self._start[k], self._start[k + 1]
        if self.cut:
            end = first + int(np.searchsorted(self.outputs[first:end], self.outs[1]))
        return first, end
