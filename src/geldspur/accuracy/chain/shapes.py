"""What a simulated chain looks like: sizes of transactions, kinds of scripts, habits of payers.

Everything is whole numbers, so that every machine draws the same chain. Chances are in 1/10,000.
"""

from dataclasses import dataclass

import numpy as np

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.columns import Array


@dataclass(frozen=True, slots=True)
class Shape:
    """The habits of a chain's payers.

    `inputs` and `outputs` are steps (chance, low, high): a number between low and high, where every octave
    of a wide step is as likely as the next. `scripts` are (chance, script type). What no step takes, the
    first does.
    """

    inputs: tuple[tuple[int, int, int], ...]
    outputs: tuple[tuple[int, int, int], ...]
    scripts: tuple[tuple[int, ScriptType], ...]
    op_return: int
    """Chance that a transaction carries an OP_RETURN output."""
    short_signatures: bool
    """Sign with the shortest DER there is and leave the key of P2WPKH out: small, and still well formed."""

    def steps(self, which: tuple[tuple[int, int, int], ...]) -> Array:
        """A column of sizes as the kernels read it, int64[n,3]: (chance up to here, low, high)."""
        table = np.array(which[1:] + which[:1], np.int64)
        table[:, 0] = np.cumsum(table[:, 0])
        return table

    @property
    def script_steps(self) -> Array:
        """The script types as the kernels read them, int64[n,2]: (chance up to here, type)."""
        table = np.array(self.scripts[1:] + self.scripts[:1], np.int64)
        table[:, 0] = np.cumsum(table[:, 0])
        return table


# Sizes and scripts like mainnet's of the 2020s: many payments with change, few batches and consolidations.
USUAL = Shape(
    inputs=((7358, 1, 1), (1700, 2, 2), (800, 3, 7), (135, 8, 63), (7, 64, 511)),
    outputs=((7061, 2, 2), (1600, 1, 1), (600, 3, 3), (700, 4, 15), (35, 16, 127), (4, 128, 511)),
    scripts=(
        (3800, ScriptType.P2WPKH), (2500, ScriptType.P2PKH), (1750, ScriptType.P2SH), (1450, ScriptType.P2TR),
        (400, ScriptType.P2WSH), (50, ScriptType.MULTISIG), (50, ScriptType.P2PK),
    ),
    op_return=500,
    short_signatures=False,
)  # fmt: skip

# As many transactions as fit on a disk.
LEAN = Shape(
    inputs=((7050, 1, 1), (2200, 2, 2), (747, 3, 7), (3, 64, 511)),
    outputs=((7047, 2, 2), (2000, 1, 1), (600, 3, 3), (350, 4, 15), (3, 128, 511)),
    scripts=((8500, ScriptType.P2WPKH), (1000, ScriptType.P2TR), (500, ScriptType.P2PKH)),
    op_return=200,
    short_signatures=True,
)

# How long an output waits for its spender: (share of the outputs, share of the waiting ones, most waiting ones).
WAITS = ((65, 5, 20_000), (25, 25, 1_500_000), (10, 70, 8_500_000))
