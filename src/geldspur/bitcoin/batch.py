"""Arrays that many blocks are decoded into, allocated once and used again: memory touched first is dear."""

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin import kernels
from geldspur.bitcoin.merkle_kernels import work_bytes
from geldspur.errors import UsageError

Array = npt.NDArray[np.generic]
LARGEST = 2**32 - 1
"""The most bytes that a batch may hold: offsets are of 32 bits."""


class Batch:
    """The columns of up to `capacity_bytes` of blocks; what a decode has written stands until the next one.

    Of each array only the rows counted by `n_blocks`, `n_tx`, `n_in` and `n_out` have a meaning:
    `block_tx[:n_blocks + 1]`, `txid[:n_tx]`, `tx_in[:n_tx + 1]`, `in_signs[:n_in]`, `out_value[:n_out]` and so on;
    their dtypes stand in `kernels.decode_blocks`. Rows are local to the batch. An array's memory is taken only as
    rows are written. One batch serves one thread at a time.
    """

    def __init__(self, capacity_bytes: int) -> None:
        if not 0 < capacity_bytes <= LARGEST:
            raise UsageError(f"a batch holds 1 to {LARGEST:,} bytes of blocks, not {capacity_bytes:,}")
        self.capacity_bytes = capacity_bytes
        n_tx = capacity_bytes // kernels.MIN_TX
        n_in, n_out = capacity_bytes // kernels.MIN_INPUT, capacity_bytes // kernels.MIN_OUTPUT
        self.block_tx = np.zeros(capacity_bytes // kernels.MIN_BLOCK + 2, np.int64)
        self.txid = np.empty((n_tx, 32), np.uint8)
        self.version = np.empty(n_tx, np.int32)
        self.locktime = np.empty(n_tx, np.uint32)
        self.size = np.empty(n_tx, np.uint32)
        self.base_size = np.empty(n_tx, np.uint32)
        self.tx_in = np.zeros(n_tx + 1, np.int64)
        self.tx_out = np.zeros(n_tx + 1, np.int64)
        self.in_outpoint = np.empty((n_in, kernels.OUTPOINT), np.uint8)
        self.in_sequence = np.empty(n_in, np.uint32)
        self.in_signs = np.empty(n_in, np.uint8)
        self.out_value = np.empty(n_out, np.int64)
        self.out_type = np.empty(n_out, np.uint8)
        self.out_payload = np.empty(capacity_bytes + kernels.SLACK, np.uint8)
        self.out_at = np.empty(n_out, np.uint32)
        self.out_length = np.empty(n_out, np.uint32)
        self.scratch = np.empty(work_bytes(n_tx, len(self.block_tx)), np.uint8)
        self.n_blocks = self.n_tx = self.n_in = self.n_out = 0

    def decode(
        self, buf: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> tuple[int, int, int]:
        """Decode the blocks `buf[starts[b] : starts[b] + sizes[b]]`: (fault, block's number, offset in `buf`).

        The fault is `kernels.OK`, or a code of `kernels.FAULTS`; the counts then cover the blocks before the
        faulty one. `UsageError` where the blocks are more than the batch holds.
        """
        self.n_blocks = self.n_tx = self.n_in = self.n_out = 0
        fault, block, offset = kernels.decode_blocks(
            buf, starts, sizes, self.block_tx, self.txid, self.version, self.locktime, self.size, self.base_size,
            self.tx_in, self.tx_out, self.in_outpoint, self.in_sequence, self.in_signs,
            self.out_value, self.out_type, self.out_payload, self.out_at, self.out_length, self.scratch,
        )  # fmt: skip
        self.n_blocks = block
        self.n_tx = int(self.block_tx[block])
        self.n_in, self.n_out = int(self.tx_in[self.n_tx]), int(self.tx_out[self.n_tx])
        return fault, block, offset
