"""Chains of any size whose truth is known, for testing the ledger at scale.

`simulate_blocks` writes Bitcoin Core's block files: real frames, headers, Merkle roots and transactions that
spend one another's outputs, with signatures that look like some but verify for nobody.
"""

from geldspur.accuracy.chain.blocks import ChainTruth, Hub, simulate_blocks

__all__ = ["ChainTruth", "Hub", "simulate_blocks"]
