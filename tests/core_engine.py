"""Bitcoin Core's own library as an oracle: it validates the blocks given to it and tells what they spend.

It writes into the folder that it opens, so it only ever gets a folder of its own.
"""

from pathlib import Path

import pbk


def open_engine(folder: Path) -> pbk.ChainstateManager:
    """A chain of Core's in a new folder."""
    options = pbk.ContextOptions()
    options.set_chainparams(pbk.ChainParameters(pbk.ChainType.REGTEST))
    blocks = folder / "blocks"
    blocks.mkdir(parents=True, exist_ok=True)
    return pbk.ChainstateManager(pbk.ChainstateManagerOptions(pbk.Context(options), str(folder), str(blocks)))


def spent_by_block(engine: pbk.ChainstateManager) -> dict[bytes, list[tuple[int, bool, int, bytes]]]:
    """Of each block by hash: (height, coinbase, value in satoshi, script) of what it spends, in order."""
    result = {}
    for entry in engine.get_active_chain().block_tree_entries:
        txs = engine.block_spent_outputs[entry].transactions if entry.height else []
        result[bytes(entry.block_hash)] = [
            (c.confirmation_height, bool(c.is_coinbase), c.output.amount, bytes(c.output.script_pubkey))
            for tx in txs
            for c in tx.coins
        ]
    return result
